"""TLS towards clients and workers. Above it everything is as it is without: the essentials of the
other files run here once more, over it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import warnings
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest

from gateway.clients.listener import MAX_SHAKING
from gateway.security import tls
from gateway.workers import dial as dialling
from tests import certificates
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Client,
    Gateway,
    Talk,
    Worker,
    answering,
    echo,
    eventually,
    request,
)
from tests.sockets.test_clients import (  # noqa: F401  # run again, with the fixtures of this file
    test_a_body_that_does_not_come_is_a_408_and_holds_no_worker,
    test_a_client_that_does_not_take_its_answer_is_cut_in_the_end,
    test_a_client_that_leaves_ends_the_workers_work_too,
    test_a_client_that_leaves_within_its_request_disturbs_nobody,
    test_a_client_that_never_stops_sending_is_cut,
    test_a_client_that_resets_leaves_nothing_behind,
    test_a_client_that_says_close_is_told_so_and_gets_it,
    test_a_client_that_takes_its_answer_slowly_gets_it_whole,
    test_a_connection_that_says_nothing_at_all_ends_without_a_word,
    test_a_head_that_does_not_come_is_a_408,
    test_an_expectation_is_answered_before_the_body,
    test_an_idle_connection_ends_without_a_word,
    test_http_1_0_clients_are_answered_as_they_ask,
    test_more_requests_ahead_than_are_read_are_answered_in_order,
    test_thirty_requests_byte_by_byte_are_answered_in_order,
    test_thirty_requests_in_one_go_are_answered_in_order,
    test_thirty_requests_split_at_every_place_are_answered_in_order,
    test_what_is_malformed_is_refused_however_it_is_cut,
)
from tests.sockets.test_data_plane import (  # noqa: F401
    test_a_body_reaches_the_client_byte_for_byte,
    test_a_body_reaches_the_worker_byte_for_byte,
    test_connections_to_a_worker_are_used_again,
    test_every_answer_counts_once_and_time_is_taken,
    test_many_requests_on_one_connection_are_all_answered,
    test_workers_of_http_1_0_are_understood,
)
from tests.sockets.test_streams import (  # noqa: F401
    test_a_client_that_leaves_a_stream_ends_it_at_the_worker,
    test_a_client_that_leaves_its_upload_ends_it_at_the_worker,
    test_a_connection_that_served_a_slow_client_serves_the_next_one,
    test_a_connection_whose_upload_was_not_finished_is_never_used_again,
    test_a_large_answer_arrives_byte_for_byte,
    test_a_large_answer_is_taken_no_faster_than_the_client_takes_it,
    test_a_large_upload_arrives_byte_for_byte,
    test_a_large_upload_is_taken_no_faster_than_the_worker_takes_it,
    test_a_slow_client_can_ask_again_when_it_has_taken_its_answer,
    test_a_stream_ends_with_the_deadline_and_is_visibly_cut,
    test_a_stream_that_breaks_off_is_visibly_cut,
    test_an_event_is_passed_on_before_the_next_one_is_sent,
    test_an_event_stream_is_taken_no_faster_than_the_client_takes_it,
    test_an_event_stream_to_http_1_0_ends_with_the_connection,
)
from tests.sockets.test_workers import (  # noqa: F401
    test_a_closed_idle_connection_is_never_given_out,
    test_a_fault_of_stable_is_one_whole_error,
    test_a_worker_that_closed_an_idle_connection_costs_nobody_an_answer,
    test_surplus_bytes_of_a_worker_reach_nobody,
    test_surplus_bytes_that_come_later_close_the_idle_connection,
)


@pytest.fixture
def serve(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A gateway that speaks TLS, and trusts the workers of these tests."""
    monkeypatch.setattr(dialling, "context_of", lambda _: certificates.trusting())

    def start(*config: Any, **more: Any) -> Gateway:
        pem = certificates.pem_of(certificates.issued())
        return serve(*config, **{"pem": pem, "trust": certificates.trusting()} | more)

    return start


@pytest.fixture
def hire(stack: ExitStack) -> Hire:
    """A worker that speaks TLS."""

    def start(*behaviour: Any, **more: Any) -> Worker:
        context = certificates.serving(certificates.issued())
        return stack.enter_context(closing(Worker(*behaviour, context=context, **more)))

    return start


# --- clients


def raw(gateway: Gateway) -> socket.socket:
    """A connection that speaks no TLS by itself."""
    return socket.create_connection(gateway.address, timeout=20)


def shaking(gateway: Gateway) -> int:
    return gateway.run(lambda: len(gateway.listener._shaking))


def single(worker: Worker, **rules: Any):
    return make_config({"v1": worker.url}, **rules)


def test_a_worker_is_told_that_the_client_spoke_tls(serve: Serve, hire: Hire) -> None:
    told = serve(single(hire())).ask(fields=[("X-Forwarded-Proto", "ftp")]).json()["fields"]

    assert [value for name, value in told if name == "X-Forwarded-Proto"] == ["https"]


def test_what_is_spoken_is_modern(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    trust = certificates.trusting()
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with Client(gateway.address, context=trust) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.sock.version() == "TLSv1.3"
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    with Client(gateway.address, context=trust) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.cipher()[0].startswith("ECDHE-")  # type: ignore[index]
        assert client.sock.compression() is None
        assert client.ask().status == 200
    trust.set_ciphers("AES128-GCM-SHA256:@SECLEVEL=0")  # no forward secrecy
    with pytest.raises(ssl.SSLError):
        Client(gateway.address, context=trust)


def test_old_versions_are_not_spoken(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    trust = certificates.trusting()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        trust.minimum_version = ssl.TLSVersion.TLSv1
        trust.maximum_version = ssl.TLSVersion.TLSv1_1
    trust.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        Client(gateway.address, context=trust)


@pytest.mark.parametrize(
    "said",
    [
        request(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x16\x03\x01\xff\xff" * 9000,
        b"",
    ],
    ids=["plain HTTP", "half a hello", "noise", "nothing"],
)
def test_who_speaks_no_tls_is_told_nothing_and_disturbs_nobody(
    said: bytes, serve: Serve, hire: Hire
) -> None:
    gateway = serve(single(worker := hire()))
    with raw(gateway) as stranger:
        with suppress(OSError):
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while piece := stranger.recv(65536):
                answer += piece

    assert len(answer) < 20  # an alert at most
    assert b"HTTP" not in answer
    assert gateway.ask().status == 200
    eventually(lambda: shaking(gateway) == 0)
    assert len(worker.requests) == 1


def test_a_handshake_that_takes_too_long_ends(
    serve: Serve, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.05)
    gateway = serve(single(hire()))
    with raw(gateway) as silent:
        silent.sendall(b"\x16\x03\x01\x02\x00")
        with suppress(ConnectionError):
            assert silent.recv(1) == b""

    assert shaking(gateway) == gateway.connections == 0


def test_more_handshakes_than_there_is_room_for_end_the_oldest(serve: Serve, hire: Hire) -> None:
    """Who says nothing keeps nobody out, and who speaks is not cut for it."""
    gateway = serve(single(hire()))
    gateway.listener.shaking_room = 3
    with gateway.client() as before, ExitStack() as strangers:
        silent = []
        for number in range(10):
            one = strangers.enter_context(raw(gateway))
            one.sendall(b"\x16\x03\x01\x02\x00")
            silent.append(one)
            eventually(lambda most=(number + 1, 3): shaking(gateway) == min(most))
        for one in silent[:7]:
            with suppress(ConnectionError):
                assert one.recv(1) == b""
        for one in silent[7:]:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)

        assert gateway.ask().status == 200
        assert before.ask().status == 200
        assert gateway.connections == 1
    eventually(lambda: shaking(gateway) == 0)


def test_there_is_always_room_for_more_than_handshakes(serve: Serve, hire: Hire) -> None:
    listener = serve(single(hire())).listener

    assert 1 < listener.shaking_room <= min(MAX_SHAKING, listener.room // 2)


def test_an_open_connection_outlives_the_limit_of_its_handshake(
    serve: Serve, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.05)
    gateway = serve(single(hire()))
    with gateway.client() as client:
        assert client.ask().status == 200
        with raw(gateway) as silent, suppress(ConnectionError):
            assert silent.recv(1) == b""  # the limit is over
        assert client.ask().status == 200


def test_new_connections_are_shown_the_new_certificate_and_old_ones_go_on(
    serve: Serve, hire: Hire
) -> None:
    gateway = serve(single(hire()))
    other = certificates.issued(by="another authority")
    with gateway.client() as before:
        assert before.ask().status == 200
        gateway.run(lambda: gateway.plane.certify(certificates.pem_of(other)))
        with Client(gateway.address, context=certificates.trusting("another authority")) as after:
            assert after.ask().status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            gateway.client()
        assert before.ask().status == 200


def test_a_last_answer_is_taken_as_slowly_as_the_client_likes(serve: Serve, hire: Hire) -> None:
    """The loop's own TLS cuts what is not taken when its time for farewells is over."""
    body = b"x" * (8 * 1024 * 1024)
    gateway = serve(single(hire(answering(body=body)), timeout=60))
    with gateway.client(receive_buffer=16_384) as client:
        client.send(request(fields=[("Connection", "close")]))
        eventually(lambda: gateway.answers("v1"))
        assert gateway.connections == 1
        gateway.skip(25)  # who takes nothing for 30 s is cut, TLS or not
        gateway.sweep()
        client.head()
        assert client.read(len(body)) == body
        assert client.ended()


def test_a_drain_serves_what_is_asked_and_says_farewell_to_the_idle(
    serve: Serve, hire: Hire
) -> None:
    go_on = threading.Event()

    def behave(talk: Talk) -> None:
        assert go_on.wait(20)
        talk.reply()

    gateway = serve(single(hire(first=[echo], behaviour=behave), timeout=60))
    with gateway.client() as idle, gateway.client() as busy, raw(gateway) as half:
        assert idle.ask().status == 200
        half.sendall(b"\x16\x03\x01\x02\x00")
        busy.send(request())
        eventually(lambda: gateway.in_flight == 1)
        eventually(lambda: shaking(gateway) == 1)
        draining = asyncio.run_coroutine_threadsafe(gateway.listener.drain(20), gateway.loop)
        idle.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        assert idle.ended()
        with suppress(ConnectionError):
            assert half.recv(1) == b""
        go_on.set()
        answer = busy.answer()
        assert (answer.status, answer["Connection"]) == (200, "close")
        assert busy.ended()

        assert draining.result(20) == 0


# --- workers


NO_FRAMING = b"HTTP/1.1 200 OK\r\n\r\nall of it"


@pytest.mark.parametrize("farewell", [True, False])
def test_only_a_farewell_makes_an_answer_without_framing_whole(
    farewell: bool, serve: Serve, hire: Hire
) -> None:
    def behave(talk: Talk) -> bool:
        talk.send(NO_FRAMING)
        if farewell:
            talk.wire.close()
        else:
            talk.wire.sock.close()
        return False

    gateway = serve(single(hire(behave)))

    assert gateway.ask().status == (200 if farewell else 502)
    assert gateway.errors("v1") == ({} if farewell else {"reset": 1})


def test_a_worker_that_speaks_no_tls_is_not_asked(serve: Serve, hire: Hire) -> None:
    plain = serve(single(worker := hire()), pem=b"", trust=None)
    host, port = plain.address
    gateway = serve(make_config({"v1": f"https://{host}:{port}"}))

    assert gateway.ask().json()["reason"] == "connect"
    assert worker.requests == []


def test_a_worker_that_never_ends_its_handshake_ends_with_the_deadline(
    serve: Serve, stack: ExitStack
) -> None:
    silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    url = f"https://127.0.0.1:{silent.getsockname()[1]}"
    gateway = serve(make_config({"v1": url}, timeout=0.2))

    assert gateway.ask().json()["reason"] == "timeout"
