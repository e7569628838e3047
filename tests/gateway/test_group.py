"""What a supervisor decides, and what it says to its members, without a process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.machine.port import Address
from gateway.processes.control import Channel, Message, pack, pair, unpack

EXAMPLE = Path(__file__).parents[2] / "routing.yaml"


def test_a_file_reaches_a_member_as_it_was_parsed() -> None:
    everything = b"""
routes:
  iris:
    match: {path: /predict, host: a.example, header: {X-Tenant: acme}}
    stable: v1
    versions:
      v1: {urls: ["http://127.0.0.1:8101", "unix:/run/v1.sock"]}
      v2: {url: "http://[::1]:8102", weight: 12.34}
      v3: {url: "https://iris", tls: {ca: /etc/canary/ca.pem, server_name: iris-v3}}
    sticky: {cookie: canary_id, salt: pepper}
    override: {header: X-Model-Version}
    timeout: 1234ms
    fallback: none
    limits: {body: 3MiB, in_flight: 7}
    prediction: {protocol: predict, labels: ["\xc3\xbc", "1.10", "on"]}
    mirror: {to: v2, percent: 20, compare: /predictions/0}
    rollout: {candidate: v2, steps: [{weight: 1, pause: 10m}, {weight: 50, pause: forever}]}
    analysis: {max_false_rollback: 1%, predictions: {max_shift: 2%, action: alert}}
notify: [{webhook: "https://chat.example/hook", events: [rollback, error]}]
"""
    for content in (everything, EXAMPLE.read_bytes()):
        config = parse(content)
        descriptor = pack(config)
        try:
            assert unpack(descriptor) == config
        finally:
            os.close(descriptor)


def test_messages_arrive_whole_in_order_with_what_is_attached_and_then_the_end() -> None:
    async def talk() -> list[object]:
        heard: list[object] = []
        over = asyncio.Event()

        def hear(message: Message, descriptors: list[int]) -> None:
            heard.append(message)
            for descriptor in descriptors:
                heard.append(os.pread(descriptor, 100, 0))
                os.close(descriptor)

        ours, theirs = pair()
        here = Channel(ours, lambda *_: None, lambda: None)
        there = Channel(theirs, hear, over.set)
        descriptor = os.memfd_create("attached")
        os.pwrite(descriptor, b"content", 0)
        here.send(Message("take", 3, (Address("::1", 80),)), [descriptor])
        os.close(descriptor)
        here.send(Message("drain"))
        here.close()
        await over.wait()
        there.close()
        there.send(Message("nobody hears"))
        return heard

    assert asyncio.run(talk()) == [
        Message("take", 3, (Address("::1", 80),)),
        b"content",
        Message("drain"),
    ]


def test_who_says_more_than_is_heard_does_not_wait() -> None:
    async def talk() -> None:
        ours, theirs = pair()
        channel = Channel(ours, lambda *_: None, lambda: None)
        for _ in range(10_000):  # more than the socket holds
            channel.send(Message("drain"))
        channel.close()
        theirs.close()

    asyncio.run(talk())


@pytest.mark.parametrize(("host", "text"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_an_address_is_written_as_in_a_url(host: str, text: str) -> None:
    assert str(Address(host, 80)) == text
