# SPDX-License-Identifier: Apache-2.0
"""Programs that start another program: which of their words come before it.

Only those whose options are few and stable are read exactly; of launchers with hundreds of options
(`mpirun`, `nsys`, `parallel`) the words are searched for a runtime instead (`sifgate.origin.words`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Prefix(NamedTuple):
    """The options of one program that starts another."""

    short: str = ""
    """Short options that take a value."""
    long: frozenset[str] = frozenset()
    """Long options that take a value in the next word."""
    operands: int = 0
    """Words of its own before the command."""
    assignments: bool = False
    """Whether `NAME=value` may stand before the command."""


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


PREFIXES = {
    "builtin": Prefix(),
    "chroot": Prefix(operands=1),
    "chrt": Prefix("TPD", operands=1),
    "command": Prefix(),
    "doas": Prefix("uC"),
    "env": Prefix("uCS", _words("unset chdir split-string argv0"), assignments=True),
    "exec": Prefix("a"),
    "ionice": Prefix("cnpPu", _words("class classdata")),
    "nice": Prefix("n", _words("adjustment")),
    "nohup": Prefix(),
    "numactl": Prefix(
        "iNmpCPw", _words("interleave cpunodebind membind preferred physcpubind preferred-many")
    ),
    "pkexec": Prefix(assignments=False),
    "setsid": Prefix(),
    "stdbuf": Prefix("ioe", _words("input output error")),
    "sudo": Prefix("ugpCDhrtTUR", _words("user group prompt host"), assignments=True),
    "taskset": Prefix(operands=1),
    "time": Prefix("fo", _words("format output")),
    "timeout": Prefix("ks", _words("kill-after signal"), operands=1),
    "unbuffer": Prefix(),
    "xvfb-run": Prefix("efnpsw", _words("error-file auth-file server-num xauth-protocol server-args wait")),
}

SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh", "ash", "rbash", "mksh", "busybox"})

LAUNCHERS = _words("""
    mpirun mpiexec mpiexec.hydra orterun prterun prun srun jsrun aprun ssh parallel xargs nsys ncu
    nvprof rocprof perf strace ltrace gdb valgrind conda mamba micromamba su script watch flock unshare
    systemd-run find
""")
"""Programs that start another one whose place among their words is searched for."""

SEGMENTED = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "orterun", "prterun", "prun", "srun"})
"""Launchers that take several commands, separated by a lone `:`."""

INERT = _words("""
    which type hash whereis whatis man info echo printf ls ll cat head tail grep egrep fgrep sed awk
    test [ [[ : true false cp mv rm ln mkdir rmdir touch chmod chown file stat du df md5sum sha1sum
    sha256sum ldd readlink realpath dirname basename module ml spack pip pip3 apt apt-get dnf yum rpm
    dpkg brew git wget curl tar unsquashfs export readonly declare local typeset unset alias unalias
    pkill killall kill pgrep ps trap read return exit for case select function set shopt ulimit umask
    wait sleep date hostname logger lsof diff cmp wc sort uniq cut tr seq tee
""")
"""Programs and words of a shell that start nothing that their arguments name."""

KEYWORDS = _words("if then else elif while until do done fi esac ! { } coproc")
"""Words of a shell before a command."""


def after(name: str, words: Sequence[str], at: int) -> int | None:
    """Return the index of the command that the prefix `name` at `at` starts; None where it starts none."""
    prefix = PREFIXES[name]
    operands = prefix.operands
    at += 1
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
        elif word.startswith("-"):
            if name == "command" and word in {"-v", "-V"}:
                return None
            at += 2 if _takes_value(word, prefix) else 1
            continue
        elif prefix.assignments and _is_assignment(word):
            return at
        break
    at += operands
    return at if at < len(words) else None


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


def _takes_value(word: str, prefix: Prefix) -> bool:
    """Return whether the option `word` has its value in the next word."""
    if word.startswith("--"):
        return word[2:] in prefix.long
    for index, letter in enumerate(word[1:], start=2):
        if letter in prefix.short:
            return index == len(word)
    return False
