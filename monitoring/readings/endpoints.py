"""What people are told of the endpoints of a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def idle(route: str, versions: Mapping[str, Any]) -> Iterator[str]:
    """A line for every endpoint that gets no requests, or should not."""
    for version, row in versions.items():
        # As the gateway decides; an older one does not tell whether they are ready.
        better = any(one.get("ready") and not one["ejected"] for one in row["endpoints"])
        for one in row["endpoints"]:
            silent = one.get("ready") is False
            if one["ejected"] and silent and better:
                what = "left out: failed again and again, and is not ready to be tried"
            elif one["ejected"]:
                what = "left out: failed again and again; one request tries it now and then"
            elif silent and better:
                what = "left out: not ready"
            elif silent:
                what = "not ready, but asked all the same: no other endpoint is"
            else:
                continue
            yield f"{route} {version} {one['url']}: {what}"
