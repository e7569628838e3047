"""What every query of the dashboards must answer, from what the clients of the story saw.

Prometheus' ``rate`` over a window that begins with a count of 0 and ends with a scrape adds nothing
of its own: times the length of the window it is the number counted. So a panel's own text, asked
with such a window, is held against the clients' count to the last request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil, inf
from typing import Any, NamedTuple

from tests.composed.clients import FORCED, Answer

Labels = frozenset[tuple[str, str]]
Range = tuple[float, float]  # from, to; both may be met
Expected = Mapping[Labels, float | Range]
LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
SCORES = tuple(step / 20 for step in range(1, 21))


def by(**labels: str) -> Labels:
    return frozenset(labels.items())


def role(version: str) -> str:
    return "stable" if version == "v1" else "candidate"


def of_version(version: str, **more: str) -> Labels:
    return by(version=version, role=role(version), **more)


@dataclass(frozen=True)
class Facts:
    """What happened on a route. ``more`` requests gave way to stable and were then drawn anew, as
    the file had just changed. ``edits`` are the history's rows of changes, of all routes.
    """

    route: str
    answers: list[Answer]
    weights: Mapping[str, float]  # in the end
    generation: str  # in the end
    more: int
    edits: list[dict[str, Any]]
    refused: Mapping[str, int]  # by reason, of all routes

    def answered(self, *names: str) -> Counter[tuple[str, ...]]:
        """Answers by what the client knows of them."""
        return Counter(tuple(str(getattr(one, name)) for name in names) for one in self.answers)

    def given_way(self) -> int:
        """Requests drawn for the candidate that stable was asked to answer."""
        return sum(one.assignment == "fallback" for one in self.answers) + self.more

    def failures(self) -> Counter[tuple[str, str]]:
        """Requests that a version gave no good answer to, by version and reason."""
        broken_off = sum(one.status == 502 for one in self.answers)
        return +Counter({("v2", "upstream_5xx"): self.given_way(), (FORCED, "reset"): broken_off})


class Truth(NamedTuple):
    """``per_second``: the panel shows a rate of what is expected here."""

    expected: Callable[[Facts], Expected]
    per_second: bool = False


# --- counts


def requests(*names: str) -> Truth:
    """Answers by version and, if asked for, by more."""

    def expected(facts: Facts) -> Expected:
        counted = facts.answered("version", *names)
        return {
            of_version(version, **as_labels(names, rest), route=facts.route): n
            for (version, *rest), n in counted.items()
        }

    return Truth(expected, per_second=True)


def as_labels(names: Iterable[str], values: Iterable[str]) -> dict[str, str]:
    renamed = {"status": "code"}
    return {renamed.get(name, name): value for name, value in zip(names, values, strict=True)}


def errors(facts: Facts) -> Expected:
    return {
        of_version(version, route=facts.route, reason=reason): n
        for (version, reason), n in facts.failures().items()
    }


def fallbacks(facts: Facts) -> Expected:
    return {by(assigned="v2", reason="upstream_5xx"): facts.given_way()}


def retries(facts: Facts) -> Expected:
    """What was broken off is asked for once more; what was answered 500 is not."""
    return {labels: n for labels, n in errors(facts).items() if dict(labels)["reason"] == "reset"}


def unreadable(facts: Facts) -> Expected:
    missing = Counter(
        one.version for one in facts.answers if one.label is None and one.status == 200
    )
    return {
        of_version(version, route=facts.route, reason="unreadable"): n
        for version, n in missing.items()
    }


# --- shares


def error_ratio(facts: Facts) -> Expected:
    asked = facts.answered("version")
    asked["v2",] += facts.given_way()
    return {
        of_version(version, route=facts.route): n / asked[version,]
        for (version, _), n in facts.failures().items()
    }


def observed(facts: Facts) -> Expected:
    """Of the draws: who named a version was not drawn for, answered as asked or not."""
    drawn = Counter(
        one.version for one in facts.answers if one.assignment in ("weighted", "sticky")
    )
    drawn["v2"] += facts.given_way()
    return {
        of_version(version, route=facts.route): n / drawn.total() for version, n in drawn.items()
    }


def classes(which: str) -> Truth:
    def expected(facts: Facts) -> Expected:
        given = Counter(
            one.label for one in facts.answers if role(one.version) == which and one.label
        )
        return {by(label=label): n / given.total() for label, n in given.items()}

    return Truth(expected)


def scores(facts: Facts) -> Expected:
    found: dict[str, list[float]] = {}
    for one in facts.answers:
        if one.score is not None:
            found.setdefault(one.version, []).append(one.score)
    return {
        of_version(version, route=facts.route): sum(values) / len(values)
        for version, values in found.items()
    }


def configured(facts: Facts) -> Expected:
    return {
        of_version(version, route=facts.route): share for version, share in facts.weights.items()
    }


# --- histograms


def score_buckets(which: str) -> Truth:
    def expected(facts: Facts) -> Expected:
        found = [
            one.score
            for one in facts.answers
            if role(one.version) == which and one.score is not None
        ]
        bounds = [*map(str, SCORES), "+Inf"]
        return {by(le=le): sum(score <= float(le) for score in found) for le in bounds}

    return Truth(expected)


def latency_buckets(which: str) -> Truth:
    """None took longer than until its client's next answer, and a worker as long as it was told
    to.
    """

    def expected(facts: Facts) -> Expected:
        found = [one for one in facts.answers if role(one.version) == which]
        return {
            by(le=name): (
                sum(one.longest <= le for one in found),
                sum(one.least <= le for one in found),
            )
            for le, name in [*((le, str(float(le))) for le in LATENCY), (inf, "+Inf")]
        }

    return Truth(expected)


def quantile(share: float, *, in_worker: bool = False) -> Truth:
    """Between the bounds of the buckets in which it lies by the least that each can have taken and
    by the longest.
    """

    def expected(facts: Facts) -> Expected:
        found: dict[str, list[Answer]] = {}
        for one in facts.answers:
            found.setdefault(one.version, []).append(one)
            if in_worker and one.assignment == "fallback":
                found.setdefault("v2", []).append(one)
        return {
            of_version(version, route=facts.route): (
                bucket(share, [one.least for one in some])[0],
                bucket(share, [one.longest for one in some])[1],
            )
            for version, some in found.items()
        }

    return Truth(expected)


def overhead(share: float) -> Truth:
    """Some of what the clients waited, less what the workers are known to have waited."""

    def expected(facts: Facts) -> Expected:
        waited = [one.longest - one.least for one in facts.answers]
        return {by(route=facts.route): (1e-9, bucket(share, waited)[1])}

    return Truth(expected)


def bucket(share: float, values: list[float]) -> Range:
    """The bounds between which so large a share of the values ends."""
    value = sorted(values)[ceil(share * len(values)) - 1]
    place = bisect_left(LATENCY, value)
    return (0, *LATENCY)[place], (*LATENCY, inf)[place]
