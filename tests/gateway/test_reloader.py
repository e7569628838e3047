"""From a changed file to a changed table, in one process and without waiting."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.counting.archive import KEPT_GENERATIONS
from gateway.counting.report import ReloadStatus, Report, State, gather
from gateway.files.changes import Authorship
from gateway.files.reloader import AT_MOST, QUIET_IF_OPEN, Reloader, Unrest
from gateway.model import Assignment, generation_of
from gateway.processes.plane import Solo
from gateway.routing.table import RoutingTable
from tests.builders import make_outcome

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
"""


V2 = ("iris", "v2", "candidate")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


def reloader_of(file: Path) -> tuple[Reloader, Solo]:
    plane = Solo(parse(file.read_bytes()))
    return Reloader(file, plane), plane


def report_of(plane: Solo) -> Report:
    state = State("routing.yaml", ReloadStatus(), False, plane.processes(), plane.restarts)
    return gather(plane.archive, state)


def reload(reloader: Reloader) -> bool:
    return asyncio.run(reloader.reload()).successful


def test_a_changed_file_is_swapped_in(file: Path) -> None:
    reloader, plane = reloader_of(file)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))

    assert reload(reloader)
    assert plane.live.serving.table.config.route("iris").weight("v2") == 2000
    assert reloader.status.taken == 1


def test_a_change_of_weights_is_one_line_that_says_who_and_why(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = parse(file.read_bytes())
    ana = Authorship("cli:ana", "set-weight", "looks\ngood \u2028")
    reloader = Reloader(file, Solo(config), (), config, lambda generation: ana)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    reload(reloader)
    file.write_text(TEXT.replace("weight: 10", "weight: 20") + "# nothing new\n")
    reload(reloader)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (told,) = (one for one in said if one["event"] == "weights changed")
    del told["timestamp"]

    assert told == {
        "event": "weights changed",
        "level": "info",
        "route": "iris",
        "stable": "v1",
        "before": {"v1": 90, "v2": 10},
        "after": {"v1": 80, "v2": 20},
        "by": "cli:ana",
        "action": "set-weight",
        "reason": "looks\ngood \u2028",
        "generation": said[0]["generation"],
    }


def test_a_history_that_cannot_be_read_keeps_no_change_from_being_told(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def author(generation: str) -> Authorship:
        raise PermissionError("not yours")

    config = parse(file.read_bytes())
    reloader = Reloader(file, Solo(config), (), config, author)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))

    assert reload(reloader)
    assert '"by": "unknown"' in capsys.readouterr().err


def test_an_unchanged_file_is_left_alone(file: Path) -> None:
    reloader, plane = reloader_of(file)
    serving = plane.live.serving
    os.utime(file, (1, 1))

    assert reload(reloader)
    assert plane.live.serving is serving
    assert (reloader.status.taken, reloader.status.refused) == (0, 0)


def test_a_file_of_authorities_that_cannot_be_used_is_refused(file: Path, tmp_path: Path) -> None:
    reloader, plane = reloader_of(file)
    generation = plane.generation
    missing = tmp_path / "ca.pem"
    secured = f'{{url: "https://127.0.0.1:8101", tls: {{ca: {missing}}}}}'
    file.write_text(TEXT.replace('{url: "http://127.0.0.1:8101"}', secured))

    assert not reload(reloader)
    assert plane.generation == generation
    assert [problem.path for problem in reloader.status.problems] == [
        "routes.iris.versions.v1.tls.ca"
    ]


def test_a_change_that_keeps_size_and_modification_time_is_seen(file: Path) -> None:
    reloader, plane = reloader_of(file)
    stat = file.stat()
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert reload(reloader)
    assert plane.live.serving.table.config.route("iris").weight("v2") == 2000


def test_a_refused_file_keeps_the_last_good_one_and_is_counted_once(file: Path) -> None:
    reloader, plane = reloader_of(file)
    serving = plane.live.serving
    file.write_text("routes: {")

    assert not reload(reloader)
    assert not reload(reloader)
    assert plane.live.serving is serving
    assert reloader.status.refused == 1
    assert reloader.status.problems


def test_the_good_file_put_back_is_good_again_without_a_swap(file: Path) -> None:
    reloader, plane = reloader_of(file)
    serving = plane.live.serving
    file.write_text("routes: {")
    reload(reloader)
    file.write_text(TEXT)

    assert reload(reloader)
    assert plane.live.serving is serving
    assert reloader.status.problems == ()


# --- looking at a file while it is being saved


def looks(reloader: Reloader, number: int = 1) -> None:
    async def look() -> None:
        for _ in range(number):
            await reloader.look()

    asyncio.run(look())


def test_a_valid_half_of_a_save_is_never_in_force(file: Path) -> None:
    """An editor that writes in place has come as far as the end of a line; the candidate, a whole
    route would be missing.
    """
    reloader, plane = reloader_of(file)
    before = plane.generation
    whole = TEXT.replace("weight: 10", "weight: 20")
    half = whole.index("      v2")
    with file.open("w") as editor:
        editor.write(whole[:half])
        editor.flush()
        assert parse(file.read_bytes()).routes
        looks(reloader, QUIET_IF_OPEN)
        assert plane.generation == before
        editor.write(whole[half:])
        editor.flush()
        looks(reloader, QUIET_IF_OPEN)
        assert plane.generation == before
    looks(reloader)

    assert plane.generation == generation_of(whole.encode())
    assert (reloader.status.taken, reloader.status.refused) == (1, 0)


def test_a_handle_that_is_never_closed_does_not_keep_a_save_from_being_taken(file: Path) -> None:
    reloader, plane = reloader_of(file)
    whole = TEXT.replace("weight: 10", "weight: 20")
    with file.open("w") as editor:
        editor.write(whole)
        editor.flush()
        looks(reloader, QUIET_IF_OPEN + 1)

        assert plane.generation == generation_of(whole.encode())


def test_a_reader_of_the_file_does_not_hold_up_a_save(file: Path) -> None:
    reloader, plane = reloader_of(file)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    with file.open():
        looks(reloader)

        assert plane.generation == generation_of(file.read_bytes())


@pytest.mark.parametrize("rename", [True, False], ids=["renamed over", "in place"])
def test_a_finished_save_is_taken_at_the_first_look(file: Path, rename: bool) -> None:
    reloader, plane = reloader_of(file)
    target = file.with_name("new") if rename else file
    target.write_text(TEXT.replace("weight: 10", "weight: 20"))
    target.rename(file)
    looks(reloader)

    assert plane.generation == generation_of(file.read_bytes())


def test_a_file_that_is_moved_away_for_a_moment_is_not_called_missing(file: Path) -> None:
    reloader, plane = reloader_of(file)
    looks(reloader)
    file.rename(file.with_name("routing.yaml~"))
    looks(reloader)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    looks(reloader)

    assert plane.generation == generation_of(file.read_bytes())
    assert reloader.status.refused == 0
    file.unlink()
    looks(reloader, 3)
    assert reloader.status.refused == 1


def test_where_nobody_can_tell_of_writers_a_file_is_taken_once_it_has_been_quiet() -> None:
    unrest = Unrest()
    verdicts = [unrest.is_over(stat, None) for stat in ("a", "b", "b", "b")]

    assert verdicts == [False, False, True, True]


def test_a_file_that_is_written_to_without_end_is_taken_in_the_end() -> None:
    unrest = Unrest()
    verdicts = [unrest.is_over(stat, False) for stat in range(AT_MOST + 1)]

    assert verdicts == [False] * AT_MOST + [True]


def test_an_unreadable_file_is_a_refused_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reloader, plane = reloader_of(file)
    before = plane.generation

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)

    assert not reload(reloader)
    assert "cannot be read (Permission denied)" in reloader.status.problems[0].message
    assert plane.generation == before


def test_a_mistake_with_one_file_does_not_end_the_watching(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reloader, plane = reloader_of(file)
    monkeypatch.setattr("gateway.files.reloader.LOOK_EVERY", 0)
    swap, failures, swapped = plane.swap, 3, asyncio.Event()

    async def failing(table: RoutingTable) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise RuntimeError("a mistake of ours")
        await swap(table)
        swapped.set()

    monkeypatch.setattr(plane, "swap", failing)
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))

    async def watched() -> None:
        watching = asyncio.create_task(reloader.watch())
        async with asyncio.timeout(20):
            await swapped.wait()
        watching.cancel()

    asyncio.run(watched())

    assert plane.generation == generation_of(file.read_bytes())
    assert capsys.readouterr().err.count("reload failed") == 1


# --- what the file became


def test_a_deleted_file_is_a_refused_one(file: Path) -> None:
    reloader, plane = reloader_of(file)
    file.unlink()

    assert not reload(reloader)
    assert "cannot be read" in reloader.status.problems[0].message
    assert plane.live.serving.generation == generation_of(TEXT.encode())


def test_a_flapping_file_ends_at_its_last_content(file: Path) -> None:
    reloader, plane = reloader_of(file)
    for weight in ("20", "10", "30", "10", "40"):
        file.write_text(TEXT.replace("weight: 10", f"weight: {weight}"))
        reload(reloader)

    assert plane.live.serving.table.config.route("iris").weight("v2") == 4000


def test_what_is_not_acted_on_yet_is_warned_about(file: Path) -> None:
    reloader, _ = reloader_of(file)
    file.write_text(
        TEXT.replace("    versions:", "    mirror: {to: v2, percent: 5}\n    versions:")
    )

    assert reload(reloader)
    assert [warning.path for warning in reloader.status.warnings] == ["routes.iris.mirror"]


def test_counts_outlive_a_swap_and_evidence_begins_anew(file: Path) -> None:
    reloader, plane = reloader_of(file)
    pools = plane.live.serving.pools
    decision = plane.live.serving.table.routes[0].decision("v2", Assignment.WEIGHTED)
    plane.live.serving.counts[decision.index].record(make_outcome(decision))
    file.write_text(TEXT.replace("weight: 10", "weight: 20"))
    reload(reloader)

    before, after = report_of(plane).history
    assert report_of(plane).versions[V2].answered["weighted", 200] == 1
    assert (before[1][V2].assigned, after[1][V2].assigned) == (1, 0)
    assert plane.live.serving.pools == pools


def test_what_began_under_an_old_file_is_counted_there_and_not_lost(file: Path) -> None:
    reloader, plane = reloader_of(file)
    old = plane.live.serving
    decision = old.table.routes[0].decision("v2", Assignment.WEIGHTED)
    for weight in range(20, 20 + 2 * KEPT_GENERATIONS):
        file.write_text(TEXT.replace("weight: 10", f"weight: {weight}"))
        reload(reloader)
        old.counts[decision.index].record(make_outcome(decision))

    report = report_of(plane)
    assert report.versions[V2].answered["weighted", 200] == 2 * KEPT_GENERATIONS
    assert len(report.history) == KEPT_GENERATIONS + 1
    del old
    assert report_of(plane).versions[V2] == report.versions[V2]


def test_a_version_that_left_the_file_leaves_the_counts(file: Path) -> None:
    reloader, plane = reloader_of(file)
    file.write_text(TEXT[: TEXT.index("      v2")])
    reload(reloader)

    assert {version for _, version, _ in report_of(plane).versions} == {"v1"}
