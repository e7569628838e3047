"""What is written down of requests over real sockets: what clients saw, each once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.counting.gauges import Loss, Sink, lines_lost
from gateway.model import PredictionLog, RoutingConfig
from gateway.writing.logbook import Lost
from gateway.writing.records import Records
from gateway.writing.scribe import AccessLog, Book
from tests.builders import make_config, make_prediction, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Gateway, Message, answering, eventually, refusing, url_of

ANSWERS = {
    name: json.dumps({"predictions": [name], "probabilities": [0.5]}).encode()
    for name in ("setosa", "versicolor")
}


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def logged(v1: str, v2: str, log: PredictionLog | None, percent: float = 40) -> RoutingConfig:
    return make_config(
        {"v1": v1, "v2": (v2, percent)},
        sticky=make_sticky(),
        prediction=make_prediction("/predictions/0", "/probabilities/0"),
        log=log,
    )


def seen(answers: Iterable[Message]) -> list[tuple[str, str, str, str]]:
    """What clients saw: id, who answered, why, and the prediction."""
    names = ("x-request-id", "x-model-version", "x-assignment")
    return sorted((*(one[name] for name in names), one.json()["predictions"][0]) for one in answers)


def told(said: Iterable[Any]) -> list[tuple[str, str, str, str]]:
    names = ("request_id", "version", "assignment", "prediction")
    return sorted(tuple(one[name] for name in names) for one in said)


def ask(gateway: Gateway, number: int) -> list[Message]:
    """So many users on one connection."""
    with gateway.client() as client:
        return [
            client.ask(fields=[("X-User-Id", f"user {one}")], body=b'{"instances": [[%d]]}' % one)
            for one in range(number)
        ]


def test_lines_are_what_clients_saw_each_once(serve: Serve, hire: Hire, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    v1, v2 = (hire(answering(body=body)) for body in ANSWERS.values())
    log = PredictionLog(str(path), features=True)
    gateway = serve(logged(v1.url, v2.url, log), records=Records("secret"))
    answers = ask(gateway, 60)
    said = eventually(lambda: len(found := lines(path)) == 60 and found)

    assert told(said) == seen(answers)
    assert len({one["user"] for one in said}) == 60
    assert sorted(one["features"]["instances"][0][0] for one in said) == list(range(60))
    by_version = Counter(one["version"] for one in said)
    assert by_version == {
        version: sum(gateway.counts(version).labels.values()) for version in ("v1", "v2")
    }


def test_an_answer_in_a_dead_candidates_place_says_so(
    serve: Serve, hire: Hire, tmp_path: Path
) -> None:
    path = tmp_path / "p.jsonl"
    v1 = hire(answering(body=ANSWERS["setosa"]))
    with refusing() as dead:
        log = PredictionLog(str(path))
        gateway = serve(logged(v1.url, url_of(dead), log, 100), records=Records("secret"))
        answers = ask(gateway, 3)
    said = eventually(lambda: len(found := lines(path)) == 3 and found)

    assert told(said) == seen(answers)
    assert {(one["assigned"], one["assignment"], one["cause"], one["reason"]) for one in said} == {
        ("v2", "fallback", "connect", None)
    }


def test_a_log_begins_moves_and_ends_with_a_reload_on_connections_that_stay(
    serve: Serve, hire: Hire, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    v1, v2 = (hire(answering(body=body)) for body in ANSWERS.values())
    gateway = serve(logged(v1.url, v2.url, None), records=Records("secret"))
    logs = (None, PredictionLog(str(one)), PredictionLog(str(other)), None)
    answers: list[list[Message]] = []
    with gateway.client() as client:
        for log in logs:
            gateway.swap(logged(v1.url, v2.url, log))
            answers.append([client.ask() for _ in range(5)])
    eventually(lambda: len(lines(one)) == len(lines(other)) == 5)

    assert [len(each) for each in answers] == [5, 5, 5, 5]
    assert told(lines(one)) == seen(answers[1])
    assert told(lines(other)) == seen(answers[2])


def test_a_share_of_the_requests_is_chosen_by_their_ids(
    serve: Serve, hire: Hire, tmp_path: Path
) -> None:
    path = tmp_path / "p.jsonl"
    v1, v2 = (hire(answering(body=body)) for body in ANSWERS.values())
    log = PredictionLog(str(path), sample=2000)
    gateway = serve(logged(v1.url, v2.url, log), records=Records("secret"))
    with gateway.client() as client:
        for number in range(50):
            client.ask(fields=[("X-Request-Id", f"id-{number}")])
        client.ask(fields=[("X-Request-Id", "0af7651916cd43dd8448eb211c80319c")])  # of the sample
    said = eventually(lambda: lines(path))
    eventually(lambda: lines(path)[-1]["request_id"].startswith("0af"))

    assert "id-2" in {one["request_id"] for one in lines(path)}
    assert "id-1" not in {one["request_id"] for one in said}


def test_all_requests_are_in_the_access_log_refused_ones_too(
    serve: Serve, hire: Hire, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    v1, v2 = (hire(answering(body=body)) for body in ANSWERS.values())
    access = AccessLog(str(path))
    gateway = serve(logged(v1.url, v2.url, None), records=Records("secret", access))
    good = gateway.ask(target="/predict?secret=1")
    bad = gateway.ask(method="GET", target="/x", fields=[("Expect", "much")], body=None)
    said = {one["request_id"]: one for one in eventually(lambda: _two(path))}

    assert (good.status, bad.status) == (200, 417)
    line = said[good["x-request-id"]]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/predict", 200)
    assert (line["client"], line["request_bytes"]) == ("127.0.0.0/24", 2)
    assert line["response_bytes"] == len(good.body)
    assert line["version"] == good["x-model-version"]
    refused = said[bad.json()["request_id"]]
    assert (refused["status"], refused["reason"], refused["version"]) == (417, "bad_request", None)
    assert (refused["method"], refused["path"]) == ("GET", "/x")
    assert "secret" not in path.read_text()


def _two(path: Path) -> list[Any]:
    found = lines(path)
    return found if len(found) == 2 else []


@pytest.mark.parametrize("trouble", ["full", "slow"])
def test_whatever_the_disk_does_no_request_waits_or_fails(
    trouble: str, serve: Serve, hire: Hire, tmp_path: Path
) -> None:
    written: list[bytes] = []
    free = threading.Event()

    def write(book: Book, page: bytes) -> Lost:
        if not free.is_set() and trouble == "full":
            return Lost(page.count(b"\n"), "No space left on device")
        assert free.wait(20)
        written.append(page)
        return Lost()

    v1, v2 = (hire(answering(body=body)) for body in ANSWERS.values())
    log = PredictionLog(str(tmp_path / "p.jsonl"))
    gateway = serve(logged(v1.url, v2.url, log), records=Records("secret", write=write))
    before = ask(gateway, 20)
    if trouble == "full":
        assert eventually(lambda: gateway.run(lambda: dropped(gateway)) == 20)
    free.set()
    after = ask(gateway, 5)
    expected = before * (trouble == "slow") + after
    eventually(lambda: b"".join(written).count(b"\n") == len(expected))

    assert {one.status for one in (*before, *after)} == {200}
    assert told(json.loads(one) for one in b"".join(written).splitlines()) == seen(expected)


def dropped(gateway: Gateway) -> int:
    return lines_lost(gateway.plane.archive.total())[Sink.PREDICTIONS, Loss.WRITE]
