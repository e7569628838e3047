"""A language model as a worker sees it: the turns of a conversation in, tokens of a reply out.

It has no contract of features and outputs: whoever asks it writes text, and gets text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+\Z")


class Turn(NamedTuple):
    """What one side said; ``role`` is ``user``, ``assistant``, ``system``, ..."""

    role: str
    text: str


class Speaker(Protocol):
    """Replies to conversations. The same turns, seed and temperature give the same reply."""

    def speak(self, turns: Sequence[Turn], seed: int, temperature: float) -> Iterator[str]:
        """The tokens of a reply; joined, they are its text. It may never end by itself."""
        ...


def tokens(text: str) -> list[str]:
    """A text in tokens: words and marks, each with the space before it. Joined, they are it."""
    return _TOKEN.findall(text)
