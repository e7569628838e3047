"""The text of ``routing.yaml`` as plain data that remembers where everything stands.

Built from the parser's events, not from loaded objects, because only these still tell what was
written: a scalar stays the text the operator typed (``on``, ``1.10`` and ``12:30`` are no boolean,
number or time), a second key of the same name is seen, and so are anchors, aliases and tags, which
are refused: an edit of one place must never change another.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol, TypeAlias

import yaml

from gateway.config.quantities import quoted
from gateway.errors import ConfigError, Problem

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 16  # the format needs six

# libyaml is eight times as fast, and marks keys and scalars at the same places (a test says so).
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Data: TypeAlias = "str | list[Data] | dict[str, Data] | None"
"""A scalar's text, None where nothing stands, or what contains them."""

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys and list indexes, from the root."""

# Not in YAML at all, or taken for nothing or for the end of a line by one program and not by the
# next: control characters, byte order marks, U+0085, U+2028, U+2029.
_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
# A scalar is one line of text; blocks and escapes could bring in anything.
_NOT_TEXT: Final = re.compile(rf"[\t\n\r]|{_FORBIDDEN.pattern}")
_LINE_BREAK: Final = re.compile("\r\n|\r|\n")
_PLAIN_KEY: Final = re.compile("[A-Za-z0-9._-]{1,63}")


class Position(NamedTuple):
    """Where something stands; both count from 1."""

    line: int
    column: int


_START: Final = Position(1, 1)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read. ``problems`` are refusals that left the rest readable; ``holes`` are the
    places where one of them left nothing (None).
    """

    data: Data = None
    problems: list[Problem] = field(default_factory=list)
    holes: set[Path] = field(default_factory=set)
    keys: dict[Path, Position] = field(default_factory=dict)
    scalars: dict[Path, Position] = field(default_factory=dict)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A problem with what stands at a path: at the scalar itself, or at the key of anything
        larger; at the nearest thing around it if nothing stands there.
        """
        place = path
        while place not in self.keys:
            place = place[:-1]
        position = self.keys[place]
        if not at_key and place == path:
            position = self.scalars.get(path, position)
        return Problem(*position, dotted(path), message)


def read(content: bytes) -> Document:
    """The content of a file. Raises :class:`ConfigError`, with one problem, if it is no YAML file
    that could be read any further.
    """
    return _Reader(_decoded(content)).read()


def dotted(path: Path) -> str:
    """``routes.iris.versions.v2.urls[0]``; odd keys in quotes, so that none forges a log line."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if _PLAIN_KEY.fullmatch(step) else quoted(step)
            text += f".{shown}" if text else shown
    return text


def kind(data: object) -> str:
    """What stands somewhere, for a message. A text is not quoted: it may be somebody's secret."""
    if isinstance(data, dict):
        return "a mapping"
    if isinstance(data, list):
        return "a list"
    return "nothing" if data is None else "a single value"


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _unreadable("the file is larger than 1 MiB; routing.yaml must be smaller")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise _unreadable("the file is UTF-16 or UTF-32; save it as UTF-8")
    if content.startswith(codecs.BOM_UTF8):
        raise _unreadable("the file begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before, byte = content[: error.start].decode(), content[error.start]
        message = f"byte 0x{byte:02x} at offset {error.start} is not UTF-8; save the file as UTF-8"
        raise _unreadable(message, _end_of(before)) from None
    if found := _FORBIDDEN.search(text):
        message = f"the character U+{ord(found[0]):04X} stands here; remove it"
        raise _unreadable(message, _end_of(text[: found.start()]))
    return text


def _end_of(text: str) -> Position:
    """Where the next character would stand."""
    lines = _LINE_BREAK.split(text)
    return Position(len(lines), len(lines[-1]) + 1)


def _unreadable(message: str, position: Position = _START) -> ConfigError:
    return ConfigError((Problem(*position, "", message),))


class _Mark(Protocol):
    """Where a parser, in Python or in C, stands; both count from 0."""

    line: int
    column: int


class _Reader:
    """Builds a document from the events of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = _end_of(text)
        self._events: Iterator[yaml.Event] = yaml.parse(text, LOADER)
        self._document = Document()

    def read(self) -> Document:
        try:
            return self._root()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # Only of the parser in Python, which hands some escapes to chr() unchecked.
            raise _unreadable(f"this is not YAML: {error}; correct it") from None

    def _root(self) -> Document:
        next(self._events)  # the stream begins
        begin = next(self._events)
        root = next(self._events, begin)
        if root is begin or (isinstance(root, yaml.ScalarEvent) and not root.value):
            raise _unreadable("the file is empty; write at least one route under the key `routes`")
        self._document.keys[()] = self._position(root)
        data = self._node(root, ())
        next(self._events)  # the document ends
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            message = "a second document begins here; keep one in the file"
            raise _unreadable(message, self._position(after))
        return replace(self._document, data=data)

    def _node(self, event: yaml.Event, path: Path) -> Data:
        """The value that begins with an event."""
        if len(path) > MAX_DEPTH:
            message = f"this is nested more than {MAX_DEPTH} levels deep, which no key needs"
            raise _unreadable(f"{message}; check the brackets", self._position(event))
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_marks(event, path)
            return self._scalar(event, path)
        if isinstance(event, yaml.CollectionStartEvent):
            self._refuse_marks(event, path)
            is_list = isinstance(event, yaml.SequenceStartEvent)
            return self._list(path) if is_list else self._mapping(path)
        self._document.holes.add(path)
        self._refuse(event, path, "an alias stands here; write the value itself")
        return None

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Data:
        if event.implicit[0] and not event.value:
            self._document.holes.add(path)
            message = "nothing stands here; write a value, or remove this"
            self._document.problems.append(self._document.problem(path, message))
            return None
        if odd := _NOT_TEXT.search(event.value):
            self._document.holes.add(path)
            message = f"the text contains U+{ord(odd[0]):04X}; write it on one line, without that"
            self._refuse(event, path, message)
            return None
        self._document.scalars[path] = self._position(event)
        return event.value

    def _list(self, path: Path) -> Data:
        items: list[Data] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            place = (*path, len(items))
            self._document.keys[place] = self._position(event)
            items.append(self._node(event, place))
        return items

    def _mapping(self, path: Path) -> Data:
        found: dict[str, Data] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            value = next(self._events)
            if key is None or key in found:
                self._skip(value)
            if key is None:
                continue
            place = (*path, key)
            if key in found:
                line, column = self._document.keys[place]
                message = f"this key stands twice, first at {line}:{column}; keep one of them"
                self._refuse(event, place, message)
            else:
                self._document.keys[place] = self._position(event)
                found[key] = self._node(value, place)
        return found

    def _key(self, event: yaml.Event, path: Path) -> str | None:
        """The text of a key; None if it is refused."""
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, path, "a key must be a text; write one instead")
            self._skip(event)
            return None
        self._refuse_marks(event, path)
        if event.implicit[0] and event.value in ("", "<<"):
            what = "merge keys are" if event.value else "a key without text is"
            self._refuse(event, path, f"{what} not supported; write the keys that are meant")
            return None
        return event.value

    def _skip(self, event: yaml.Event) -> None:
        """Pass over the rest of what begins with an event."""
        depth = int(isinstance(event, yaml.CollectionStartEvent))
        while depth:
            event = next(self._events)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)

    def _refuse_marks(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, path: Path
    ) -> None:
        if event.anchor is not None:
            self._refuse(event, path, f"remove the anchor &{event.anchor}; nothing may refer to it")
        if event.tag is not None:
            self._refuse(event, path, f"remove the tag {quoted(event.tag)}; values are plain texts")

    def _refuse(self, event: yaml.Event, path: Path, message: str) -> None:
        self._document.problems.append(Problem(*self._position(event), dotted(path), message))

    def _position(self, event: yaml.Event) -> Position:
        return self._place(event.start_mark)

    def _place(self, mark: _Mark | None) -> Position:
        """libyaml marks what is missing at the end of the file on a line that does not exist."""
        if mark is None or mark.line >= self._end.line:
            return self._end
        return Position(mark.line + 1, mark.column + 1)

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> ConfigError:
        lines = _LINE_BREAK.split(self._text)
        position = self._place(error.problem_mark or error.context_mark)
        if lines[position.line - 1].startswith("\t", position.column - 1):
            return _unreadable("a tab stands here; indent with spaces", position)
        context = f" ({error.context})" if error.context else ""
        message = f"this is not YAML: {error.problem}{context}"
        return _unreadable(f"{message}; check indentation, quotes and brackets here", position)
