"""A console without a gateway: its texts are given to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from monitoring.console.app import create_console
from monitoring.console.context import Context
from monitoring.console.sampler import Sampler
from monitoring.readings.sources import GatewaySources, SourceError
from tests.monitoring.console.gateway import Gateway


class Console:
    """One that is looked at by a client which takes answers as a browser would."""

    def __init__(self, file: Path, stack: ExitStack) -> None:
        self.file = file
        self.gateway = Gateway()
        self.now = 1_000_000.0
        self.sampler = Sampler(self._asked, lambda: self.now)
        sources = stack.enter_context(GatewaySources(["http://127.0.0.1:1"]))
        context = Context(file, sources, clock=lambda: self.now)
        application = create_console(context, self.sampler)
        # Not as a context: nobody but a test lets the sampler look.
        self.client = TestClient(application, base_url="http://127.0.0.1")

    def pass_seconds(self, number: int) -> None:
        """Look each second."""
        for _ in range(number):
            self.now += 1
            self.sampler.look()

    def _asked(self) -> dict[str, str | SourceError]:
        return {"http://127.0.0.1:1": self.gateway.text() or SourceError("it is down")}


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with ExitStack() as stack:
        yield Console(tmp_path / "routing.yaml", stack)
