"""What all tests share: hypothesis searches the same way each time and may take its time, and
every test clears up after itself.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile(
    "shared machine",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared machine")

# Files and directories of half a minute and more.
_LONG = (
    *("tests/browser/", "tests/composed/", "tests/system/test_ship_a_version.py"),
    *("tests/system/test_chaos.py", "tests/system/test_demo.py", "tests/system/test_saves.py"),
)


class _Files(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """A process runs whole files, so that what a file starts is started once; and a whole directory
    where it is the directory that starts it.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder in ("tests/browser", "tests/composed") else file


def pytest_xdist_auto_num_workers() -> int:
    """What starts processes waits for them a third of its time."""
    return max(1, 3 * (os.cpu_count() or 1) // 2)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Files:
    """Who runs what, where several processes share the tests."""
    return _Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long goes first, so that no process is left with it when the others are done."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


def pytest_collection_finish() -> None:
    """What stays to the end is never looked at again: a collection after a test costs little."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _what_it_left() -> Iterator[None]:
    """The same of what a module has left for good: reports, caches, imports."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _its_own_garbage() -> Iterator[None]:
    """Something left open is told of by the test that left it, not by whoever runs when Python
    happens to collect it.
    """
    yield
    gc.collect()
