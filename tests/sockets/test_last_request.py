"""A request that ends its connection is the last one served, whatever comes behind it."""

from __future__ import annotations

import threading

import pytest

from gateway.clients import reader
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Talk, eventually, request

LAST = (
    request(fields=[("Connection", "close")]),
    request(version="1.0"),
)


@pytest.mark.parametrize("last", LAST, ids=["Connection: close", "HTTP/1.0"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "not seen before"])
def test_nothing_behind_it_is_served(last: bytes, known: bool, serve: Serve, hire: Hire) -> None:
    """Also not a request that is taken without the parser, as its head was read before."""
    go_on = threading.Event()

    def behave(talk: Talk) -> None:
        assert go_on.wait(20)
        talk.reply(body=b"ok")

    worker = hire(behave)
    gateway = serve(make_config({"v1": worker.url}))
    go_on.set()
    reader.known.forget()
    with gateway.client() as client:
        for _ in range(3 if known else 0):
            assert client.ask().status == 200
    assert bool(reader.known) is known
    go_on.clear()
    before = len(worker.requests)
    with gateway.client() as client:
        client.send(last)
        eventually(lambda: len(worker.requests) == before + 1)
        client.send(request())
        gateway.settle()
        go_on.set()

        assert client.answer()["connection"] == "close"
        assert client.ended()
    assert len(worker.requests) == before + 1
