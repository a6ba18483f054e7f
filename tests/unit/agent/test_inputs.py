# SPDX-License-Identifier: Apache-2.0
"""All that the agent itself adds to a launch is in its record: every such decision is computed again as it was."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

from testbed import sif
from testbed.sif import SifObject
from tests.fakes.agent import POLICY, RunningAgent, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict
from tests.unit.agent.test_replay import replay
from tests.unit.image.signing import fingerprint, public, write_signed

from sifgate.config import ServerSettings

OWN = os.geteuid()
MORE = f"""
signatures: {{keyring: keys.gpg}}
exceptions: {{directory: exceptions.d}}
break_glass: {{groups: [no-such-group], max_duration: 1h}}
fail_open_budget: {{per_hour: 1, then: block}}
freshness: {{advisories_max_age: {{warn: 1d}}}}
enforcement_points: {{prolog: log}}
trust:
  - {{id: store, match: {{path: "/**/store/**", owner: {pwd.getpwuid(OWN).pw_name}}}, skip: rules}}
scopes:
  - {{id: signed, match: {{signed_by: [{fingerprint("site")}]}}, set: {{mode: warn}}}}
"""
EXCEPTION = """\
schema: sifgate.exceptions/v1
exceptions:
  - {id: SEC-1, vulnerability: CVE-2025-48384, reason: never called, author: alice, created: 2020-01-01,
     expires: 2099-12-31, scope: {path: "/**/excepted/**"}}
"""


def test_everything_that_a_decision_read_is_in_its_record(
    start: Callable[..., RunningAgent], root: Path, server: FakeServer
) -> None:
    """Owner, signers, exception, trusted store, grant, budget, door: replayed without any difference."""
    write_policy(root, POLICY + MORE)
    (root / "etc/keys.gpg").write_bytes(public("site"))
    (root / "etc/exceptions.d").mkdir(mode=0o755)
    (root / "etc/exceptions.d/a.yaml").write_text(EXCEPTION)
    server.finding = bad_verdict
    agent = start()
    assert agent.query("status")["policy"]["problem"] == ""
    images = {}
    for name in ("plain", "store", "excepted"):
        (root / name).mkdir()
        images[name] = settled_file(root / name / "x.sif", name.encode())
    write_signed(root / "signed.sif", [SifObject(sif.DEFFILE, b"x" * 3000)], "site")
    images["signed"] = settled_file(root / "signed.sif", (root / "signed.sif").read_bytes())
    actions = {name: [agent.action(image) for _ in range(2)] for name, image in images.items()}
    assert {name: each[0] for name, each in actions.items()} == {
        name: each[1] for name, each in actions.items()
    }
    assert (actions["plain"][0], actions["signed"][0]) == ("block", "warn")
    assert "block" not in (actions["store"][0], actions["excepted"][0])
    assert agent.action(images["plain"], door="prolog") == "log"
    grant = agent.query("grant", do="start", reason="r", seconds=60)["grant"]["id"]
    assert agent.action(images["plain"], uid=OWN) == "warn"
    agent.query("grant", do="end", id=grant)
    agent.agent.remote.settings = ServerSettings("https://127.0.0.1:1", server.certificate, server.token_file)
    fresh = settled_file(root / "fresh.sif", b"fresh")
    assert [agent.action(fresh) for _ in range(2)] == ["log", "block"]
    found = replay(root)
    assert (found.different, found.differences, found.lacking) == (0, [], {})
    assert (found.same, found.apart) == (12, {"chain": 1, "break_glass": 2})
