# SPDX-License-Identifier: Apache-2.0
"""What the HTTP endpoints work with, as one value; made in `wiring`."""

from __future__ import annotations

from collections import Counter

import msgspec

from sifgate.clair.exchange import Address
from sifgate.server.access import Access
from sifgate.server.advisories import AdvisoryWatch
from sifgate.server.handout import Handout
from sifgate.server.intake import Intake
from sifgate.server.signing import Signer
from sifgate.server.waiting import Bells
from sifgate.store.database import Database
from sifgate.store.launches import Launches


class Services(msgspec.Struct, frozen=True):
    """The parts that endpoints use."""

    database: Database
    access: Access
    intake: Intake
    handout: Handout
    bells: Bells
    watch: AdvisoryWatch
    clair: Address
    launches: Launches
    signer: Signer
    clair_version: str = ""
    requests: Counter[str] = msgspec.field(default_factory=Counter)
    """Requests since the start, by kind."""
