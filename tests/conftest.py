"""What all tests share: hypothesis searches the same way each time and may take its time, and
every test clears up after itself.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "shared machine",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared machine")


def pytest_collection_finish() -> None:
    """What stays to the end is never looked at again: a collection after a test costs little."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _its_own_garbage() -> Iterator[None]:
    """Something left open is told of by the test that left it, not by whoever runs when Python
    happens to collect it.
    """
    yield
    gc.collect()
