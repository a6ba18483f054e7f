# SPDX-License-Identifier: Apache-2.0
"""The worker's system calls as a filter program, compiled once by the parent and loaded by each worker.

An allow-list; what is not on it kills the process. The few calls that Python's own machinery makes without need are
refused with an error instead: then a bug shows as an exception, and still nothing is opened.
"""

from __future__ import annotations

import errno
import functools
import mmap
import tempfile

_ALWAYS = (
    "read", "pread64", "write", "close", "lseek", "fstat", "ftruncate",
    "mremap", "munmap", "brk", "madvise", "futex", "set_robust_list", "rseq", "sched_yield",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    "exit", "exit_group", "getpid", "gettid", "getrusage", "getrandom", "sched_getaffinity",
    "clock_gettime", "clock_nanosleep", "gettimeofday", "poll", "ppoll",
)  # fmt: skip
_FOR_DIRECTORIES = ("openat2", "getdents64", "readlinkat", "newfstatat", "statx", "fcntl")
_REFUSED = (
    ("openat", errno.EACCES), ("open", errno.EACCES), ("stat", errno.EACCES), ("lstat", errno.EACCES),
    ("readlink", errno.EACCES), ("access", errno.EACCES), ("getcwd", errno.EACCES),
    ("statx", errno.EACCES), ("fcntl", errno.EACCES), ("getdents64", errno.EACCES),
    ("readlinkat", errno.EACCES), ("openat2", errno.EACCES),
    ("ioctl", errno.ENOTTY), ("clone3", errno.ENOSYS), ("prlimit64", errno.EPERM), ("prctl", errno.EPERM),
)  # fmt: skip
_CLONE_THREAD = 0x10000
_AT_EMPTY_PATH = 0x1000


@functools.cache
def program(*, directories: bool) -> bytes:
    """Return the filter as the kernel takes it, 8 bytes an instruction; raises OSError or RuntimeError.

    Imports libseccomp's binding only here: it searches for its library by starting programs, which no worker may.
    """
    import pyseccomp

    chosen = _ALWAYS + (_FOR_DIRECTORIES if directories else ())
    rules = pyseccomp.SyscallFilter(defaction=pyseccomp.KILL_PROCESS)
    for name in chosen:
        rules.add_rule(pyseccomp.ALLOW, name)
    for name in ("mmap", "mprotect"):
        rules.add_rule(pyseccomp.ALLOW, name, pyseccomp.Arg(2, pyseccomp.MASKED_EQ, mmap.PROT_EXEC, 0))
    rules.add_rule(
        pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD)
    )
    if not directories:  # glibc's fstat is newfstatat with an empty path; one with a path is refused
        by_descriptor = pyseccomp.Arg(3, pyseccomp.MASKED_EQ, _AT_EMPTY_PATH, _AT_EMPTY_PATH)
        by_path = pyseccomp.Arg(3, pyseccomp.MASKED_EQ, _AT_EMPTY_PATH, 0)
        rules.add_rule(pyseccomp.ALLOW, "newfstatat", by_descriptor)
        rules.add_rule(pyseccomp.ERRNO(errno.EACCES), "newfstatat", by_path)
    for name, number in _REFUSED:
        if name not in chosen:
            rules.add_rule(pyseccomp.ERRNO(number), name)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
