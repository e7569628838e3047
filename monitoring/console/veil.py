"""What of a file is not shown to everybody who may look at it: the secret parts of addresses.

The address of a webhook is often a secret, in its path as well as in its query; one with
credentials is refused by the file's rules, but a refused file is shown, too. Addresses of workers
have none of these parts, so each address in a file is shown as far as its host.
"""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(
    r"""(?i:https?:)(?://|\\/\\/)(?P<who>[^\s"'<>]{0,1024}@)?"""
    r"""[^\s"'<>/?#\\{},]*"""  # the host, which is shown
    r"""(?P<rest>[/?#\\][^\s"'<>]*?)?(?=[\]},]*(?:[\s"'<>]|$))"""
)
HIDDEN: Final = "•"


def veiled(text: str) -> str:
    """The text with those parts hidden, each character by one: places stay where they are."""
    return _ADDRESS.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    text, start = found[0], found.start()
    for part in ("who", "rest"):
        begin, end = (at - start for at in found.span(part))
        if found[part] not in (None, "/"):
            text = text[:begin] + HIDDEN * (end - begin) + text[end:]
    return text
