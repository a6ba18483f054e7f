# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy init`: a site's first policy, from one of the three that sifgate ships."""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.install import install
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.policy.document import Policy
from sifgate.policy.load import load_policy
from sifgate.policy.preset import PRESETS, preset_path
from sifgate.yamlnode import is_visible

EPILOG = """\
examples:
  sifgate policy init                                            observe: nothing is refused, everything is recorded
  sifgate policy init --preset balanced --contact security@site.example
  sifgate policy init --preset strict --output candidate.yaml    to look at and simulate first

exit codes: 0 written, 2 there is a policy already, or usage
"""
_CONTACT = re.compile(r"^# contact: .*$", re.MULTILINE)
MAX_CONTACT = 200


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "init",
        help="write the first policy, from a preset",
        description="Write the first policy, from a preset. A policy that is there stays, unless --force is given.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", choices=PRESETS, default="observe", help="default: %(default)s")
    parser.add_argument("--contact", default="", metavar="TEXT", help="whom a refused user should ask")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: the policy in force")
    parser.add_argument("--force", action="store_true", help="replace the policy that is there")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Write the policy, valid or not at all."""
    target: Path = arguments.output or places.etc / "policy.yaml"
    if target.exists() and not arguments.force:
        raise ConfigError(
            f"{target}: there is a policy already", hint="--force replaces it, --output names another file"
        )
    text = filled(preset_path(arguments.preset).read_text(encoding="utf-8"), arguments.contact)
    with tempfile.TemporaryDirectory(prefix="sifgate-init-") as directory:
        draft = Path(directory) / "policy.yaml"
        draft.write_text(text, encoding="utf-8")
        policy = _put(draft, arguments.output, places)
    facts = {"written": str(target), "preset": arguments.preset, "digest": policy.digest}
    if arguments.format == "json":
        print_json({"schema": 1, **facts, "mode": policy.stance.mode.value, "rules": len(policy.rules)})
    else:
        print(
            f"{target}: preset {arguments.preset}, mode {policy.stance.mode.value}, {len(policy.rules)} rules"
        )
        print(
            "next: `sifgate policy simulate` over recorded launches; docs/enforcing.md has the way from here"
        )
    return ALLOWED


def filled(text: str, contact: str) -> str:
    """Return a preset with the contact in it; raises ConfigError for one that a notice cannot show."""
    if not contact:
        return text
    if len(contact) > MAX_CONTACT or not all(map(is_visible, contact)):
        raise ConfigError(f"the contact must be one line of at most {MAX_CONTACT} characters")
    line = "contact: '" + contact.replace("'", "''") + "'"
    return _CONTACT.sub(lambda _: line, text, count=1)


def _put(draft: Path, output: Path | None, places: Places) -> Policy:
    """Install the draft, or write it to a file of its own; returns what was written."""
    policy = load_policy(draft)
    if output is None:
        return install(draft, places)
    try:
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=output.parent)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(draft.read_bytes())
        Path(name).replace(output)
    except OSError as error:
        raise ConfigError(f"{output}: {error.strerror}") from error
    return policy
