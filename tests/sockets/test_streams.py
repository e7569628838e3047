"""Bodies passed on as they come, in both directions, and never faster than they are taken."""

from __future__ import annotations

import asyncio
import threading
from random import Random

import pytest

from gateway.model import Limits
from gateway.workers.pool import dial
from gateway.workers.upstream import REPLY_BUFFER
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Client,
    Ended,
    Gateway,
    Talk,
    Worker,
    answering,
    chunked,
    echo,
    eventually,
    hanging,
    request,
    saying,
)

MIB = 1024 * 1024
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = [("Transfer-Encoding", "chunked")]


def single(worker: Worker, **rules: object):
    return make_config({"v1": worker.url}, **rules)


def two(stable: Worker, candidate: Worker, **rules: object):
    return make_config({"v1": stable.url, "v2": (candidate.url, 100)}, **rules)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Pump:
    """A worker that sends as fast as it is read, and says how far it has come."""

    def __init__(self, head: bytes, size: int, piece: int = 65_536) -> None:
        self.head = head
        self.size = size
        self.piece = piece
        self.sent = 0
        self.done = threading.Event()
        self.data = Random(4).randbytes(piece)

    def __call__(self, talk: Talk) -> None:
        talk.send(self.head)
        coded = b"chunked" in self.head
        while self.sent < self.size:
            data = self.data[: self.size - self.sent]
            talk.send(chunk(data) if coded else data)
            self.sent += len(data)
        if coded:
            talk.send(b"0\r\n\r\n")
        self.done.set()


def settled(read: object) -> int:
    """A number that has stopped growing."""
    last, same = -1, 0
    while same < 20:
        now = eventually(lambda: read() + 1) - 1  # type: ignore[operator]
        last, same = now, same + 1 if now == last else 0
        threading.Event().wait(0.005)
    return last


# --- event streams


@pytest.mark.parametrize("coded", [True, False])
def test_an_event_is_passed_on_before_the_next_one_is_sent(
    coded: bool, serve: Serve, hire: Hire
) -> None:
    go_on = threading.Event()

    def behave(talk: Talk) -> bool:
        head = EVENTS if coded else EVENTS.replace(b"Transfer-Encoding: chunked\r\n", b"")
        talk.send(head)
        for i in range(3):
            data = b"data: %d\n\n" % i
            talk.send(chunk(data) if coded else data)
            assert go_on.wait(10)
            go_on.clear()
        if coded:
            talk.send(b"0\r\n\r\n")
            return True
        talk.wire.close()
        return False

    worker = hire(behave)
    gateway = serve(single(worker, timeout=30))
    with gateway.client() as client:
        client.send(request())
        start, fields = client.head()
        for i in range(3):
            assert client.chunk() == b"data: %d\n\n" % i
            go_on.set()
        assert client.chunk() == b""

        assert start == "HTTP/1.1 200 OK"
        assert dict(fields)["Transfer-Encoding"] == "chunked"
        assert dict(fields)["X-Model-Version"] == "v1"

        worker.behaviour = echo
        assert client.ask(body=b"next").json()["body"] == "next"
    assert gateway.answers("v1") == {"weighted 200": 2}


def test_an_event_stream_of_known_length_keeps_it(serve: Serve, hire: Hire) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 11\r\n\r\n"
    with serve(single(hire(saying(head + b"data: 123\n\n")))).client() as client:
        answers = [client.ask() for _ in range(3)]

    assert {answer.body for answer in answers} == {b"data: 123\n\n"}
    assert answers[0]["content-length"] == "11"


def test_an_event_stream_to_http_1_0_ends_with_the_connection(serve: Serve, hire: Hire) -> None:
    worker = hire(saying(EVENTS + chunked(b"data: 1\n\n", b"data: 2\n\n")))
    with serve(single(worker)).client() as client:
        answer = client.ask(version="1.0", fields=[("Connection", "keep-alive")])

    assert answer.body == b"data: 1\n\ndata: 2\n\n"
    assert "transfer-encoding" not in answer
    assert answer["connection"] == "close"


@pytest.mark.parametrize("how", ["the worker breaks off", "the deadline", "the drain"])
def test_a_stream_to_http_1_0_that_is_cut_is_a_reset_and_no_end(
    how: str, serve: Serve, hire: Hire
) -> None:
    """Without a length or chunks an orderly end of the connection would be that of the answer."""
    worker = hire(saying(EVENTS + chunk(b"data: 1\n\n")))
    gateway = serve(single(worker, timeout=100))
    with gateway.client() as client:
        client.send(request(version="1.0"))
        client.until(b"data: 1\n\n")
        if how == "the worker breaks off":
            worker.drop_idle()
        elif how == "the deadline":
            gateway.skip(101)
        else:
            gateway.wait(gateway.listener.drain(0))
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)


def test_requests_sent_ahead_of_a_stream_are_answered_behind_it(serve: Serve, hire: Hire) -> None:
    stream = EVENTS + chunked(b"data: 1\n\n", b"data: 2\n\n")[:-2] + b"X-Trailer: 1\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    worker = hire(first=[saying(stream), saying(early + stream)])
    with serve(single(worker)).client() as client:
        client.send(request() + request() + request(body=b"last"))
        answers = [client.answer() for _ in range(3)]

    assert [answer.body for answer in answers[:2]] == [b"data: 1\n\ndata: 2\n\n"] * 2
    assert answers[2].json()["body"] == "last"
    assert worker.connections == 1


def test_a_stream_of_the_candidate_has_the_whole_deadline(serve: Serve, hire: Hire) -> None:
    """What is on its way cannot become stable's answer any more, so nothing is kept for stable."""
    last = threading.Event()

    def behave(talk: Talk) -> None:
        talk.send(EVENTS + chunk(b"data: 1\n\n"))
        last.wait(10)
        talk.send(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

    gateway = serve(two(hire(), hire(behave), timeout=100))
    with gateway.client() as client:
        client.send(request())
        client.head()
        assert client.chunk() == b"data: 1\n\n"

        gateway.skip(90)
        gateway.sweep()
        last.set()

        assert client.chunk() == b"data: 2\n\n"
        assert client.chunk() == b""
    assert gateway.errors("v2") == {}


def test_a_stream_ends_with_the_deadline_and_is_visibly_cut(serve: Serve, hire: Hire) -> None:
    worker = hire(lambda talk: (talk.send(EVENTS + chunk(b"data: 1\n\n")), hanging(talk))[1])
    gateway = serve(single(worker, timeout=100))
    with gateway.client() as client:
        client.send(request())
        client.head()
        assert client.chunk() == b"data: 1\n\n"

        gateway.skip(100)

        with pytest.raises(Ended):
            client.chunk()
    assert gateway.errors("v1") == {"timeout": 1}
    assert gateway.answers("v1") == {"weighted 200": 1}
    eventually(lambda: worker.abandoned == 1)


def test_a_client_too_slow_for_the_deadline_is_no_failure_of_the_version(
    serve: Serve, hire: Hire
) -> None:
    """A few clients that do not read would otherwise roll a healthy candidate back."""
    size = 64 * MIB
    pump = Pump(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, size)
    gateway = serve(two(hire(), hire(pump), timeout=100))
    with gateway.client(receive_buffer=65_536) as client:
        client.send(request())
        client.until(b"\r\n\r\n")
        settled(lambda: pump.sent)
        gateway.skip(100)
        gateway.sweep()

        assert len(client.rest()) < size
    eventually(lambda: gateway.in_flight == 0)
    assert gateway.answers("v2") == {"weighted 499": 1}
    assert gateway.errors("v2") == {}
    found = gateway.evidence("v2")
    assert (found.assigned, found.bad, found.gone) == (1, 0, 1)


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_stream_that_breaks_off_is_visibly_cut(then: str, serve: Serve, hire: Hire) -> None:
    worker = hire(saying(EVENTS + chunk(b"data: 1\n\n"), then))
    gateway = serve(single(worker))
    with gateway.client() as client:
        client.send(request())
        with pytest.raises(Ended):
            client.answer()
    eventually(lambda: gateway.errors("v1") == {"reset": 1})


def test_a_stream_that_turns_to_nonsense_is_visibly_cut(serve: Serve, hire: Hire) -> None:
    worker = hire(saying(EVENTS + chunk(b"data: 1\n\n") + b"nonsense\r\n"))
    gateway = serve(single(worker))
    with gateway.client() as client:
        client.send(request())
        with pytest.raises(Ended):
            client.answer()
    eventually(lambda: gateway.errors("v1") == {"bad_response": 1})


def test_a_candidate_that_fails_as_a_stream_gives_way(serve: Serve, hire: Hire) -> None:
    failure = EVENTS.replace(b"200 OK", b"503 Busy") + chunked(b"data: no\n\n")
    gateway = serve(two(hire(name="v1"), hire(saying(failure))))
    answer = gateway.ask()

    assert answer.json()["worker"] == "v1"
    assert gateway.errors("v2") == {"upstream_5xx": 1}


def test_a_failing_stream_of_stable_passes_and_counts(serve: Serve, hire: Hire) -> None:
    failure = EVENTS.replace(b"200 OK", b"503 Busy") + chunked(b"data: no\n\n")
    gateway = serve(single(hire(saying(failure))))
    answer = gateway.ask()

    assert (answer.status, answer.body) == (503, b"data: no\n\n")
    assert gateway.errors("v1") == {"upstream_5xx": 1}


def test_a_client_that_leaves_a_failing_stream_has_seen_the_failure(
    serve: Serve, hire: Hire
) -> None:
    failure = EVENTS.replace(b"200 OK", b"503 Busy") + chunk(b"data: no\n\n")
    worker = hire(lambda talk: (talk.send(failure), hanging(talk))[1])
    gateway = serve(single(worker, timeout=100))
    with gateway.client() as client:
        client.send(request())
        client.head()
    eventually(lambda: worker.abandoned == 1)

    assert gateway.answers("v1") == {"weighted 503": 1}
    assert gateway.errors("v1") == {"upstream_5xx": 1}


def test_a_client_that_leaves_a_stream_ends_it_at_the_worker(serve: Serve, hire: Hire) -> None:
    worker = hire(lambda talk: (talk.send(EVENTS + chunk(b"data: 1\n\n")), hanging(talk))[1])
    gateway = serve(single(worker, timeout=100))
    with gateway.client() as client:
        client.send(request())
        client.head()
    eventually(lambda: worker.abandoned == 1)

    assert gateway.answers("v1") == {"weighted 499": 1}
    assert gateway.errors("v1") == {}


# --- large answers


@pytest.mark.parametrize("size", [REPLY_BUFFER - 1, REPLY_BUFFER, REPLY_BUFFER + 1, 32 * MIB])
@pytest.mark.parametrize("framing", [b"Content-Length: %d", b"Transfer-Encoding: chunked"])
def test_a_large_answer_arrives_byte_for_byte(
    size: int, framing: bytes, serve: Serve, hire: Hire
) -> None:
    line = framing % size if b"%d" in framing else framing
    pump = Pump(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n", size)
    worker = hire(pump)
    gateway = serve(single(worker, timeout=30))
    with gateway.client() as client:
        answer = client.ask()

        assert len(answer.body) == size
        assert answer.body == (pump.data * (size // len(pump.data) + 1))[:size]

        worker.behaviour = echo
        assert client.ask(body=b"next").json()["body"] == "next"
    assert worker.connections == 1


def test_a_large_answer_that_ends_with_the_connection_arrives_whole(
    serve: Serve, hire: Hire
) -> None:
    pump = Pump(b"HTTP/1.1 200 OK\r\n\r\n", 9 * MIB)

    def behave(talk: Talk) -> bool:
        pump(talk)
        talk.wire.close()
        return False

    answer = serve(single(hire(behave), timeout=30)).ask()

    assert len(answer.body) == 9 * MIB


def test_a_large_answer_is_taken_no_faster_than_the_client_takes_it(
    serve: Serve, hire: Hire
) -> None:
    size = 64 * MIB
    pump = Pump(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, size)
    gateway = serve(single(hire(pump), timeout=60))
    with gateway.client(receive_buffer=65_536) as client:
        client.send(request())
        client.until(b"\r\n\r\n")
        taken_from_worker = settled(lambda: pump.sent)

        assert not pump.done.is_set()
        assert taken_from_worker < size // 2  # what kernels hold, and some more

        assert len(client.read(size)) == size
    assert pump.done.wait(10)


def test_an_event_stream_is_taken_no_faster_than_the_client_takes_it(
    serve: Serve, hire: Hire
) -> None:
    size = 64 * MIB
    pump = Pump(EVENTS, size)
    gateway = serve(single(hire(pump), timeout=60))
    with gateway.client(receive_buffer=65_536) as client:
        client.send(request())
        client.until(b"\r\n\r\n")

        assert settled(lambda: pump.sent) < size // 2
        assert sum(map(len, iter(client.chunk, b""))) == size


def test_a_connection_that_served_a_slow_client_serves_the_next_one(
    serve: Serve, hire: Hire
) -> None:
    """The answer may be whole while its reading is paused."""
    body = b"x" * REPLY_BUFFER

    def behave(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body))
        talk.send(chunk(b"y") + b"0\r\n\r\n")  # only now it is too large to be told whole

    worker = hire(echo, first=[behave])
    gateway = serve(single(worker, timeout=30))
    with gateway.client(receive_buffer=4096) as slow:
        slow.send(request())
        eventually(lambda: gateway.answers("v1") == {"weighted 200": 1})
        for i in range(3):
            assert gateway.ask(body=str(i).encode()).json()["body"] == str(i)

        assert slow.answer().body == body + b"y"
    assert worker.connections == 1


def test_a_slow_client_can_ask_again_when_it_has_taken_its_answer(serve: Serve, hire: Hire) -> None:
    size = 9 * MIB
    pump = Pump(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, size)
    worker = hire(echo, first=[pump])
    with serve(single(worker, timeout=30)).client(receive_buffer=4096) as slow:
        slow.send(request() + request(body=b"second") + request(body=b"third"))
        slow.until(b"\r\n\r\n")
        slow.read(size)
        bodies = [slow.answer().json()["body"] for _ in range(2)]

    assert bodies == ["second", "third"]


def test_an_answer_to_an_upload_behind_an_answer_not_yet_taken_is_held_back_too(
    serve: Serve, hire: Hire
) -> None:
    size = 64 * MIB
    pump = Pump(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, size)
    worker = hire(pump, first=[answering(body=b"x" * REPLY_BUFFER)])
    gateway = serve(single(worker, limits=Limits(body=16 * MIB), timeout=60))
    with gateway.client(receive_buffer=65_536) as client:
        sender = threading.Thread(
            target=client.send, args=(request() + request(body=b"y" * 2 * MIB),), daemon=True
        )
        sender.start()
        head = client.until(b"\r\n\r\n")

        assert b"Content-Length: %d" % REPLY_BUFFER in head
        assert settled(lambda: pump.sent) < size // 2

        assert len(client.read(REPLY_BUFFER)) == REPLY_BUFFER
        client.until(b"\r\n\r\n")
        assert len(client.read(size)) == size
        sender.join(10)


# --- large uploads


def large(worker: Worker, **rules: object):
    return single(worker, limits=Limits(body=256 * MIB), timeout=60, **rules)


@pytest.mark.parametrize("coded", [False, True])
def test_a_large_upload_arrives_byte_for_byte(coded: bool, serve: Serve, hire: Hire) -> None:
    worker = hire(answering())
    body = Random(5).randbytes(5 * MIB)
    with serve(large(worker)).client() as client:
        if coded:
            pieces = [body[i : i + 100_000] for i in range(0, len(body), 100_000)]
            answer = client.ask(body=chunked(*pieces), fields=CHUNKED)
        else:
            answer = client.ask(body=body)
        after = client.ask(body=b"next")

    assert (answer.status, after.status) == (200, 200)
    assert worker.requests[0].body == body
    assert ("transfer-encoding" in worker.requests[0]) == coded
    assert worker.requests[1].body == b"next"
    assert worker.connections == 1


def test_a_large_upload_behind_another_request_waits_its_turn(serve: Serve, hire: Hire) -> None:
    worker = hire(answering())
    body = Random(6).randbytes(3 * MIB)
    with serve(large(worker)).client() as client:
        client.send(request(body=b"first") + request(body=body) + request(body=b"third"))
        statuses = [client.answer().status for _ in range(3)]

    assert statuses == [200] * 3
    assert [seen.body for seen in worker.requests] == [b"first", body, b"third"]


class Sender(threading.Thread):
    """Sends as fast as it is taken, and says how far it has come."""

    def __init__(self, client: Client, size: int) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.size = size
        self.sent = 0
        self.start()

    def run(self) -> None:
        try:
            while self.sent < self.size:
                self.client.send(b"x" * 65_536)
                self.sent += 65_536
        except OSError:
            pass


def test_a_large_upload_is_taken_no_faster_than_the_worker_takes_it(
    serve: Serve, hire: Hire
) -> None:
    size = 64 * MIB
    go_on = threading.Event()

    def behave(talk: Talk) -> None:
        assert go_on.wait(30)
        assert len(talk.wire.read(size)) == size
        talk.reply()

    gateway = serve(large(hire(behave, reads_bodies=False, receive_buffer=65_536)))
    with gateway.client() as client:
        client.send(request(body=b"", fields=[("Content-Length", str(size))]))
        sender = Sender(client, size)

        assert settled(lambda: sender.sent) < size // 2

        go_on.set()
        assert client.answer().status == 200


def test_an_upload_is_not_gathered_while_a_connection_is_opened(serve: Serve, hire: Hire) -> None:
    size = 64 * MIB
    worker = hire(answering())
    gate = asyncio.Event()

    async def slowly(factory, endpoint):
        await gate.wait()
        return await dial(factory, endpoint)

    gateway = serve(large(worker), dial=slowly)
    with gateway.client() as client:
        client.send(request(body=b"", fields=[("Content-Length", str(size))]))
        sender = Sender(client, size)

        assert settled(lambda: sender.sent) < size // 2

        gateway.run(gate.set)
        assert client.answer().status == 200
    assert len(worker.requests[0].body) == size


def test_a_streamed_upload_is_never_sent_twice(serve: Serve, hire: Hire) -> None:
    v1 = hire()
    v2 = hire(lambda talk: (talk.wire.read(100), talk.wire.reset(), False)[2], reads_bodies=False)
    gateway = serve(two(v1, v2, limits=Limits(body=16 * MIB)))
    with gateway.client() as client:
        whole = request(body=b"x" * 3 * MIB)
        client.send(whole[:-1])
        answer = client.answer()

    assert answer.status == 502
    assert answer["x-model-version"] == "v2"
    assert (len(v1.requests), len(v2.requests)) == (0, 1)


def test_a_streamed_upload_nobody_took_goes_to_stable(serve: Serve, hire: Hire) -> None:
    from tests.sockets.peers import refusing, url_of

    v1 = hire(answering())
    body = Random(7).randbytes(3 * MIB)
    with refusing() as nobody:
        config = make_config(
            {"v1": v1.url, "v2": (url_of(nobody), 100)}, limits=Limits(body=16 * MIB)
        )
        answer = serve(config).ask(body=body)

    assert answer.status == 200
    assert v1.requests[0].body == body


def early(status: int) -> object:
    """Answers as soon as the head is there, and keeps the connection."""

    def behave(talk: Talk) -> bool:
        talk.reply(status, b"no thanks")
        talk.worker.abandoned += talk.wire.rest() is not None
        return False

    return behave


def test_a_connection_whose_upload_was_not_finished_is_never_used_again(
    serve: Serve, hire: Hire
) -> None:
    """The worker would take the next request for the rest of the body."""
    worker = hire(echo, first=[early(413)], reads_bodies=False)
    gateway = serve(large(worker))
    with gateway.client() as client:
        whole = request(body=b"x" * 3 * MIB)
        client.send(whole[: 2 * MIB])
        answer = client.answer()

        assert (answer.status, answer.body) == (413, b"no thanks")
        assert answer["connection"] == "close"
    eventually(lambda: worker.abandoned == 1)

    assert gateway.ask("GET", body=None).json()["method"] == "GET"
    assert worker.connections == 2


def test_a_client_in_the_middle_of_its_upload_can_read_an_early_answer(
    serve: Serve, hire: Hire
) -> None:
    import http.client

    gateway = serve(large(hire(first=[early(429)] * 3, reads_bodies=False)))
    for _ in range(3):
        connection = http.client.HTTPConnection(*gateway.address, timeout=10)
        connection.request("POST", "/predict", body=b"x" * 20 * MIB)

        assert connection.getresponse().status == 429
        connection.close()


def test_an_upload_that_turns_out_too_large_ends_the_workers_work(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging, reads_bodies=False)
    worker.behaviour = lambda talk: (talk.wire.rest(), False)[1]
    gateway = serve(single(worker, limits=Limits(body=3 * MIB)))
    with gateway.client() as client:
        client.send(request(body=b"", fields=CHUNKED))
        send_chunks(client, 4 * MIB)
        answer = client.answer()

    assert answer.status == 413
    assert gateway.errors("v1") == {}
    eventually(lambda: worker.open == 0)


def send_chunks(client: Client, size: int) -> None:
    for _ in range(size // 65_536):
        client.send(chunk(b"x" * 65_536))


def test_a_bad_end_of_an_upload_never_breaks_into_an_answer_on_its_way(
    serve: Serve, hire: Hire
) -> None:
    def behave(talk: Talk) -> bool:
        talk.send(EVENTS + chunk(b"data: 1\n\n"))
        talk.wire.rest()
        return False

    gateway = serve(large(hire(behave, reads_bodies=False)))
    with gateway.client() as client:
        client.send(request(body=b"", fields=CHUNKED))
        send_chunks(client, 2 * MIB)
        client.head()
        assert client.chunk() == b"data: 1\n\n"

        client.send(b"nonsense\r\n")

        assert client.rest() == b""


def test_an_answer_that_begins_within_the_upload_is_passed_on(serve: Serve, hire: Hire) -> None:
    def behave(talk: Talk) -> None:
        talk.send(EVENTS)
        while data := talk.wire.chunk():
            talk.send(chunk(b"%d" % len(data)))
        talk.send(b"0\r\n\r\n")

    gateway = serve(large(hire(behave, reads_bodies=False)))
    with gateway.client() as client:
        client.send(request(body=b"", fields=CHUNKED))
        send_chunks(client, 2 * MIB)
        client.send(b"0\r\n\r\n")
        _, fields = client.head()
        told = 0
        while data := client.chunk():
            told += sum(int(number) for number in [data])

        assert told == 2 * MIB
        assert ("Connection", "close") not in fields or client.ended()


def test_a_client_that_leaves_its_upload_ends_it_at_the_worker(serve: Serve, hire: Hire) -> None:
    worker = hire(reads_bodies=False)
    worker.behaviour = lambda talk: (talk.wire.rest(), False)[1]
    gateway = serve(large(worker))
    with gateway.client() as client:
        client.send(request(body=b"x" * 3 * MIB)[: 2 * MIB])
        eventually(lambda: worker.requests)
    eventually(lambda: worker.open == 0)

    assert gateway.answers("v1") == {"weighted 499": 1}


def test_a_stalled_upload_ends_with_the_deadline(serve: Serve, hire: Hire) -> None:
    """And is no failure of the version: a few such clients would roll a healthy one back."""
    worker = hire(reads_bodies=False)
    worker.behaviour = lambda talk: (talk.wire.rest(), False)[1]
    gateway: Gateway = serve(large(worker))
    with gateway.client() as client:
        client.send(request(body=b"x" * 3 * MIB)[: 2 * MIB])
        eventually(lambda: worker.requests)
        gateway.skip(60)
        answer = client.answer()

    assert answer.status == 408
    assert answer.json()["reason"] == "timeout"
    eventually(lambda: worker.open == 0)
    assert gateway.errors("v1") == {}
    assert gateway.answers("v1") == {"weighted 499": 1}
    found = gateway.evidence("v1")
    assert (found.assigned, found.bad, found.gone) == (1, 0, 1)


def test_an_upload_the_worker_does_not_take_is_the_workers_failure(
    serve: Serve, hire: Hire
) -> None:
    enough = threading.Event()

    def behave(talk: Talk) -> bool:
        enough.wait(20)
        return False

    size = 64 * MIB
    gateway = serve(large(hire(behave, reads_bodies=False, receive_buffer=65_536)))
    with gateway.client() as client:
        client.send(request(body=b"", fields=[("Content-Length", str(size))]))
        sender = Sender(client, size)
        settled(lambda: sender.sent)
        gateway.skip(60)

        assert client.answer().status == 504
        enough.set()
    assert gateway.errors("v1") == {"timeout": 1}


def test_a_stalled_upload_whose_answer_had_begun_is_cut(serve: Serve, hire: Hire) -> None:
    def behave(talk: Talk) -> bool:
        talk.send(EVENTS + chunk(b"data: 1\n\n"))
        talk.wire.rest()
        return False

    gateway = serve(large(hire(behave, reads_bodies=False)))
    with gateway.client() as client:
        client.send(request(body=b"x" * 3 * MIB)[: 2 * MIB])
        client.head()
        assert client.chunk() == b"data: 1\n\n"
        gateway.skip(60)

        assert client.rest() == b""
    eventually(lambda: gateway.answers("v1") == {"weighted 499": 1})
    assert gateway.errors("v1") == {}
