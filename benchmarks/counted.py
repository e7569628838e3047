"""Reading what a program says it has counted."""

from __future__ import annotations

import re
import urllib.request


def http_get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def summed(text: str, name: str) -> int:
    """The sum of all series of a counter in Prometheus's text format."""
    series = re.compile(rf"^{re.escape(name)}(?:\{{.*\}})? ([0-9.e+]+)$", re.MULTILINE)
    return round(sum(float(value) for value in series.findall(text)))
