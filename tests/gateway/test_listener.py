"""What goes on ten times a second, whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.clients import listener
from gateway.clients.listener import Listener
from gateway.clients.live import Live
from gateway.counting.ledger import Ledger
from gateway.routing.table import compile_table
from tests.builders import make_config


def test_a_mistake_in_a_sweep_does_not_end_the_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SWEEP_EVERY", 0.001)
    told: list[dict[str, Any]] = []

    async def swept() -> None:
        enough = asyncio.Event()

        def fail() -> None:
            if len(told) >= 3:
                enough.set()
            raise ValueError("a mistake")

        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        config = make_config({"v1": "http://127.0.0.1:1"})
        sweeping = Listener(Live(compile_table(config), Ledger()), fail)
        await sweeping.start("127.0.0.1", 0)
        await asyncio.wait_for(enough.wait(), 60)
        await sweeping.drain(0)

    asyncio.run(swept())

    assert {str(one["exception"]) for one in told} == {"a mistake"}
