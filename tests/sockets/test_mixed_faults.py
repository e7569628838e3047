"""Many clients, workers with every fault at once, and nobody ever gets somebody else's answer."""

from __future__ import annotations

import json
import threading
from random import Random

from gateway.model import Limits
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Behaviour,
    Client,
    Ended,
    Gateway,
    Message,
    Talk,
    answering,
    chunked,
    closing,
    echo,
    eventually,
    hanging,
    request,
    resetting,
    saying,
)

CLIENTS = 9
ROUNDS = 50
OK = b"HTTP/1.1 200 OK\r\n"


def reply_with(talk: Talk, extra: bytes = b"", framing: str = "length") -> bytes:
    """The right answer to a request: its own token."""
    body = json.dumps({"token": talk.request["x-token"]}).encode()
    if framing == "chunked":
        half = len(body) // 2
        whole = OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body[:half], body[half:])
    else:
        whole = OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    return whole + extra


def right(talk: Talk) -> None:
    talk.send(reply_with(talk))


def right_in_chunks(talk: Talk) -> None:
    talk.send(reply_with(talk, framing="chunked"))


def right_and_a_second_answer(talk: Talk) -> None:
    false = b'{"token": "somebody else\'s"}'
    talk.send(reply_with(talk, OK + b"Content-Length: %d\r\n\r\n%b" % (len(false), false)))


def right_and_surplus(talk: Talk) -> None:
    talk.send(reply_with(talk, b"surplus"))


def right_then_close(talk: Talk) -> bool:
    right(talk)
    return closing(talk)


def cut(talk: Talk) -> bool:
    talk.send(reply_with(talk)[:-5])
    return resetting(talk)


def interim(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply_with(talk))


FAULTY: list[Behaviour] = [
    right,
    right_in_chunks,
    right_and_a_second_answer,
    right_and_surplus,
    right_then_close,
    interim,
    cut,
    resetting,
    closing,
    answering(500),
    answering(503, b"x" * 100_000),
    saying(b"nonsense"),
    saying(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nwrong"),
    saying(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
]


def mixed(seed: int) -> Behaviour:
    """Another behaviour for each request, the same in each run as far as threads allow."""
    draw, lock = Random(seed), threading.Lock()

    def behave(talk: Talk) -> bool | None:
        with lock:
            behaviour = hanging if draw.random() < 0.02 else draw.choice(FAULTY)
        return behaviour(talk)

    return behave


class Crowd:
    """Clients that ask for their own tokens, and look at what they get."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.wrong: list[str] = []
        self.statuses: list[int] = []
        self.left = 0

    def run(self) -> None:
        threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    def _ask(self, number: int) -> None:
        draw = Random(number)
        client = self.gateway.client()
        for turn in range(ROUNDS):
            token = f"{number}-{turn}"
            ahead = draw.choice([1, 1, 1, 3])
            tokens = [f"{token}-{i}" for i in range(ahead)]
            client.send(b"".join(request(fields=[("X-Token", one)]) for one in tokens))
            if draw.random() < 0.1:
                self.left += 1
                client.reset()
                client = self.gateway.client()
                continue
            if not self._look(client, tokens):
                client.close()
                client = self.gateway.client()
        client.close()

    def _look(self, client: Client, tokens: list[str]) -> bool:
        for token in tokens:
            try:
                answer = client.answer()
            except (Ended, TimeoutError, AssertionError) as error:
                self.wrong.append(f"{token}: {error!r}")
                return False
            self.statuses.append(answer.status)
            if not self._is_right(answer, token):
                self.wrong.append(f"{token}: {answer}")
            if answer.all("connection") == ["close"]:
                self.wrong.append(f"{token}: {answer}")
                return False
        return True

    def _is_right(self, answer: Message, token: str) -> bool:
        if answer.status == 200:
            return bool(answer.json() == {"token": token})
        if answer.all("content-type") == ["application/json"]:
            return set(answer.json()) == {"error", "reason", "request_id"}
        return answer.status in (500, 503)  # the worker's own


def test_nobody_gets_somebody_elses_answer(serve: Serve, hire: Hire) -> None:
    workers = [hire(mixed(1)), hire(mixed(2))]
    config = make_config(
        {"v1": [worker.url for worker in workers]}, timeout=0.4, limits=Limits(in_flight=100)
    )
    gateway = serve(config)
    crowd = Crowd(gateway)
    crowd.run()

    assert crowd.wrong == []
    assert {200, 502, 504} <= set(crowd.statuses)
    assert crowd.left > 0
    eventually(lambda: gateway.in_flight == 0)
    for worker in workers:
        worker.behaviour = echo
    assert gateway.ask().status == 200


def test_a_faulty_candidate_is_never_seen_by_a_client(serve: Serve, hire: Hire) -> None:
    stable, candidate = hire(right), hire(mixed(4))
    versions = {"v1": stable.url, "v2": (candidate.url, 50)}
    gateway = serve(make_config(versions, timeout=4, limits=Limits(in_flight=100)))
    crowd = Crowd(gateway)
    crowd.run()

    assert crowd.wrong == []
    assert set(crowd.statuses) == {200}
    assert gateway.evidence("v2").bad > 20
    assert gateway.evidence("v1").bad == 0
    eventually(lambda: gateway.in_flight == 0)


def test_a_sick_version_does_not_hold_up_the_healthy_one(serve: Serve, hire: Hire) -> None:
    """One shared pool lets a sick version starve the healthy one (reliability.md, 1.3)."""
    healthy, sick = hire(right), hire(hanging)
    config = make_config(
        {"v1": healthy.url, "v2": sick.url}, override="x-v", limits=Limits(in_flight=50)
    )
    gateway = serve(config)
    hung = [gateway.client() for _ in range(50)]
    for client in hung:
        client.send(request(fields=[("X-V", "v2")]))
    eventually(lambda: len(sick.requests) == 50)
    with gateway.client() as client:
        answers = [client.ask(fields=[("X-Token", str(i))]) for i in range(100)]
        shed = client.ask(fields=[("X-V", "v2")])
    for client in hung:
        client.close()

    assert [answer.json()["token"] for answer in answers] == [str(i) for i in range(100)]
    assert shed.status == 503
    eventually(lambda: gateway.in_flight == 0)


def test_beyond_its_limit_a_version_sheds_and_its_neighbour_serves_on(
    serve: Serve, hire: Hire
) -> None:
    """Each version has its own pool, limit and queue, also under a crowd (reliability.md, P14)."""
    limit = 5
    healthy, sick = hire(right), hire(hanging)
    versions = {"v1": healthy.url, "v2": sick.url}
    gateway = serve(make_config(versions, override="x-v", limits=Limits(in_flight=limit)))
    hung = [gateway.client() for _ in range(limit)]
    for client in hung:
        client.send(request(fields=[("X-V", "v2")]))
    eventually(lambda: len(sick.requests) == limit)
    seen: list[tuple[str, int, bool]] = []

    def ask(number: int) -> None:
        with gateway.client() as client:
            for turn in range(ROUNDS):
                version = "v2" if turn % 2 else "v1"
                token = f"{number}-{turn}"
                answer = client.ask(fields=[("X-V", version), ("X-Token", token)])
                right = "retry-after" in answer if turn % 2 else answer.json()["token"] == token
                seen.append((version, answer.status, right))

    crowd = [threading.Thread(target=ask, args=(i,)) for i in range(limit)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(60)
    for client in hung:
        client.close()

    assert sorted(seen) == [("v1", 200, True)] * (limit * ROUNDS // 2) + [("v2", 503, True)] * (
        limit * ROUNDS // 2
    )
    assert len(sick.requests) == limit
