"""A file that sends traffic where none may go is a broken one, however the place is spelled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.gateway.config.test_addresses import NO_ENDPOINTS, NO_HOSTS, NOWHERE
from tests.sockets.peers import Client, Worker

FORBIDDEN = [
    *(f"{scheme}://{host}:80" for host in (*NOWHERE, *NO_HOSTS) for scheme in ("http", "https")),
    *(text for text, _ in NO_ENDPOINTS),
]


@pytest.fixture
def worker() -> Iterator[Worker]:
    with closing(Worker()) as one:
        yield one


def text_of(stable: str, candidate: str) -> str:
    versions = {"v1": {"url": stable}, "v2": {"url": candidate, "weight": 50}}
    return json.dumps({"routes": {"iris": {"stable": "v1", "versions": versions}}})


def test_no_forbidden_address_is_ever_in_force(system: Any, worker: Worker) -> None:
    good = json.dumps(
        {"routes": {"iris": {"stable": "v1", "versions": {"v1": {"url": worker.url}}}}}
    )
    served = system.gateway(good)
    generation = served.status()["generation"]
    with Client(("127.0.0.1", served.data_port)) as client:
        for number, address in enumerate(FORBIDDEN, 1):
            stable, candidate = (worker.url, address) if number % 2 else (address, worker.url)
            served.file.write_text(text_of(stable, candidate))
            status, document = served.reload()

            assert status == 400, address
            assert document["problems"], address
            assert "secret" not in str(document["problems"])
            assert served.status()["generation"] == generation, address
            assert client.ask().json()["worker"] == "worker"
    assert len(FORBIDDEN) > 100
    assert len(worker.requests) == len(FORBIDDEN)
