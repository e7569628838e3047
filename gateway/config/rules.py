"""What one key of ``routing.yaml`` demands of another.

The rules look at the plain data, so that they also judge a file that has other mistakes: what has
not the right shape is passed over, ``schema`` has said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from gateway.config.document import Data, Path, dotted
from gateway.config.quantities import nearest, percent, percent_text, quoted
from gateway.config.schema import MAX_ROUTES
from gateway.http.target import path_matches
from gateway.model import FULL_WEIGHT
from gateway.protocols import TARGET_VARIANT, Protocol

Finding: TypeAlias = "tuple[Path, str]"

# Keys that name a version, and whether stable will do.
_REFERENCES: Final = ((("stable",), True), (("mirror", "to"), False))


def findings(data: Data) -> Iterator[Finding]:
    """Everything that contradicts itself, with the path of the key to change."""
    routes = _mapping(data, "routes")
    for name, route in routes.items():
        for rule in (_shares, _references, _addresses, _match, _sticky, _prediction, _rollouts):
            for path, message in rule(_mapping(route)):
                yield ("routes", name, *path), message
    yield from _unreachable(routes)
    yield from _logs(data, routes)


def _shares(route: dict[str, Data]) -> Iterator[Finding]:
    versions, stable = _mapping(route, "versions"), _text(route, "stable")
    total = 0
    for name, version in versions.items():
        written = _mapping(version)
        if name != stable:
            total += _points(_text(written, "weight")) or 0
        elif "weight" in written:
            message = "stable takes what the candidates leave; remove its weight"
            yield ("versions", name, "weight"), message
    if total > FULL_WEIGHT:
        yield (
            ("versions",),
            f"weights add up to {percent_text(total)}; stable takes the rest, "
            "so the sum must be at most 100",
        )


def _references(route: dict[str, Data]) -> Iterator[Finding]:
    stable = _text(route, "stable")
    for path, may_be_stable in _REFERENCES:
        name = _text(route, *path)
        yield from _known(route, name, path)
        if name and name == stable and not may_be_stable:
            yield path, f"{quoted(name)} is the stable version; name a candidate, or remove this"


def _known(route: dict[str, Data], name: str | None, path: Path) -> Iterator[Finding]:
    versions = _mapping(route, "versions")
    if name is not None and versions and name not in versions:
        hint = nearest(name, list(versions))
        yield path, f"this route has no version {quoted(name)}; {hint}"


def _addresses(route: dict[str, Data]) -> Iterator[Finding]:
    for name, version in _mapping(route, "versions").items():
        yield from _one_of(version, ("versions", name), "url", "urls")
        written = _mapping(version)
        urls = written.get("urls", [written.get("url")])
        texts = [url for url in urls if isinstance(url, str)] if isinstance(urls, list) else []
        plain = next((url for url in texts if not url.startswith("https://")), None)
        if "tls" in written and plain is not None:
            message = f"{quoted(plain)} speaks no TLS; write https://host:port, or remove 'tls'"
            yield ("versions", name, "tls"), message


def _sticky(route: dict[str, Data]) -> Iterator[Finding]:
    yield from _one_of(route.get("sticky"), ("sticky",), "header", "cookie")
    header, override = _text(route, "sticky", "header"), _text(route, "override", "header")
    if header and override and header.lower() == override.lower():
        message = "`sticky` reads the same header for another purpose; name a header of its own"
        yield ("override", "header"), message
    sagemaker = _text(route, "prediction", "protocol") == Protocol.SAGEMAKER
    if sagemaker and header and header.lower().encode() == TARGET_VARIANT:
        message = "by this header clients of SageMaker name a version; name a header of its own"
        yield ("sticky", "header"), message


def _one_of(data: Data, path: Path, first: str, second: str) -> Iterator[Finding]:
    if not isinstance(data, dict):
        return
    if first in data and second in data:
        yield (*path, second), f"both '{first}' and '{second}' stand here; keep one of them"
    if first not in data and second not in data:
        yield path, f"neither '{first}' nor '{second}' stands here; write one of them"


def _match(route: dict[str, Data]) -> Iterator[Finding]:
    seen: set[str] = set()
    for name in _mapping(route, "match", "header"):
        if name.lower() in seen:
            message = "this header is named twice, in another case; keep one of them"
            yield ("match", "header", name), message
        seen.add(name.lower())


def _prediction(route: dict[str, Data]) -> Iterator[Finding]:
    prediction = route.get("prediction")
    if not isinstance(prediction, dict):
        return
    place = ("prediction",)
    if prediction.get("protocol") != "openai":  # which has both
        if "value" in prediction and "bounds" not in prediction:
            message = "'value' needs 'bounds' to count between; add some, such as [10, 20, 50, 100]"
            yield (*place, "value"), message
        elif "bounds" in prediction and "value" not in prediction:
            yield (*place, "bounds"), "'bounds' are given, but not of what; add 'value'"
    if "protocol" in prediction or "label" in prediction:
        return
    if "labels" in prediction:
        message = "'labels' are given, but not where one stands; add 'label' or 'protocol'"
        yield (*place, "labels"), message
    elif not prediction.keys() & {"score", "value", "bounds"}:
        message = "this does not say where the prediction stands; write 'label' or 'protocol'"
        yield place, message


def _rollouts(route: dict[str, Data]) -> Iterator[Finding]:
    """The candidate may be stable: a promotion makes it that, and then the rollout is over."""
    rollout = route.get("rollout")
    entries = enumerate(rollout) if isinstance(rollout, list) else [(None, rollout)]
    first: dict[str, Path] = {}
    for index, entry in entries:
        path: Path = ("rollout",) if index is None else ("rollout", index)
        name = _text(entry, "candidate")
        yield from _known(route, name, (*path, "candidate"))
        if name is not None and first.setdefault(name, path) != path:
            there = dotted(first[name])
            message = f"{quoted(name)} has a rollout already, {there}; keep one of them"
            yield (*path, "candidate"), message
        yield from _steps(_at(entry, "steps"), (*path, "steps"))


def _steps(steps: Data, path: Path) -> Iterator[Finding]:
    weights = [_text(step, "weight") for step in steps] if isinstance(steps, list) else []
    for index, (before, weight) in enumerate(pairwise(weights), 1):
        lower, higher = _points(before), _points(weight)
        if weight is not None and lower is not None and higher is not None and higher <= lower:
            message = f"{quoted(weight)} is not more than {before}, the step before; write more"
            yield (*path, index, "weight"), message


def _logs(data: Data, routes: dict[str, Data]) -> Iterator[Finding]:
    """A file of lines has a path, and is rotated in one way whoever writes to it."""
    shared = _mapping(data, "log")
    places: list[Path] = [("log",)] * isinstance(_at(data, "log"), dict)
    places += [
        ("routes", name, "log")
        for name, route in routes.items()
        if isinstance(_at(route, "log"), dict)
    ]
    first: dict[str, tuple[Path, Data]] = {}
    for place in places:
        log = shared | _mapping(data, *map(str, place))
        path = log.get("path")
        if path is None:
            message = "key 'path' is missing; write the absolute path of a file of JSON lines"
            yield place, message
        elif isinstance(path, str):
            before, rotate = first.setdefault(path, (place, log.get("rotate")))
            if rotate != log.get("rotate"):
                message = f"{quoted(path)} is rotated in another way by {dotted(before)}"
                yield (*place, "rotate"), f"{message}; write the same, or another path"


class _Conditions(NamedTuple):
    """Which requests a route takes."""

    path: bytes
    host: str | None
    headers: frozenset[tuple[str, str]]

    def include(self, other: _Conditions) -> bool:
        """Whether every request that meets the other's conditions meets these."""
        return (
            path_matches(self.path, other.path)
            and self.host in (None, other.host)
            and self.headers <= other.headers
        )


def _unreachable(routes: dict[str, Data]) -> Iterator[Finding]:
    earlier: list[tuple[str, _Conditions]] = []
    for name, route in list(routes.items())[:MAX_ROUTES]:
        conditions = _conditions(route)
        if conditions is None:
            continue
        first = next((each for each, taken in earlier if taken.include(conditions)), None)
        if first is not None:
            yield (
                ("routes", name),
                f"no request reaches this route, as {quoted(first)} above takes them all; "
                "move this route up, or narrow the `match` of the other",
            )
        earlier.append((name, conditions))


def _conditions(route: Data) -> _Conditions | None:
    """None if they are not readable."""
    match = route.get("match", {}) if isinstance(route, dict) else None
    if not isinstance(match, dict):
        return None
    path, host, headers = match.get("path", "/"), match.get("host", ""), match.get("header", {})
    if not isinstance(path, str) or not isinstance(host, str) or not isinstance(headers, dict):
        return None
    pairs = frozenset((name.lower(), str(value)) for name, value in headers.items())
    return _Conditions(path.encode(), host.lower() or None, pairs)


def _points(text: str | None) -> int | None:
    """Basis points; None if the text is no percentage."""
    try:
        return None if text is None else percent(text)
    except ValueError:
        return None


def _at(data: Data, *keys: str) -> Data:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _mapping(data: Data, *keys: str) -> dict[str, Data]:
    found = _at(data, *keys)
    return found if isinstance(found, dict) else {}


def _text(data: Data, *keys: str) -> str | None:
    found = _at(data, *keys)
    return found if isinstance(found, str) else None
