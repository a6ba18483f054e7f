# SPDX-License-Identifier: Apache-2.0
"""YAML with places: what is read, what is refused, and how the error looks."""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from sifgate import yamlfile
from sifgate.errors import ConfigError, PolicyError
from sifgate.yamlnode import Node, nearest, quoted


def read(text: str) -> Node:
    """Return the document that a text holds."""
    return yamlfile.parse(text.encode(), "x.yaml")


def refusal(text: str, act: Any = None) -> str:
    """Return the error that reading a text, or `act` on it, gives."""
    with pytest.raises(ConfigError) as caught:
        (act or Node.plain)(read(text))
    return str(caught.value)


def test_values_are_read_by_type() -> None:
    """Each typed access returns a value of its type."""
    fields = read(
        "a: word\nb: true\nc: -12\nd: 2026-10-01\ne: '2026-10-01'\nf: 90s\ng: [x, y]\nh: one\ni: {j: k}\nk: '5'\n"
    ).mapping(keys="abcdefghik", required=("a",))
    assert fields["a"].text() == "word"
    assert fields["b"].boolean() is True
    assert fields["c"].integer(minimum=-20, maximum=0) == -12
    assert fields["d"].date() == fields["e"].date() == date(2026, 10, 1)
    assert fields["f"].duration(maximum=timedelta(hours=1)) == timedelta(seconds=90)
    assert [item.text() for item in fields["g"].sequence()] == ["x", "y"]
    assert fields["g"].one_or_more(Node.text) == ("x", "y")
    assert fields["h"].one_or_more(Node.text) == ("one",)
    assert fields["h"].choice(("one", "two")) == "one"
    assert fields["i"].mapping()["j"].path == "i.j"
    assert fields["k"].text() == "5"


def test_error_shows_the_line_and_points() -> None:
    """The form that admins see: place, what, remedy, the line, a mark under the column."""
    message = refusal(
        "server:\n  ulr: https://x\n", lambda node: node.mapping()["server"].mapping(keys=("url",))
    )
    assert message == (
        'x.yaml:2:3: server: unknown key "ulr" (did you mean "url"?)\n  2 |   ulr: https://x\n    |   ^'
    )


def test_long_line_is_cut_around_the_place() -> None:
    """A line of a megabyte does not fill the terminal, and the mark still points."""
    message = refusal(f"a: [{'x, ' * 500}{{, {'y, ' * 500}]")
    excerpt, mark = message.splitlines()[1:]
    assert len(excerpt) < 120
    assert excerpt[mark.index("^")] in "{,"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "x.yaml:1:1: the file is empty"),
        (" \n\n", "x.yaml:3:1: the file is empty"),
        ("a: 1\na: 2\n", 'x.yaml:2:1: the key "a" stands twice'),
        ("a:\n\tb: 1\n", "x.yaml:2:1: a tab is not allowed here"),
        ("a: &x 1\nb: *x\n", "x.yaml:1:4: anchors and aliases"),
        ("a: &a [*a]\n", "x.yaml:1:4: anchors and aliases"),
        ("a: !!str x\n", "x.yaml:1:4: tags (!) are not supported"),
        ("a: !!python/object/apply:os.system [x]\n", "x.yaml:1:4: tags"),
        ("<<: {a: 1}\n", "x.yaml:1:1: merge keys"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2:1: the file holds more than one document"),
        ("1: a\n", "x.yaml:1:1: a key must be text"),
        ("yes: a\n", "x.yaml:1:1: a key must be text"),
        ("? [a]\n: b\n", "x.yaml:1:3: a key must be text"),
        ("a: {b: 1\n", "x.yaml:2:1: not YAML"),
        ('a: "\\ud800"\n', "x.yaml:1:4: text holds half of a surrogate pair"),
        ("a: \x01\n", "x.yaml:1:4: a control character"),
        ("[" * 30, "x.yaml:1:25: values are nested more than 24 deep"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(text: str, start: str) -> None:
    """Each with its place, and nothing of it is built."""
    assert refusal(text).startswith(start)


@pytest.mark.parametrize("content", [b"a: \xff\n", b"a: b\nc: \xed\xa0\x80\n", "a: b".encode("utf-16")])
def test_what_is_not_utf8_is_refused(content: bytes) -> None:
    """The place is that of the first bad byte."""
    line = 2 if b"\n" in content[:-1] else 1
    with pytest.raises(ConfigError, match=rf"x\.yaml:{line}:[0-9]+: the file is not UTF-8"):
        yamlfile.parse(content, "x.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "a: [" + "x, " * 60_000 + "]",
        "".join(f"k{n}: [x, x, x]\n" for n in range(9000)),
        "a: '" + "x" * 250_000,
        "? " * 100_000,
        '"' * 200_000,
    ],
    ids=range(8),
)
def test_bombs_end_soon(text: str) -> None:
    """Depth, number and size are bounded before anything is built."""
    start = time.process_time()
    assert refusal(text).startswith("x.yaml:")
    assert time.process_time() - start < 20


def test_file_larger_than_the_bound_is_not_read(tmp_path: Path) -> None:
    """One byte past the bound is enough to know."""
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (yamlfile.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        yamlfile.load(path)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A FIFO would hang a reload, a device never ends, a directory is a slip."""
    fifo = tmp_path / "policy.yaml"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match=r"not a regular file|Is a directory"):
            yamlfile.load(path)


def test_load_raises_the_class_that_was_asked_for(tmp_path: Path) -> None:
    """The policy's loader gets its own errors."""
    with pytest.raises(PolicyError, match=r"nothing\.yaml: cannot be read: No such file or directory"):
        yamlfile.load(tmp_path / "nothing.yaml", failure=PolicyError)
    path = tmp_path / "bad.yaml"
    path.write_text("a: [")
    with pytest.raises(PolicyError, match=rf"{path}:1:"):
        yamlfile.load(path, failure=PolicyError)


@pytest.mark.parametrize(
    ("text", "act", "words"),
    [
        ("a: yes", lambda n: n.boolean(), 'expected true or false, got the word "yes"'),
        ("a: 1", lambda n: n.boolean(), 'expected true or false, got the number "1"'),
        ("a: 1_000", lambda n: n.integer(minimum=0, maximum=9), "expected a whole number"),
        ("a: 0x10", lambda n: n.integer(minimum=0, maximum=99), "expected a whole number"),
        ("a: 010", lambda n: n.integer(minimum=0, maximum=99), "expected a whole number"),
        ("a: 1:30", lambda n: n.integer(minimum=0, maximum=99), "expected a whole number"),
        ("a: '5'", lambda n: n.integer(minimum=0, maximum=9), "expected a whole number"),
        (f"a: {'9' * 5000}", lambda n: n.integer(minimum=0, maximum=9), "expected a whole number"),
        ("a: 10", lambda n: n.integer(minimum=0, maximum=9), "expected a number from 0 to 9, got 10"),
        ("a: 2026-02-30", lambda n: n.date(), "no such date: 2026-02-30"),
        ("a: 1/2/2026", lambda n: n.date(), "expected a date as YYYY-MM-DD"),
        ("a: 2026-1-2", lambda n: n.date(), "expected a date as YYYY-MM-DD"),
        ("a: 10", lambda n: n.duration(maximum=timedelta(1)), "expected a length of time"),
        ("a: 10 s", lambda n: n.duration(maximum=timedelta(1)), "expected a length of time"),
        ("a: 2d", lambda n: n.duration(maximum=timedelta(1)), "from 0s to 86400s, got 2d"),
        ("a:", lambda n: n.text(), "expected text, got nothing"),
        ("a: ''", lambda n: n.text(), "expected text, got an empty one"),
        ("a: no", lambda n: n.text(), 'expected text, got the word "no"'),
        ("a: 1.10", lambda n: n.text(), 'got the number "1.10"'),
        ("a: [b]", lambda n: n.text(), "expected text, got a list"),
        ("a: {b: c}", lambda n: n.sequence(), "expected a list, got a mapping"),
        ("a: []", lambda n: n.sequence(minimum=1), "the list is empty"),
        ("a: [b, c]", lambda n: n.sequence(maximum=1), "at most 1 items"),
        ("a: abcdef", lambda n: n.text(maximum=5), "at most 5 characters, got 6"),
        ('a: "a\\u202eb"', lambda n: n.text(), "control or invisible"),
        ("a: onee", lambda n: n.choice(("one", "two")), '(did you mean "one"?)'),
        ("a: 1", lambda n: n.choice(("one", "two")), "expected one of one, two"),
        ("a: b", lambda n: n.mapping(), 'expected a mapping, got text "b"'),
    ],
)
def test_value_of_another_type_is_refused(text: str, act: Any, words: str) -> None:
    """The error says what was expected and what stands there."""
    message = refusal(text, lambda node: act(node.mapping()["a"]))
    assert message.startswith("x.yaml:1:")
    assert words in message


def test_number_in_place_of_text_says_to_quote_it() -> None:
    """The hint is what to type."""
    with pytest.raises(ConfigError) as caught:
        read("a: 12.10").mapping()["a"].text()
    assert caught.value.hint == 'put it in quotes: "12.10"'


def test_missing_key_is_named() -> None:
    """A required key that is not there is an error at the mapping."""
    assert 'a: the key "url" is missing' in refusal(
        "a: {b: c}", lambda node: node.mapping()["a"].mapping(required=("url",))
    )


def test_key_far_from_any_valid_one_gets_the_list() -> None:
    """Where nothing is near, all valid keys are listed."""
    message = refusal("zzz: 1", lambda node: node.mapping(keys=("alpha", "beta")))
    assert 'unknown key "zzz"; valid keys: alpha, beta' in message


def test_plain_is_what_json_would_hold() -> None:
    """Types as a schema sees them."""
    document = read("a: 1\nb: [true, null, x, 2026-01-01, 1.5, 1e999]\nc: {d: ''}\n")
    assert document.plain() == {"a": 1, "b": [True, None, "x", "2026-01-01", 1.5, "1e999"], "c": {"d": ""}}


def test_quoting_hides_nothing_and_breaks_nothing() -> None:
    """Words of a file go into messages cut and without control characters."""
    assert quoted("a\x1b[31mb") == '"a?[31mb"'
    assert quoted("x" * 99) == f'"{"x" * 60}..."'
    assert nearest("", ("a",)) == ""
    assert nearest("blok", ("allow", "block")) == ' (did you mean "block"?)'


def test_file_of_comments_is_an_empty_mapping() -> None:
    """Settings that are all commented out are no error; a file that was cut to nothing is."""
    assert read("# url: x\n").mapping(keys=("url",)) == {}


def test_byte_order_mark_is_accepted() -> None:
    """Editors of another system put one there."""
    assert yamlfile.parse(b"\xef\xbb\xbfa: b\n", "x.yaml").plain() == {"a": "b"}
