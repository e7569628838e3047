"""Routing files in any layout: the same values in brackets or lines, with comments everywhere."""

from __future__ import annotations

import json
import random
import re
from typing import Any

COMMENTS = ("", "", "", " # a, b: c", "  # {x: 3}", "\t# tab", " # 'ü', 日本 🙂", ' # }, ] "')
HEADS = ("", "", "# first\n", "---\n", "%YAML 1.1\n---  # first\n", "\n\n")
TAILS = ("", "", "...\n", "# last", "\n\n", "   ")


def routing_file(seed: int) -> str:
    """One or two routes, ``a`` the first, with the versions v1 (stable), v2 and v3."""
    draw = random.Random(seed)
    names = draw.choice([["a"], ["a", "b"]])
    text = Writer(draw).document({"routes": {name: _route(name, draw) for name in names}})
    return text.replace("\n", draw.choice(["\n", "\n", "\r\n"]))


def comments(text: str) -> list[str]:
    """The marks of all comments, in the order of the file."""
    return re.findall(r"!\d+", text)


def _route(name: str, draw: random.Random) -> dict[str, Any]:
    versions = {f"v{number}": _version(number, draw) for number in (1, 2, 3)}
    route: dict[str, Any] = {
        "stable": "v1",
        "versions": _shuffled(versions, draw),
        "match": {"path": f"/{name}"},
    }
    candidates = draw.choice([[], ["v2"], ["v3"], ["v3", "v2"]])
    rollouts = [_rollout(one, draw) for one in candidates]
    if rollouts:
        route["rollout"] = rollouts if len(rollouts) > 1 else draw.choice([rollouts[0], rollouts])
    return _shuffled(route, draw)


def _version(number: int, draw: random.Random) -> dict[str, Any]:
    urls = [f"http://h{number}:80", f"http://h{number}:81"][: draw.randint(1, 2)]
    version: dict[str, Any] = {"urls": urls} if draw.random() < 0.5 else {"url": urls[0]}
    if number > 1 and draw.random() < 0.5:
        version["weight"] = draw.choice(["0", "7", "3%", "10.0", "12.25", "33", "0.01"])
    if draw.random() < 0.2:
        version["readiness"] = "/ready"
    return _shuffled(version, draw)


def _rollout(candidate: str, draw: random.Random) -> dict[str, Any]:
    rollout: dict[str, Any] = {"candidate": candidate}
    if draw.random() < 0.4:
        rollout["paused"] = draw.choice(["true", "false"])
    if draw.random() < 0.4:
        rollout["steps"] = [{"weight": "1", "pause": "1m"}, {"weight": "5", "pause": "forever"}]
    return _shuffled(rollout, draw)


def _shuffled(values: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    return dict(draw.sample(sorted(values.items()), len(values)))


class Writer:
    """Writes values down, each thing in a layout that is drawn anew. Its comments are numbered."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._comments = 0

    def document(self, value: Any) -> str:
        head, tail = self._draw.choice(HEADS), self._draw.choice(TAILS)
        if self._chance(0.1):
            body = self._flow(value, 0) + self._comment() + "\n"
        else:
            body = self._block(value, self._draw.choice([0, 0, 2]))
        text = head + body + tail
        return text.rstrip() if self._chance(0.3) else text

    def _chance(self, share: float) -> bool:
        return self._draw.random() < share

    def _comment(self) -> str:
        text = self._draw.choice(COMMENTS)
        if not text:
            return ""
        self._comments += 1
        return f"{text} !{self._comments}"

    def _between(self, indent: int) -> str:
        """What stands between two lines."""
        if self._chance(0.8):
            return ""
        self._comments += 1
        where = " " * self._draw.choice([0, 1, indent])
        return self._draw.choice(["\n", f"{where}# weight: 99, stable: v2 !{self._comments}\n"])

    def _block(self, value: dict[str, Any] | list[Any], indent: int, *, begun: bool = False) -> str:
        """In lines, of which the first one is indented already where it is ``begun``."""
        text = ""
        for one in value.items() if isinstance(value, dict) else value:
            text += "" if begun and not text else " " * indent
            text += (
                self._entry(*one, indent) if isinstance(value, dict) else self._item(one, indent)
            )
            text += self._between(indent)
        return text

    def _entry(self, key: str, value: Any, indent: int) -> str:
        name = self._quoted(key, 0.15) + ":"
        if isinstance(value, str):
            deeper = " " * (indent + 2)
            if self._chance(0.06):
                return f"{name} {self._draw.choice('>|')}-{self._comment()}\n{deeper}{value}\n"
            gap = self._draw.choice([" ", " ", "   ", "\t"])
            if self._chance(0.06):
                gap = f"{self._comment()}\n{self._between(indent)}{deeper}"
            return f"{name}{gap}{self._quoted(value, 0.4)}{self._comment()}\n"
        if self._chance(0.4):
            return f"{name} {self._flow(value, indent)}{self._comment()}\n"
        deeper_by = self._draw.choice([0 if isinstance(value, list) else 1, 2, 2, 4])
        return f"{name}{self._comment()}\n" + self._block(value, indent + deeper_by)

    def _item(self, value: Any, indent: int) -> str:
        if isinstance(value, str):
            return f"- {self._quoted(value, 0.4)}{self._comment()}\n"
        if self._chance(0.4):
            return f"- {self._flow(value, indent)}{self._comment()}\n"
        gap = self._draw.randint(1, 3)
        return f"-{' ' * gap}" + self._block(value, indent + 1 + gap, begun=True)

    def _flow(self, value: Any, indent: int) -> str:
        if isinstance(value, str):
            return self._quoted(value, 0.4)
        if isinstance(value, dict):
            parts = [
                f"{self._quoted(key, 0.2)}: {self._flow(one, indent)}" for key, one in value.items()
            ]
        else:
            parts = [self._flow(one, indent) for one in value]
        inner = ",".join(self._space(indent) + part + self._space(indent) for part in parts)
        inner += self._draw.choice(["", "", ","]) + self._space(indent)
        return f"{{{inner}}}" if isinstance(value, dict) else f"[{inner}]"

    def _space(self, indent: int) -> str:
        """What stands around the parts of brackets."""
        deeper = " " * (indent + self._draw.randint(1, 4))
        if self._chance(0.05):
            self._comments += 1
            return f" # x, y }} !{self._comments}\n{deeper}"
        return self._draw.choice(["", "", "", " ", " ", "\t", f"\n{deeper}"])

    def _quoted(self, text: str, share: float) -> str:
        if not self._chance(share):
            return text
        return self._draw.choice([json.dumps(text), f"'{text}'"])
