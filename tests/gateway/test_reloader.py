"""From a changed file to a changed table, in one process and without waiting."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.live import Live
from gateway.model import generation_of
from gateway.reloader import Reloader

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


def reloader_of(file: Path) -> tuple[Reloader, Live]:
    live = Live(parse(file.read_bytes()))
    return Reloader(file, live), live


def reload(reloader: Reloader) -> bool:
    return asyncio.run(reloader.reload()).successful


def test_a_changed_file_is_swapped_in(file: Path) -> None:
    reloader, live = reloader_of(file)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))

    assert reload(reloader)
    assert live.serving.table.config.route("iris").weight("v2") == 2000
    assert reloader.status.taken == 1


def test_an_unchanged_file_is_left_alone(file: Path) -> None:
    reloader, live = reloader_of(file)
    serving = live.serving
    os.utime(file, (1, 1))

    assert reload(reloader)
    assert live.serving is serving
    assert (reloader.status.taken, reloader.status.refused) == (0, 0)


def test_a_change_that_keeps_size_and_modification_time_is_seen(file: Path) -> None:
    reloader, live = reloader_of(file)
    stat = file.stat()
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert reload(reloader)
    assert live.serving.table.config.route("iris").weight("v2") == 2000


def test_a_refused_file_keeps_the_last_good_one_and_is_counted_once(file: Path) -> None:
    reloader, live = reloader_of(file)
    serving = live.serving
    file.write_text("routes: {")

    assert not reload(reloader)
    assert not reload(reloader)
    assert live.serving is serving
    assert reloader.status.refused == 1
    assert reloader.status.problems


def test_the_good_file_put_back_is_good_again_without_a_swap(file: Path) -> None:
    reloader, live = reloader_of(file)
    serving = live.serving
    file.write_text("routes: {")
    reload(reloader)
    file.write_text(TEXT)

    assert reload(reloader)
    assert live.serving is serving
    assert reloader.status.problems == ()


def test_a_deleted_file_is_a_refused_one(file: Path) -> None:
    reloader, live = reloader_of(file)
    file.unlink()

    assert not reload(reloader)
    assert "cannot be read" in reloader.status.problems[0].message
    assert live.serving.generation == generation_of(TEXT.encode())


def test_a_flapping_file_ends_at_its_last_content(file: Path) -> None:
    reloader, live = reloader_of(file)
    for weight in ("20", "10", "30", "10", "40"):
        file.write_text(TEXT.replace("weight: 10", f"weight: {weight}"))
        reload(reloader)

    assert live.serving.table.config.route("iris").weight("v2") == 4000


def test_what_is_not_acted_on_yet_is_warned_about(file: Path) -> None:
    reloader, _ = reloader_of(file)
    file.write_text(
        TEXT.replace("    versions:", "    mirror: {to: v2, percent: 5}\n    versions:")
    )

    assert reload(reloader)
    assert [warning.path for warning in reloader.status.warnings] == ["routes.iris.mirror"]


def test_counts_outlive_a_swap_and_evidence_begins_anew(file: Path) -> None:
    reloader, live = reloader_of(file)
    before = live.serving
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    reload(reloader)

    assert live.serving.counts == before.counts
    assert live.serving.pools == before.pools
    assert not set(map(id, live.serving.evidence)) & set(map(id, before.evidence))
    assert list(live.past) == [before]


def test_a_version_that_left_the_file_leaves_the_counts(file: Path) -> None:
    reloader, live = reloader_of(file)
    file.write_text(TEXT[: TEXT.index("      v2")])
    reload(reloader)

    assert {counts.version for counts in live.all_counts()} == {"v1"}
