# SPDX-License-Identifier: Apache-2.0
"""What conditions refuse: where the error points, what it says, and that there is never another end."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.unit.policy.builders import ROOT
from tests.unit.policy.condition_values import LEAVES, OF_IMAGE, trees, when

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.conditions.vocabulary import VOCABULARY
from sifgate.policy.conditions.when import When, parse_when

SCHEMA = json.loads((ROOT / "src/sifgate/policy/schema.json").read_text())
VALIDATOR = Draft202012Validator({"$ref": "#/$defs/when", "$defs": SCHEMA["$defs"]})
PLACE = re.compile(r"^when\.yaml:[0-9]+:[0-9]+: \S")

REFUSED = [
    ("{cvss: 7.0}", "1:8", 'say which: ">= 7.0" (at least) or "< 7.0" (less)'),
    ("{cvss: '7.0'}", "1:8", 'say which: ">= 7.0" (at least)'),
    ("{cvss: '>= seven'}", "1:8", 'a comparison such as ">= 7.0"'),
    ("{cvss: '>= 7.05'}", "1:8", "at most 1 decimal place"),
    ("{cvss: '>= 11'}", "1:8", "from 0 to 10"),
    ("{cvss: '> 10.0'}", "1:8", "no number from 0 to 10"),
    ("{cvss: '< 0'}", "1:8", "no number from 0 to 10"),
    ("{cvss: '>= 1.2.3'}", "1:8", "expected a decimal number"),
    ("{cvss: '>= 7d'}", "1:8", "expected a decimal number"),
    ("{cvss: {version: '3.1'}}", "1:8", 'the key "score" is missing'),
    ("{cvss: {score: '>= 7', verison: '3.1'}}", "1:24", '(did you mean "version"?)'),
    ("{cvss: {score: '>= 7', version: '3.2'}}", "1:33", '(did you mean "3.'),
    ("{cvss: {score: '>= 7', version: 3.1}}", "1:33", "expected one of"),
    ("{epss: '>= 10%'}", "1:8", 'a comparison such as ">= 0.10"'),
    ("{epss: '>= 10'}", "1:8", "from 0 to 1"),
    ("{epss: 0.1}", "1:8", "say which"),
    ("{cve: CVE-21-44228}", "1:7", "expected a name such as CVE-2021-44228"),
    ("{cve: [CVE-2021-44228, GHSA-jfh8-c2jp]}", "1:24", "expected a name such as GHSA-jfh8-c2jp-5v3q"),
    ("{cve: 'CVE-2021-*'}", "1:7", "names are exact here"),
    ("{cve: log4shell}", "1:7", "expected a name such as"),
    ("{cve: []}", "1:7", "the list is empty"),
    ("{cve: 'CVE-2021-\u017f4228'}", "1:7", "expected a name such as"),
    ("{package: {ecosystem: npm}}", "1:23", "expected one of apk, deb"),
    ("{package: {ecosystem: deb, manager: dpkg}}", "1:12", "exclude each other"),
    ("{package: {purl: openssl}}", "1:18", 'a package URL begins with "pkg:"'),
    ("{package: {purl: 'pkg:npm/x'}}", "1:18", "no package here has the type"),
    ("{package: {purl: 'pkg:deb/x?arhc=y'}}", "1:18", '(did you mean "arch"?)'),
    ("{package: {purl: 'pkg:deb/x#y'}}", "1:18", "has no subpath"),
    ("{package: {path: opt/x}}", "1:18", "an absolute path"),
    ("{package: {path: '/opt/a**'}}", "1:18", '"**" stands for whole directories'),
    ("{package: {nmae: x}}", "1:12", '(did you mean "name"?)'),
    ("{published: {}}", "1:13", "asks nothing"),
    ("{published: 30d}", "1:13", "expected a mapping"),
    ("{published: {for: 30}}", "1:19", "expected text, got the number"),
    ("{published: {for: 1w}}", "1:19", "a number of days"),
    ("{published: {within: 0d}}", "1:22", "nothing is less than 0 days ago"),
    ("{fix_age: {for: 3d, within: 4d}}", "1:21", "exclude each other"),
    ("{first_seen: {for: 3d}}", "1:14", 'the key "of" is missing'),
    ("{first_seen: {of: sight, for: 3d}}", "1:19", '(did you mean "site"?)'),
    ("{support_ended: yes}", "1:17", "expected true or false"),
    ("{image_age: 365d}", "1:13", 'say which: ">= 365d" (at least) or "< 365d"'),
    ("{image_age: '= 365d'}", "1:13", "never exactly"),
    ("{image_age: '>= 365'}", "1:13", "a length of time such as 48h"),
    ("{image_age: '>= 0d'}", "1:13", "every age is"),
    ("{scan_age: '< 0h'}", "1:12", "no age is"),
    ("{advisories_age: '> 1.5d'}", "1:18", "a length of time such as"),
    ("{scan_state: partail}", "1:14", '(did you mean "partial"?)'),
    ("{coverage: {}}", "1:12", "asks nothing"),
    ("{coverage: {managers: [dpgk]}}", "1:24", '(did you mean "dpkg"?)'),
    ("{owner: 'root*'}", "1:9", "names are exact here"),
    ("{owner: 0}", "1:9", 'expected text, got the number "0"'),
    ("{signed_by: ABCD}", "1:13", "40 or 64 hex digits"),
    ("{signed_by: [any]}", "1:14", "40 or 64 hex digits"),
    ("{distro: {support: lts}}", "1:11", '"support" needs "eol" beside it'),
    ("{distro: {eol: true, support: elts}}", "1:31", "expected one of regular, lts, extended"),
    ("{all: {kev: true}}", "1:7", "expected a list"),
    ("{any: []}", "1:7", "the list is empty"),
    ("{any: [{}]}", "1:8", "it is empty"),
    ("{any: [{kve: true}]}", "1:9", '(did you mean "kev"?)'),
    ("{not: [{kev: true}]}", "1:7", "expected a mapping"),
    ("{not: {}}", "1:7", "it is empty"),
    ("{not: {any: [{count: {over: 1}}]}}", "1:7", "would loosen the decision"),
    ("{count: {over: 1, distro: {eol: true}}}", "1:19", 'unknown key "distro"'),
    ("{count: {over: 1, any: [{kev: true}, {owner: root}]}}", "1:39", 'unknown key "owner"'),
    ("{count: {over: 1, not: {count: {over: 2}}}}", "1:25", 'unknown key "count"'),
]


@pytest.mark.parametrize(("text", "place", "message"), REFUSED, ids=[text for text, _, _ in REFUSED])
def test_slip_of_the_pen_is_an_error_with_its_place(text: str, place: str, message: str) -> None:
    """Line and column of the very value, an excerpt, and the nearest word where there is one."""
    with pytest.raises(PolicyError) as caught:
        when(text)
    found = str(caught.value)
    assert found.startswith(f"when.yaml:{place}: "), found
    assert message in found
    assert found.splitlines()[1] == f"  1 | {text}"


SAMPLES = [
    *LEAVES,
    *OF_IMAGE,
    {"count": {"over": 1, "any": [{"kev": True}]}},
    {"distro": {"eol": True, "for": "3d"}},
]
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.from_regex(r"\A(>=|<=|>|<|=)? ?[0-9.]{1,6}[smhd]{0,2}\Z"),
    st.from_regex(r"\Apkg:[a-z]{2,4}/[a-z%@*?#=&/]{0,12}\Z"),
    st.from_regex(r"\A(CVE|GHSA|GO|X)-[0-9A-Za-z-]{0,14}\Z"),
    st.sampled_from(
        (
            "any",
            "high",
            "debian",
            "/opt/**",
            "3.x",
            "dpkg",
            "site",
            "lts",
            "A" * 40,
            "\uff11\uff12d",
            "\ufb00" * 20,
        )
    ),
)
WORDS = st.sampled_from(
    (*VOCABULARY, "over", "score", "version", "for", "within", "of", "purl", "path", "eol", "x")
)
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)


def parsed(value: Any) -> When | None:
    """Return the `when`, or None where it is refused with a place; whatever loads is valid for the schema."""
    try:
        node = yamlfile.parse(json.dumps(value).encode(), "when.yaml", failure=PolicyError)
        made = parse_when(node)
    except PolicyError as error:
        assert PLACE.match(str(error)), str(error)  # noqa: PT017  # refusing is one of the two good ends
        return None
    problems = [error.message for error in VALIDATOR.iter_errors(node.plain())]
    assert not problems, (problems, value)
    return made


@given(value=st.dictionaries(st.sampled_from(tuple(VOCABULARY)), ANYTHING, min_size=1, max_size=3))
@settings(max_examples=300)
def test_anything_loads_or_is_refused_with_a_place(value: dict[str, Any]) -> None:
    """Known words with any values at any depth."""
    parsed(value)


@given(sample=st.sampled_from(SAMPLES), value=ANYTHING, word=WORDS, turn=st.integers(0, 3))
@settings(max_examples=300)
def test_damaged_condition_loads_or_is_refused_with_a_place(
    sample: dict[str, Any], value: Any, word: str, turn: int
) -> None:
    """A good condition with one value replaced, added, taken away or put into a tree."""
    ((key, content),) = sample.items()
    inner = content if isinstance(content, dict) else {}
    damaged: dict[str, Any] = {
        0: {key: value},
        1: {key: inner | {word: value}},
        2: {key: dict(list(inner.items())[1:])},
        3: {"any": [sample, {key: value}], "not": {word: value}},
    }[turn]
    parsed(damaged)


@given(tree=trees(SAMPLES))
@settings(max_examples=100)
def test_good_trees_load_and_are_valid(tree: dict[str, Any]) -> None:
    """What the vocabulary offers loads in any arrangement, counts under `not` aside."""
    assert (parsed(tree) is None) <= ("count" in json.dumps(tree))


def test_depth_is_bounded() -> None:
    """A tree too deep for the reader is refused with its place, not with a lost stack."""
    text = "{not: " * 200 + "{kev: true}" + "}" * 200
    with pytest.raises(PolicyError, match=PLACE):
        when(text)


@pytest.mark.parametrize("key", VOCABULARY)
def test_schema_has_every_word_with_its_shape(key: str) -> None:
    """Every family is in the schema; one that is about findings also within a count."""
    assert key in SCHEMA["$defs"]["when"]["properties"]
    assert (key in SCHEMA["$defs"]["count"]["properties"]) is VOCABULARY[key].of_findings
    assert (key in SCHEMA["$defs"]["finding_when"]["properties"]) is VOCABULARY[key].of_findings


@pytest.mark.parametrize(
    "value",
    [
        {"cvss": 7},
        {"cvss": ">= seven"},
        {"cvss": {"version": "3.1"}},
        {"cvss": {"score": ">= 7", "version": "3.2"}},
        {"epss": "0.1"},
        {"cve": "CVE 2021"},
        {"package": {"ecosystem": "npm"}},
        {"package": {"ecosystem": "deb", "manager": "dpkg"}},
        {"package": {"purl": "openssl"}},
        {"package": {"path": "opt"}},
        {"published": {}},
        {"published": {"for": "3d", "within": "3d"}},
        {"first_seen": {"for": "3d"}},
        {"image_age": "365d"},
        {"scan_state": "partail"},
        {"coverage": {}},
        {"owner": "a*"},
        {"signed_by": "ABCD"},
        {"distro": {"support": "lts"}},
        {"any": []},
        {"any": [{}]},
        {"not": {}},
        {"count": {"over": 1, "owner": "root"}},
        {"count": {"over": 1, "any": [{"distro": {"eol": True}}]}},
    ],
    ids=str,
)
def test_editor_marks_what_the_loader_refuses(value: dict[str, Any]) -> None:
    """The common slips are errors for both."""
    assert not VALIDATOR.is_valid(value)
    assert parsed(value) is None
