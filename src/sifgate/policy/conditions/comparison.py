# SPDX-License-Identifier: Apache-2.0
"""`">= 7.0"`, `"< 30d"`: a sign and a border, as they stand in a policy."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import msgspec

from sifgate.yamlnode import Node, quoted

_SWAPPED: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.le,
    "<=": operator.ge,
    ">": operator.lt,
    "<": operator.gt,
    "=": operator.eq,
}
"""By sign, with the border first."""
_WORDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "=": "exactly"}
_FORM = re.compile(r"(>=|<=|>|<|=)\s*([0-9.]{1,20})([a-z]{0,2})", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,9})?", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,6}", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Comparison(msgspec.Struct, frozen=True):
    """A sign and a border; equal borders compare equal however they were written."""

    sign: str
    border: float

    def holds(self, value: float) -> bool:
        """Return whether a value stands on the right side of the border."""
        return self.checker()(value)

    def checker(self) -> Callable[[float], bool]:
        """Return `holds` as a function that is quick for many values."""
        return partial(_SWAPPED[self.sign], self.border)

    def say(self, show: Callable[[float], str]) -> str:
        """Return e.g. `at least 7.0`, with the border as `show` writes it."""
        return f"{_WORDS[self.sign]} {show(self.border)}"


def read_number(node: Node, *, maximum: int, places: int) -> Comparison:
    """Return the comparison with a decimal from 0 to `maximum` with at most so many places.

    One that no number meets is an error: it is a slip of the pen.
    """
    sign, number, unit = _parts(node, '">= 0.10"' if maximum == 1 else '">= 7.0"')
    if unit or not _DECIMAL.fullmatch(number):
        raise node.error(f"expected a decimal number behind the sign, got {quoted(number + unit)}")
    if len(number.partition(".")[2].rstrip("0")) > places:
        raise node.error(f"expected at most {places} decimal place{'s' * (places > 1)}, got {quoted(number)}")
    if float(number) > maximum:
        raise node.error(f"expected a number from 0 to {maximum}, got {quoted(number)}")
    found = Comparison(sign, float(number))
    if not found.holds(0) and not found.holds(maximum) and sign != "=":
        raise node.error(f"no number from 0 to {maximum} is {quoted(node.text())}")
    return found


def read_age(node: Node) -> Comparison:
    """Return the comparison with a length of time, in seconds; `=` is an error: an age is equal for no time at all."""
    sign, number, unit = _parts(node, '">= 365d"')
    if sign == "=":
        raise node.error(f'an age is never exactly {number}{unit} for long: write ">=" or "<"')
    if unit not in _SECONDS or not _LENGTH.fullmatch(number):
        raise node.error(f"expected a length of time such as 48h or 365d, got {quoted(number + unit)}")
    found = Comparison(sign, int(number) * _SECONDS[unit])
    if found.border == 0 and sign in {">=", "<"}:
        raise node.error(f"{'every' if sign == '>=' else 'no'} age is {quoted(node.text())}")
    return found


def say_length(seconds: float) -> str:
    """Return seconds as people say them: `365 days`, `48 hours`."""
    length = timedelta(seconds=seconds)
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        number, rest = divmod(int(length.total_seconds()), size)
        if number and not rest:
            return f"{number} {name}{'s' * (number > 1)}"
    return f"{int(seconds)} seconds"


def _parts(node: Node, example: str) -> tuple[str, str, str]:
    """Return sign, number and unit; a bare number is refused, since it may be meant as "at least" or "at most"."""
    if node.type_name == "number" and isinstance(node.content, str):
        raise node.error(f'say which: ">= {node.content[:20]}" (at least) or "< {node.content[:20]}" (less)')
    text = node.text().strip()
    parts = _FORM.fullmatch(text)
    if parts is None:
        if _FORM.fullmatch(f"={text}"):
            raise node.error(f'say which: ">= {text}" (at least) or "< {text}" (less)')
        raise node.expected(f"a comparison such as {example}")
    return parts[1], parts[2], parts[3]
