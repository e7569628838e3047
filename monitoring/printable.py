"""Text from elsewhere, for who shows it to people."""

from __future__ import annotations


def shown(text: str) -> str:
    """On one line, and without a say in how the rest looks: what cannot be printed, or turns the
    direction of what follows, is shown as its escape.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
