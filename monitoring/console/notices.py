"""What is said once at the top of the next page: the address of that page holds a key, never the
words, so that no link can put words into this console's mouth.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final

_MOST: Final = 200
PARAMETER: Final = "notice"


@dataclass(frozen=True, slots=True)
class Notice:
    """``warning``: done, but not all is well."""

    text: str
    warning: str = ""


class Notices:
    """The newest so many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Notice] = OrderedDict()

    def leave(self, notice: Notice) -> str:
        """Gives the key."""
        key = token_urlsafe(9)
        self._kept[key] = notice
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return key

    def get(self, key: str | None) -> Notice | None:
        """None if there is none of that key any more."""
        return self._kept.get(key or "")
