"""The texts a scalar of ``routing.yaml`` may be, as values: numbers with units, words and names.

Every function takes the text as the operator typed it and returns its value, or raises ValueError
with a sentence for the operator: what was found, the rule, what to do instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypeVar

from gateway.http.headers import HOP_BY_HOP
from gateway.model import FULL_WEIGHT

Number = TypeVar("Number", int, float)
Word = TypeVar("Word", bound=StrEnum)

# Also the patterns of the JSON Schema. Digits are bounded: int() refuses thousands of them.
PERCENT: Final = r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,12}))?%?"
DURATION: Final = "(0|[1-9][0-9]{0,11})(ms|s|m|h|d)"
SIZE: Final = "(0|[1-9][0-9]{0,11})(|[kMG]B|[KMG]iB)"
COUNT: Final = "(0|[1-9][0-9]{0,11})"
VALUE_BOUND: Final = r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?"
NAME: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
LABEL: Final = ".{1,64}"
POINTER: Final = "(/([^~/]|~[01])*){0,32}"  # RFC 6901
PATH: Final = '/[!-"$->@-~]{0,1023}'  # visible ASCII without # and ?
VALUE: Final = "[!-~]([ -~]{0,998}[!-~])?"
TOKEN: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"  # RFC 9110, section 5.6.2

_CREDENTIALS: Final = re.compile("//[^/]*@")
_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES: Final = {
    "": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
# What the hop decides, so no client's value of it says anything of the client.
_FRAMING: Final = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_YES_AND_NO: Final = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), "true"),
    **dict.fromkeys(("false", "no", "off", "n", "0"), "false"),
}


def quoted(text: str) -> str:
    """The text for a message: in quotes, control characters escaped, not endless, no password."""
    shown = _CREDENTIALS.sub("//***@", text)
    return repr(shown if len(shown) <= 60 else f"{shown[:57]}...")


def nearest(word: str, known: list[str]) -> str:
    """What to write instead of an unknown word."""
    near = get_close_matches(word, known, 1)
    if near:
        return f"did you mean {quoted(near[0])}?"
    plain = (one if re.fullmatch(NAME, one) else quoted(one) for one in known[:20])
    return f"write one of {', '.join(plain)}"


# Numbers.


def percent(text: str) -> int:
    """``10``, ``10%``, ``0.5``: basis points."""
    found = re.fullmatch(PERCENT, text)
    if found is None:
        raise _refusal(text, "a percentage", "a number from 0 to 100")
    whole, fraction = found[1], found[2] or ""
    if len(fraction) > 2:
        raise ValueError(f"{quoted(text)} has more than two decimals; write steps of 0.01")
    points = int(whole) * 100 + int(fraction.ljust(2, "0"))
    if points > FULL_WEIGHT:
        raise ValueError(f"{quoted(text)} is more than 100; write a number from 0 to 100")
    return points


def percent_text(points: int) -> str:
    """Basis points as the file writes them: ``10``, ``0.5``, ``12.25``."""
    whole, hundredths = divmod(points, 100)
    return f"{whole}.{hundredths:02}".rstrip("0") if hundredths else str(whole)


def duration(text: str) -> float:
    """``800ms``, ``10s``, ``5m``, ``1h``, ``7d``: seconds."""
    found = re.fullmatch(DURATION, text)
    if found is None and re.fullmatch(COUNT, text):
        raise ValueError(f"{quoted(text)} has no unit; write {text}s, or {text}ms for milliseconds")
    if found is None:
        raise _refusal(
            text, "a duration", "a whole number and a unit, such as 800ms, 10s, 5m, 1h or 7d"
        )
    return int(found[1]) * _MILLISECONDS[found[2]] / 1000


def pause(text: str) -> float | None:
    """A duration up to a year, or ``forever``: None."""
    if text == "forever":
        return None
    try:
        return _up_to_a_year(text)
    except ValueError as error:
        raise ValueError(f"{error}, or forever") from None


def size(text: str) -> int:
    """``512``, ``1KiB``, ``1MiB``, ``1GiB``, also ``1kB``, ``1MB``, ``1GB``: bytes."""
    found = re.fullmatch(SIZE, text)
    if found is None:
        raise _refusal(text, "a size", "bytes as a whole number, or such as 512KiB or 1MiB")
    return int(found[1]) * _BYTES[found[2]]


def count(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(COUNT, text):
        raise _refusal(text, "a whole number", "one such as 256")
    return int(text)


def value_bound(text: str) -> float:
    """A number of any kind, such as ``-0.5`` or ``250``."""
    if not re.fullmatch(VALUE_BOUND, text):
        raise _refusal(text, "a number", "one such as 250, 0.5 or -40")
    return float(text)


def within(parse: Callable[[str], Number], least: str, most: str) -> Callable[[str], Number]:
    """``parse``, refusing what is not between two bounds of the same kind."""
    low, high = parse(least), parse(most)

    def bounded(text: str) -> Number:
        value = parse(text)
        if not low <= value <= high:
            raise ValueError(f"{quoted(text)} is out of range; write {least} to {most}")
        return value

    return bounded


_up_to_a_year: Final = within(duration, "1ms", "365d")


def _refusal(text: str, kind: str, remedy: str) -> ValueError:
    # YAML 1.1 reads 010 as 8; a reader of the file cannot know which is meant.
    zeros = ", without leading zeros" if re.match("0[0-9]", text) else ""
    return ValueError(f"{quoted(text)} is not {kind}; write {remedy}{zeros}")


# Words.


def switch(text: str) -> bool:
    """``true`` or ``false``, exactly."""
    if text not in ("true", "false"):
        instead = _YES_AND_NO.get(text.lower(), "true or false")
        raise ValueError(f"{quoted(text)} is neither true nor false; write {instead}")
    return text == "true"


def one_of(words: type[Word]) -> Callable[[str], Word]:
    """A reader of one word of a closed set."""

    def read(text: str) -> Word:
        try:
            return words(text)
        except ValueError:
            known = [word.value for word in words]
            sentence = f"{quoted(text)} is unknown here; {nearest(text, known)}"
            raise ValueError(sentence) from None

    return read


def matching(pattern: str, rule: str) -> Callable[[str], str]:
    """A reader of texts of one form; ``rule`` is the rest of the sentence about any other."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{quoted(text)} {rule}")
        return text

    return read


name: Final = matching(
    NAME,
    "is not a name; write at most 63 letters, digits, '.', '_' and '-', a letter or digit first",
)
label: Final = matching(LABEL, "is too long or empty; write 1 to 64 characters")
pointer: Final = matching(
    POINTER,
    "is not a JSON Pointer; write one such as /predictions/0, with ~1 for '/' and ~0 for '~' in it",
)
path: Final = matching(
    PATH, "is not a path; write '/' and visible ASCII characters, without '?' and '#'"
)
token: Final = matching(
    TOKEN, "cannot be the name of a header or cookie; write one such as X-User-Id"
)
header_value: Final = matching(
    VALUE, "cannot be a header's value; write visible ASCII characters, without spaces at the ends"
)


def header(text: str) -> str:
    """The name of a header, lower-case."""
    return token(text).lower()


def key_header(text: str) -> str:
    """The name of a header by which a version is chosen, lower-case."""
    lower = header(text)
    if lower.encode() in _FRAMING:
        raise ValueError(
            f"{quoted(text)} is about the connection, not about the client; "
            "write another header, such as X-User-Id"
        )
    return lower
