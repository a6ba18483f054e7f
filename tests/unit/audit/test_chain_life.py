# SPDX-License-Identifier: Apache-2.0
"""Whatever a node goes through, its log verifies, or the loss is named."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.records import record

from sifgate.audit.chain import Chain
from sifgate.audit.files import history
from sifgate.audit.log import AuditLog
from sifgate.audit.record import encode
from sifgate.audit.verify import sorted_files, verify

HARMLESS = (
    "write",
    "write",
    "several",
    "restart",
    "crash",
    "rotate",
    "rotate while down",
    "pack",
    "power loss",
    "anchor",
)
"""What happens on an honest node."""
HARM = ("cut", "swap", "drop", "alter")


class Life:
    """One node's log, and what happens to it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.number = 0
        self.rotations = 0
        self.log = self._open()

    def _open(self) -> AuditLog:
        return AuditLog(self.place / "audit.jsonl", chain=Chain("n1", self.place / "chain.json"))

    def happen(self, what: str) -> None:
        """Let something happen."""
        getattr(self, what.replace(" ", "_"))()

    def write(self) -> None:
        """Append one record."""
        self.number += 1
        self.log.reopen_if_rotated()
        self.log.append(encode(record(self.number)))

    def several(self) -> None:
        """Append three records in one turn."""
        self.log.reopen_if_rotated()
        self.log.append(b"".join(encode(record(self.number + each)) for each in (1, 2, 3)), 3)
        self.number += 3

    def restart(self) -> None:
        """End as an agent does, and begin again."""
        self.log.close()
        self.log = self._open()

    def crash(self) -> None:
        """End without writing the anchor."""
        self.log.chain = None
        self.log.close()
        self.log = self._open()

    def rotate(self) -> None:
        """Rename the file under the writer."""
        if self._renamed():
            self.log.reopen_if_rotated()

    def rotate_while_down(self) -> None:
        """Rename the file while no agent runs."""
        self.log.close()
        self._renamed()
        self.log = self._open()

    def _renamed(self) -> bool:
        if not self.log.path.exists():
            return False
        self.rotations += 1
        self.log.path.rename(self.place / f"audit.jsonl-{self.rotations:04d}")
        return True

    def pack(self) -> None:
        """Pack the oldest file that is not packed."""
        for file in sorted(self.place.glob("audit.jsonl-????"))[:-1]:
            file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()

    def power_loss(self) -> None:
        """Tear the line that is being written, and start anew."""
        self.crash()
        if self.log.path.exists():
            with self.log.path.open("ab") as file:
                file.write(encode(record(99))[:37])

    def anchor(self) -> None:
        """Note how far the chain is, as the agent does now and then."""
        self.log.anchor()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(HARMLESS), max_size=25))
def test_an_honest_life_verifies(happened: list[str]) -> None:
    """Restarts, crashes, rotations, packing and torn lines leave nothing that looks like tampering."""
    with tempfile.TemporaryDirectory(prefix="chain-") as place:
        life = Life(Path(place))
        for what in (*happened, "write"):
            life.happen(what)
        life.log.close()
        found = verify(sorted_files(history(life.log.path)))
        assert found.intact, (found.problems, happened)
        assert len(found.chains) == 1
        ((first, last),) = found.chains.values()
        assert (first, last) == (1, found.records)
        assert found.records - 1 - found.note_count == life.number


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(HARMLESS), max_size=12), st.sampled_from(HARM), st.data())
def test_harm_in_the_middle_is_always_found(happened: list[str], harm: str, data: st.DataObject) -> None:
    """One line of the newest file cut out, moved, or changed, anywhere but at the log's very end."""
    with tempfile.TemporaryDirectory(prefix="chain-") as place:
        life = Life(Path(place))
        for what in (*happened, "several", "write", "several"):
            life.happen(what)
        life.log.close()
        lines = life.log.path.read_bytes().splitlines(keepends=True)
        index = data.draw(st.integers(0, len(lines) - 3).filter(lambda at: b'"prev"' in lines[at]))
        if harm == "swap":
            lines[index], lines[index + 1] = lines[index + 1], lines[index]
        elif harm == "alter":
            lines[index] = lines[index].replace(b'"node":"n1"', b'"node":"n2"')
        else:
            del lines[index : index + (2 if harm == "cut" else 1)]
        life.log.path.write_bytes(b"".join(lines))
        found = verify(sorted_files(history(life.log.path)))
        begins = index == 0 and len(history(life.log.path)) == 1 and harm in ("drop", "cut")
        assert found.intact is begins, (found, happened)
