# SPDX-License-Identifier: Apache-2.0
"""A simulation over records in any order: sorted on disk by what was judged, and judged by several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from ctypes import c_uint64
from pathlib import Path
from typing import Any
from zlib import crc32

from sifgate.whatif.launches import Intake
from sifgate.whatif.recorded import Verdicts
from sifgate.whatif.simulate import Question, simulate
from sifgate.whatif.spool import RUN_BYTES, Spool, merged
from sifgate.whatif.tally import Tally

Progress = Callable[[str, int], None]
"""Hears what is being done (`read`, `judged`) and how many launches of it are done so far."""
WORTH_A_PROCESS = 20_000
"""Launches below which starting another process costs more than it gains."""
STEP = 1000
"""Launches between two words of progress."""
POLL = 0.2

_done: Any = None


def simulate_unordered(
    question: Question,
    lines: Iterable[bytes],
    intake: Intake,
    verdicts: Verdicts,
    *,
    progress: Progress,
    processes: int = 2,
) -> Tally:
    """Return the counts over the lines of audit logs; `verdicts` must survive pickling where `processes` > 1."""
    with ExitStack() as stack:
        spools = [Spool(run_bytes=RUN_BYTES // processes) for _ in range(processes)]
        for spool in spools:
            stack.callback(spool.close)
        count = 0
        for count, row in enumerate(intake.rows(lines), 1):
            spools[crc32(row[: row.index(b"\t")]) % processes].add(row)
            if count % STEP == 0:
                progress("read", count)
        runs = [spool.runs() for spool in spools]
        if processes == 1 or count < WORTH_A_PROCESS:
            return _here(question, runs, verdicts, progress)
        return _elsewhere(question, runs, verdicts, progress)


def simulate_ordered(
    question: Question, lines: Iterable[bytes], intake: Intake, verdicts: Verdicts, *, progress: Progress
) -> Tally:
    """Return the counts over records that come ordered by verdict, as the server exports them."""
    return simulate(question, intake.rows(lines), verdicts, _counting(progress))


def _here(question: Question, parts: list[list[Path]], verdicts: Verdicts, progress: Progress) -> Tally:
    tally = Tally()
    done = _counting(progress)
    for runs in parts:
        tally.merge(simulate(question, merged(runs), verdicts, done))
    return tally


def _elsewhere(question: Question, parts: list[list[Path]], verdicts: Verdicts, progress: Progress) -> Tally:
    """Return the counts of all parts, each judged by a process of its own."""
    context = multiprocessing.get_context("spawn")
    done = context.Value(c_uint64, 0)
    with ProcessPoolExecutor(len(parts), mp_context=context, initializer=_begin, initargs=(done,)) as pool:
        futures: list[Future[Tally]] = [pool.submit(_part, question, runs, verdicts) for runs in parts]
        while wait(futures, timeout=POLL).not_done:
            progress("judged", done.value)
    tally = Tally()
    for future in futures:
        tally.merge(future.result())
    return tally


def _begin(done: Any) -> None:
    """Remember, in a new process, where it counts what it has done."""
    global _done  # noqa: PLW0603  # a pool hands values of this kind to its processes in no other way
    _done = done


def _part(question: Question, runs: list[Path], verdicts: Verdicts) -> Tally:
    def progress(count: int) -> None:
        with _done.get_lock():
            _done.value += count

    return simulate(question, merged(runs), verdicts, progress)


def _counting(progress: Progress) -> Callable[[int], None]:
    total = 0

    def count(more: int) -> None:
        nonlocal total
        total += more
        progress("judged", total)

    return count
