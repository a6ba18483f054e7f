# SPDX-License-Identifier: Apache-2.0
"""Every test: a poisoned network, needs checked, nothing left behind, the caller's settings out of the way."""

from __future__ import annotations

import os
import signal

import hypothesis

pytest_plugins = ["testbed.leftovers", "testbed.poison", "testbed.needs", "testbed.untraced"]

KEPT = ("SIFGATE_CACHE", "SIFGATE_APT", "SIFGATE_APPTAINER_BUILD", "SIFGATE_FUZZ")
"""Settings of this repository's tools; all other SIFGATE_ variables would change what is tested."""

for name in [name for name in os.environ if name.startswith("SIFGATE_") and name not in KEPT]:
    del os.environ[name]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"

# A shell starts background jobs with interrupts ignored, nohup with hangups; programs that tests end inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")
