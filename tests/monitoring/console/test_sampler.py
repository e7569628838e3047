"""Looking: what comes of good answers, of none, and of texts that are none."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from monitoring.console import sampler as sampler_module
from monitoring.console.sampler import Sampler
from monitoring.readings.sources import SourceError
from tests.monitoring.console.gateway import Gateway


def test_two_gateways_together_are_what_both_say() -> None:
    one, other = Gateway(), Gateway()
    now = iter(range(100, 200))
    sampler = Sampler(lambda: {"a": one.text(), "b": other.text()}, lambda: float(next(now)))
    one.answer("iris", "v1", 5)
    sampler.look()
    one.answer("iris", "v1", 3, bad=1)
    other.answer("iris", "v1", 4)
    sampler.look()

    with sampler.series() as series:
        span = series.now(("iris", "v1"))
        assert span.answered[0] == 7
        assert span.errors[0] == 1
        assert series.newest.versions["iris", "v1"].answered == 12


def test_one_that_says_nothing_is_named_and_comes_back_without_a_loss() -> None:
    one, other = Gateway(), Gateway()
    now = iter(range(100, 200))
    said: dict[str, str | SourceError] = {}
    sampler = Sampler(lambda: said, lambda: float(next(now)))
    said |= {"a": one.text(), "b": other.text()}
    other.answer("iris", "v1", 2)
    said["b"] = other.text()
    sampler.look()
    said["b"] = SourceError("http://b/metrics gave no answer to work with")
    other.answer("iris", "v1", 40)
    sampler.look()

    assert sampler.silent == ("http://b/metrics gave no answer to work with",)
    assert sampler.last == 101
    said["b"] = other.text()
    sampler.look()
    assert sampler.silent == ()
    with sampler.series() as series:
        assert series.now(("iris", "v1")).answered[0] == 40


def test_a_text_that_is_none_is_as_silence() -> None:
    sampler = Sampler(lambda: {"a": 'canary_config_info{hash="x"} nonsense\n'}, lambda: 100.0)

    sampler.look()

    assert "nonsense" in sampler.silent[0]
    assert sampler.last == 0


def test_it_looks_for_as_long_as_it_runs_and_at_once_when_somebody_watches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler_module, "UNWATCHED", 3600.0)
    looks: Queue[None] = Queue()
    gateway = Gateway()

    def asked() -> dict[str, str | SourceError]:
        looks.put(None)
        return {"a": gateway.text()}

    with Sampler(asked) as sampler:
        looks.get(timeout=30)
        sampler.watch()
        looks.get(timeout=30)
    while not looks.empty():
        looks.get()

    assert not any(one.name == "sampler" for one in threading.enumerate())
