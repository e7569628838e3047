"""A candidate that fails users who were counted before, seen through what stable saves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from gateway.config import parse
from monitoring.analysis.verdict import Kind
from monitoring.judgement.docket import Docket, Judgement
from tests.sockets.peers import Client, Message, Talk, Worker, eventually

TEXT = """\
routes:
  iris:
    stable: v1
    sticky: {{header: X-User}}
    analysis: {{max_false_rollback: 1%}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 30}}
"""
USERS = [f"user-{number}" for number in range(20)]
LOOKS = 12


class Model:
    """Answers until it is broken."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self, talk: Talk) -> None:
        talk.reply(500 if self.broken else 200, b"{}")


@pytest.fixture
def models() -> Iterator[dict[str, tuple[Model, Worker]]]:
    made = {name: (model := Model(), Worker(model, name=name)) for name in ("v1", "v2")}
    yield made
    for _, worker in made.values():
        worker.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_candidate_that_fails_everybody_it_was_counted_with_is_failed(
    system: Any, models: dict[str, tuple[Model, Worker]], processes: int
) -> None:
    text = TEXT.format(**{name: worker.url for name, (_, worker) in models.items()})
    served = system.gateway(text, "--processes", str(processes))
    docket, told = Docket(), 0

    def everybody() -> list[Message]:
        answers = []
        for user in USERS:
            with Client(("127.0.0.1", served.data_port)) as client:
                answers.append(client.ask(fields=[("X-User", user)]))
        return answers

    def row() -> dict[str, int]:
        versions = served.evidence()["generations"][-1]["routes"]["iris"]
        return {key: versions["v2"][key] for key in ("assigned", "bad", "asked", "saved")}

    def look() -> Judgement:
        """When what was asked is told of: an answer is counted right after it was written."""
        with suppress(AssertionError):
            eventually(lambda: row()["asked"] == told, 10)
        assert row()["asked"] == told
        (judgement,) = docket.look(parse(text.encode()), [served.evidence()])
        return judgement

    answers = everybody()
    mine = sum(one["X-Model-Version"] == "v2" for one in answers)
    assert 0 < mine < len(USERS)
    told = mine
    assert look().verdict.kind is Kind.INCONCLUSIVE
    assert row() == {"assigned": mine, "bad": 0, "asked": mine, "saved": 0}

    models["v2"][0].broken = True
    looks = 0
    while look().verdict.kind is not Kind.FAILED:
        looks += 1
        assert looks <= LOOKS
        assert {one.status for one in everybody()} == {200}
        told += mine
    verdict = look().verdict

    assert verdict.reasons == ("saved",)
    assert row() == {"assigned": mine, "bad": 0, "asked": told, "saved": told - mine}
    assert f"stable answered {told - mine} of its last {told - mine} requests" in verdict.sentence
