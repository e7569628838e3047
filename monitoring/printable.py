"""Text from elsewhere, for who shows it to people."""

from __future__ import annotations

import re
from typing import Final

# Control characters but tab and line ends, marks that turn the direction of text, odd line ends,
# and halves of characters, which no file and no socket takes.
_HARMFUL: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: str) -> str:
    """On one line, and without a say in how the rest looks: what cannot be printed, or turns the
    direction of what follows, is shown as its escape.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def harmless(text: str) -> str:
    """The same on as many lines as it has, and with all that can be printed."""
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
