"""Reading the prediction out of an answer: a typed msgspec decoder built from JSON Pointers.

The decoder knows only the fields on the way to the prediction, so msgspec skips all others without
making Python objects (0.17 us for a small answer; the standard library's json takes 2.3). It takes
all elements of an array to be alike; an answer where they are not is decoded whole and looked
through. Reading never raises: what cannot be read is a reason to count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from gateway.answers.compression import TooLarge
from gateway.answers.tensors import document_of
from gateway.model import Prediction

# A longer answer is not decoded: this runs on the request path's own loop.
MAX_BYTES: Final = 1024 * 1024
MAX_LABEL: Final = 64  # characters; a longer text is free text, not a class
# A value beyond this, in either direction, is none: one such number would be the sum of all others
# for ever. Beyond it not every whole number is a float of its own.
MAX_VALUE: Final = 1e15

# From here on an array is not decoded whole for one of its elements, in bytes of the answer.
LONG: Final = 1024

_Leaf = str | int | float | bool | None
_decode_leaf: Final = msgspec.json.Decoder(_Leaf).decode
_PLAIN: Final = rb'(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,\[\]{}"]+)'


class Missing(StrEnum):
    """Why an answer gave no prediction; the label ``reason`` of
    ``canary_prediction_missing_total``.
    """

    UNREADABLE = "unreadable"  # no JSON
    ABSENT = "absent"  # JSON, but nothing that can be a prediction stands at the pointer
    TOO_LARGE = "too_large"


Reading = tuple[str | None, float | None, float | None, Missing | None]
"""Label, score, value, and why there is none. A plain tuple: one is made per answer (a frozen
dataclass costs 0.5 us more)."""


class PredictionReader:
    """Reads label, score and value of one route's answers in one pass. That there is none is said
    of the label, or else of the value, or else of the score.
    """

    __slots__ = ("_label", "_long", "_score", "_short", "_value")

    def __init__(self, prediction: Prediction) -> None:
        self._label = None if prediction.label is None else _tokens(prediction.label)
        self._score = None if prediction.score is None else _tokens(prediction.score)
        self._value = None if prediction.value is None else _tokens(prediction.value)
        root = _Node()
        ways = self._label, self._score, self._value
        for tokens in ways:
            if tokens is not None:
                root.add(tokens)
        # What is read of an answer that has the shape the pointers suggest.
        self._short = self._long = self._look_through
        with suppress(ValueError):  # msgspec takes no field names with quotes or backslashes
            self._short = _Plan(root, ways, raw=False).look
            self._long = _Plan(root, ways, raw=True).look

    def read(self, body: bytes) -> Reading:
        """The prediction in a whole answer body. Never raises."""
        size = len(body)
        if size > MAX_BYTES:
            return None, None, None, Missing.TOO_LARGE
        try:
            label, score, value = self._short(body) if size < LONG else self._long(body)
        # Another shape, perhaps only beside the way; or not JSON alone.
        except (msgspec.MsgspecError, ValueError, RecursionError, _Unlike):
            try:
                label, score, value = self._look_through(body)
            except TooLarge:
                return None, None, None, Missing.TOO_LARGE
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return None, None, None, Missing.UNREADABLE
        expected = label
        if self._label is None:
            expected = score if self._value is None else value  # type: ignore[assignment]
        return label, score, value, Missing.ABSENT if expected is None else None

    def _look_through(self, body: bytes) -> _Found:
        """All of any JSON, as far as it is there."""
        document = document_of(body, MAX_BYTES)
        return (
            _label_text(_find(document, self._label)),
            _number(_find(document, self._score)),
            _value_of(_find(document, self._value)),
        )


class _Unlike(Exception):
    """A long array does not begin with plain values."""


class _Plan:
    """A decoder of what stands on the way, and the ways through what it gives.

    ``raw`` leaves arrays of plain values undecoded and takes one element out of their text: 6 us
    instead of 15 for an answer of 10 KB with 290 predictions. For a short one it costs more.
    """

    __slots__ = ("_decode", "_every", "_label", "_score", "_value")

    def __init__(self, root: _Node, ways: Sequence[list[str] | None], *, raw: bool) -> None:
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(root.type(raw)).decode
        steps = [None if tokens is None else root.steps(tokens, raw) for tokens in ways]
        self._label, self._score, self._value = steps
        self._every = _expression(steps)

    def look(self, body: bytes) -> _Found:
        """Raises msgspec.MsgspecError or :class:`_Unlike`."""
        decoded = self._decode(body)
        try:
            label, score, value = self._every(decoded)
        except (IndexError, AttributeError, TypeError):  # one of them is not there
            label = _at(decoded, self._label)
            score = _at(decoded, self._score)
            value = _at(decoded, self._value)
        return (
            label if type(label) is str else _label_text(label),
            score if type(score) is float else _number(score),
            None if value is None else _value_of(value),
        )


_Found = tuple[str | None, float | None, float | None]
_Step = str | int | re.Pattern[bytes]
_Steps = tuple[_Step, ...] | None


@dataclass(slots=True)
class _Node:
    """The pointers as a tree: inner nodes become structs or lists, leaves scalars."""

    children: dict[str, _Node] = field(default_factory=dict)

    def add(self, tokens: list[str]) -> None:
        node = self
        for token in tokens:
            node = node.children.setdefault(token, _Node())

    def type(self, raw: bool) -> Any:
        """The msgspec type that decodes this node and passes over everything else."""
        if not self.children:
            return _Leaf
        if self._is_list():
            element = self._element()
            if raw and not element.children:
                return msgspec.Raw
            return list[element.type(raw)]  # type: ignore[misc]  # made at run time
        names = {_field(i): token for i, token in enumerate(self.children)}
        # What is not there yet may be said to be null: the usage of a chat, in most of its events.
        fields = [
            (name, self.children[token].type(raw) | msgspec.UnsetType | None, msgspec.UNSET)
            for name, token in names.items()
        ]
        return msgspec.defstruct("Answer", fields, rename=names)

    def steps(self, tokens: list[str], raw: bool) -> tuple[_Step, ...]:
        """The way to one pointer through decoded values: attribute names, list indexes, and what
        finds an element in an undecoded array.
        """
        node = self
        steps: list[_Step] = []
        for token in tokens:
            if node._is_list():
                node = node._element()
                undecoded = raw and not node.children
                steps.append(_element_pattern(int(token)) if undecoded else int(token))
            else:
                steps.append(_field(list(node.children).index(token)))
                node = node.children[token]
        return tuple(steps)

    def _is_list(self) -> bool:
        return bool(self.children) and all(token.isdecimal() for token in self.children)

    def _element(self) -> _Node:
        """One node for all elements of a list: the children, merged."""
        merged = _Node()
        for child in self.children.values():
            merged.children.update(child.children)
        return merged


def _element_pattern(index: int) -> re.Pattern[bytes]:
    """Finds one element at the start of the text of a JSON array that is known to be valid, if it
    and all before it are plain values.
    """
    before = rb"(?:%b\s*,\s*){%d}" % (_PLAIN, index) if index else b""
    return re.compile(rb"\s*\[\s*%b(%b)\s*[,\]]" % (before, _PLAIN))


def _field(index: int) -> str:
    """A Python name for a JSON key, which may be anything."""
    return f"field{index}"


def _tokens(pointer: str) -> list[str]:
    """The reference tokens of a JSON Pointer (RFC 6901, sections 3 and 4)."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _expression(ways: Sequence[_Steps]) -> Callable[[Any], tuple[Any, ...]]:
    """Goes all ways at once, where they are plain: one expression, made as the standard library
    makes named tuples. Walking them step by step costs 0.25 us more.
    """
    texts = []
    for steps in ways:
        if any(isinstance(step, re.Pattern) for step in steps or ()):
            return lambda decoded: tuple(_at(decoded, steps) for steps in ways)
        access = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps or ())
        texts.append("None" if steps is None else "decoded" + "".join(access))
    made: Callable[[Any], tuple[Any, ...]] = eval(f"lambda decoded: ({', '.join(texts)})")
    return made


def _at(decoded: Any, steps: _Steps) -> Any:
    """What stands at the end of the way; None if nothing does."""
    if steps is None:
        return None
    try:
        for step in steps:
            if decoded is msgspec.UNSET or decoded is None:  # as in most events of a stream
                return None
            if type(step) is str:
                decoded = getattr(decoded, step)
            elif type(step) is int:
                decoded = decoded[step]
            else:
                decoded = _element(decoded, step)  # type: ignore[arg-type]
    except (IndexError, AttributeError, TypeError):
        return None
    return decoded


def _element(array: msgspec.Raw, pattern: re.Pattern[bytes]) -> Any:
    found = pattern.match(array)
    if found is None:
        raise _Unlike
    return _decode_leaf(found[1])


def _find(document: Any, tokens: list[str] | None) -> Any:
    """What stands there in a document decoded whole; None if nothing does."""
    if tokens is None:
        return None
    try:
        for token in tokens:
            document = document[int(token) if type(document) is list else token]
    except (LookupError, TypeError, ValueError):
        return None
    return document


def _label_text(value: Any) -> str | None:
    """A class label as text, the way JSON writes it; None if it cannot be one."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) in (int, float) else None


def _number(value: Any) -> float | None:
    if type(value) not in (float, int):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return None


def _value_of(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and -MAX_VALUE <= number <= MAX_VALUE else None
