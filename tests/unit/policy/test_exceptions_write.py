# SPDX-License-Identifier: Apache-2.0
"""Exceptions as files: what is written reads back, and an end put forward touches nothing else."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.exceptions.limits import ExceptionLimits
from sifgate.policy.exceptions.read import read_exceptions
from sifgate.policy.exceptions.write import ended, identities, rendered

SHARED = ["bio01", "bio02"]
ENTRY = {
    "id": "SEC-1",
    "author": "alice",
    "reason": "no: 'why' # not",
    "created": date(2026, 8, 1),
    "expires": date(2026, 9, 30),
    "vulnerability": ["CVE-2026-1"],
    "scope": {"account": SHARED},
}
FORMS = (
    "expires: 2026-09-30",
    "expires: '2026-09-30'",
    'expires: "2026-09-30"   # until 2026-09-30, they said',
    "expires:\n        2026-09-30",
)


def test_what_is_written_reads_back() -> None:
    """Texts that look like YAML stay texts, and a list that several entries share is written out in each."""
    content = rendered([ENTRY, ENTRY | {"id": "SEC-2"}])
    assert b"&" not in content
    one, two = read_exceptions([yamlfile.parse(content, "a.yaml")], ExceptionLimits())
    assert (one.id, two.id) == ("SEC-1", "SEC-2") == identities(content, "a.yaml")
    assert (one.reason, two.scope.account) == (ENTRY["reason"], tuple(SHARED))
    assert (one.created, one.expires) == (ENTRY["created"], ENTRY["expires"])


@given(
    st.text(
        st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]), min_size=1, max_size=80
    )
)
def test_any_visible_text_reads_back(reason: str) -> None:
    """Whatever a reason says, it is the same after a file."""
    content = rendered([ENTRY | {"reason": reason}])
    (found,) = read_exceptions([yamlfile.parse(content, "a.yaml")], ExceptionLimits())
    assert found.reason == reason


@pytest.mark.parametrize("form", FORMS)
def test_an_end_put_forward_touches_nothing_else(form: str) -> None:
    """The date is changed where it stands, however it is written; comments, order and other entries stay."""
    text = (
        "# ours\nschema: sifgate.exceptions/v1\nexceptions:\n"
        "    - {id: other, vulnerability: CVE-2026-2, reason: r, author: a, created: 2026-08-01, expires: 2026-09-29}\n"
        f"    - id: SEC-1\n      {form}\n      created: 2026-08-01\n      vulnerability: CVE-2026-1\n"
        "      reason: until 2026-09-30\n      author: alice\n"
    )
    changed = ended(text.encode(), "a.yaml", "SEC-1", date(2026, 9, 1)).decode()
    assert changed == text.replace(form, form.replace("2026-09-30", "2026-09-01", 1))
    other, found = read_exceptions([yamlfile.parse(changed.encode(), "a.yaml")], ExceptionLimits())
    assert (other.expires, found.expires) == (date(2026, 9, 29), date(2026, 9, 1))


def test_an_end_is_never_put_off() -> None:
    """One that ended, or ends that day, stays as it is; so does a file without it."""
    content = rendered([ENTRY])
    for day in (date(2026, 9, 30), date(2026, 10, 1)):
        with pytest.raises(PolicyError, match="anyway"):
            ended(content, "a.yaml", "SEC-1", day)
    with pytest.raises(PolicyError, match="no exception SEC-2"):
        ended(content, "a.yaml", "SEC-2", date(2026, 9, 1))
