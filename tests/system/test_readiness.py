"""A gateway whose workers are asked whether they are ready, as one process and as several."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.sockets.peers import Talk, Worker, refusing, url_of
from tests.system.conftest import System, eventually, get_text, run_canary

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {{urls: ["{first}", "{second}"], readiness: /ready}}
      v2: {{url: "{dead}", weight: 50, readiness: /ready}}
"""


class Loading:
    """Answers, but says that it is not ready until it is told otherwise."""

    ready = False

    def __call__(self, talk: Talk) -> None:
        talk.reply(200 if self.ready or talk.request.target != "/ready" else 503)


@pytest.fixture
def loading() -> Iterator[tuple[Loading, Worker]]:
    behaviour = Loading()
    with closing(Worker(behaviour)) as worker:
        yield behaviour, worker


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["alone", "group"])
def test_who_is_not_ready_gets_nothing_and_the_gateway_is_ready_all_the_same(
    options: tuple[str, ...], system: System, loading: tuple[Loading, Worker]
) -> None:
    behaviour, first = loading
    with closing(Worker()) as second, refusing() as nobody:
        dead = url_of(nobody)
        text = TEXT.format(first=first.url, second=second.url, dead=dead)
        served = system.gateway(text, *options)

        def up() -> dict[str, float]:
            told = served.metrics()
            return {
                url: told[
                    f'canary_upstream_up{{endpoint="{url}",route="iris",version="{version}"}}'
                ]
                for url, version in ((first.url, "v1"), (second.url, "v1"), (dead, "v2"))
            }

        eventually(lambda: up()[second.url], "the second one is ready, for every process")
        before = requests_of(first)
        for _ in range(20):
            assert get_text(f"{served.url}/predict")  # a connection, so a process, each time
        assert requests_of(first) == before
        assert requests_of(second) >= 20
        assert up() == {first.url: 0, second.url: 1, dead: 0}
        assert get_text(f"{served.admin}/-/ready") == "ready\n"
        assert endpoints_of(served.status()) == [(first.url, False), (second.url, True)]
        assert f"iris v1 {first.url}: left out: not ready" in shown(served.admin)
        assert f"iris v2 {dead}: not ready, but asked all the same" in shown(served.admin)

        behaviour.ready = True
        eventually(lambda: up()[first.url], "the first one is ready, for every process")
        for _ in range(20):
            get_text(f"{served.url}/predict")
        assert requests_of(first) > before
        assert f"iris v1 {first.url}" not in shown(served.admin)


def requests_of(worker: Worker) -> int:
    return sum(request.target != "/ready" for request in tuple(worker.requests))


def endpoints_of(status: Any) -> list[tuple[str, bool]]:
    told = status["routes"]["iris"]["versions"]["v1"]["endpoints"]
    assert [one["ejected"] for one in told] == [False, False], json.dumps(told)
    return [(one["url"], one["ready"]) for one in told]


def shown(admin: str) -> str:
    """What `canary status` prints."""
    ended = run_canary("status", "--admin", admin)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
