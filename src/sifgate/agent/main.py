# SPDX-License-Identifier: Apache-2.0
"""The agent's process: `python -m sifgate.agent.main [--root DIR]`.

Says `sifgate agent listening on SOCKET` when it is ready; SIGHUP reads policy and settings anew and reopens the log;
SIGTERM and SIGINT end it cleanly. Exit code 2: settings or files that cannot be used.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import signal
import sys
import time

from sifgate.agent import notify
from sifgate.agent.listener import handed_over
from sifgate.agent.parses import SWITCH_INTERVAL
from sifgate.agent.wiring import Agent, read_settings
from sifgate.config import Places
from sifgate.errors import ConfigError

LAST_WORDS = 0.7
"""Seconds for open conversations at SIGTERM where systemd keeps the socket; a shim waits 2 s for its first answer."""
_LOOK = 0.02


def main(arguments: list[str] | None = None) -> int:
    """Run the agent until it is told to end; return its exit code."""
    options = _options(arguments)
    places = Places.here(options.root)
    _prepare_process()
    try:
        agent = Agent(places, read_settings(places))
    except (ConfigError, OSError) as error:
        print(f"sifgate agent: {error}", file=sys.stderr)  # noqa: T201 - nobody else can be told
        if isinstance(error, ConfigError) and error.hint:
            print(f"  {error.hint}", file=sys.stderr)  # noqa: T201 - the same
        return 2
    _handle_signals(agent)
    agent.start()
    gc.collect()
    gc.freeze()  # what is there now stays
    gc.set_threshold(20_000, 20, 50)  # conversations are freed by their last reference
    if agent.holder.problem:
        print(f"sifgate agent: policy not in force: {agent.holder.problem}", file=sys.stderr)  # noqa: T201 - the same
    print(f"sifgate agent listening on {agent.socket_path}", flush=True)  # noqa: T201 - who started it waits for this
    notify.tell("READY=1")
    notify.keep_awake(agent.loop.later, notify.patience())
    try:
        agent.loop.run()
    finally:
        notify.tell("STOPPING=1")
        agent.close()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sifgate agent", description="judges container launches on this node"
    )
    parser.add_argument(
        "--root", default="", metavar="DIR", help="keep all files below one directory (for trials)"
    )
    return parser.parse_args(arguments)


def _prepare_process() -> None:
    os.umask(0o022)
    sys.setswitchinterval(SWITCH_INTERVAL)
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # a broken read lease is looked at, not waited for
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if most != resource.RLIM_INFINITY and most < 1 << 20 else 1 << 20
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _handle_signals(agent: Agent) -> None:
    ending: list[float] = []

    def end(_number: int, _frame: object) -> None:
        if ending or not handed_over():
            agent.loop.stop()
            return
        ending.append(time.monotonic() + LAST_WORDS)
        agent.loop.soon(agent.listener.rest)
        agent.loop.soon(lambda: _finish(agent, ending[0]))

    def again(_number: int, _frame: object) -> None:
        notify.tell("RELOADING=1")
        agent.loop.soon(lambda: _reload(agent))

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, again)


def _finish(agent: Agent, end: float) -> None:
    """Let open conversations come to their end, for a moment; new ones queue in systemd's socket for the next agent."""
    if not agent.listener.open or time.monotonic() > end:
        agent.loop.stop()
    else:
        agent.loop.later(_LOOK, lambda: _finish(agent, end))


def _reload(agent: Agent) -> None:
    promise = agent.loop.offload(agent.reload, quick=True)

    def over() -> None:
        problem = promise.result()
        if problem:
            print(f"sifgate agent: kept the last good policy: {problem}", file=sys.stderr, flush=True)  # noqa: T201 - the service's log
        notify.tell("READY=1")

    promise.waiter = over


if __name__ == "__main__":
    status = main()
    if handed_over():  # all is written down; a thread that waits for the server must not delay the next agent
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
