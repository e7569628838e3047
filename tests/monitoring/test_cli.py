"""The command line: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from gateway.edit import Change, Promote, SetWeight
from gateway.files import reloader
from monitoring import cli, editing, verbs
from monitoring.history import changes

ROOT = Path(__file__).parents[2]
TEXT = """\
# who may touch this: the on-call
routes:
  iris:
    match: {path: /predict/iris}
    stable: v1
    sticky: {header: X-User-Id}
    override: {header: X-Model-Version}
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # the new one

      v3: {url: "http://127.0.0.1:8103"}
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def run(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command on ``file``, in this process."""
    monkeypatch.setenv("CANARY_FILE", str(file))
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["canary", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code, *capsys.readouterr())

    return command


def test_a_good_file_is_called_good(run: Run, file: Path) -> None:
    ended = run("check", str(file))

    assert ended.code == 0
    assert "good, generation" in ended.out


def test_a_bad_file_is_refused_with_every_problem_on_a_line_of_its_own(
    run: Run, file: Path
) -> None:
    file.write_text(TEXT.replace("weight: 10", "wieght: 10").replace("stable: v1", "stable: v9"))

    ended = run("check", str(file))

    assert ended.code == 2
    lines = ended.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{file}:5:13: routes.iris.stable: ")
    assert lines[1].startswith(f"{file}:10:42: routes.iris.versions.v2")
    assert "weight" in lines[1]


def test_a_refused_file_is_named_as_it_was_chosen(run: Run, file: Path) -> None:
    file.write_text(TEXT.replace("stable: v1", "stable: v7"))

    assert run("promote", "iris").err.startswith(f"{file}:5:13: routes.iris.stable: ")


def test_problems_are_json_for_who_asks(run: Run, file: Path) -> None:
    file.write_text(TEXT.replace("weight: 10", "weight: ten"))

    ended = run("check", str(file), "--json")

    assert ended.code == 2
    document = json.loads(ended.out)
    assert document["ok"] is False
    assert document["problems"][0]["line"] == 10
    assert document["problems"][0]["path"] == "routes.iris.versions.v2.weight"


def test_keys_that_nothing_acts_on_yet_are_warned_about(run: Run, file: Path) -> None:
    mirror = "    mirror: {to: v3, percent: 20}\n"
    file.write_text(TEXT.replace("    versions:", mirror + "    versions:"))

    ended = run("check", str(file))

    assert ended.code == 0
    assert "warning: " in ended.err
    assert ":8:" in ended.err
    assert "mirror" in ended.err


def test_a_file_that_is_not_there_is_said_in_a_sentence(run: Run, tmp_path: Path) -> None:
    ended = run("check", str(tmp_path / "none.yaml"))

    assert ended.code == 2
    assert "none.yaml:1:1: none.yaml cannot be read (No such file or directory)" in ended.err
    assert "Traceback" not in ended.err


def test_the_published_schema_is_the_one_in_the_repository(run: Run) -> None:
    ended = run("schema")

    assert json.loads(ended.out) == json.loads((ROOT / "routing.schema.json").read_text())


def test_a_weight_is_changed_and_nothing_else(run: Run, file: Path) -> None:
    ended = run("set-weight", "iris", "v2", "12.5", "--reason", "looks good")

    assert ended.code == 0
    assert "-      v2:" in ended.out
    assert "+      v2:" in ended.out
    assert file.read_text() == TEXT.replace("weight: 10}", "weight: 12.5}")


def test_a_dry_run_prints_the_same_difference_and_writes_nothing(run: Run, file: Path) -> None:
    dry = run("set-weight", "iris", "v2", "20", "--dry-run")
    unchanged = file.read_text()
    wet = run("set-weight", "iris", "v2", "20")

    assert unchanged == TEXT
    assert dry.out == wet.out + "dry run: nothing was written\n"


def test_a_rollback_finds_the_one_candidate_by_itself(run: Run, file: Path) -> None:
    ended = run("rollback", "iris", "-r", "too slow", "--json")

    assert ended.code == 0
    assert json.loads(ended.out)["after"] == {"v1": 100.0, "v2": 0.0, "v3": 0.0}
    assert file.read_text() == TEXT.replace("weight: 10}", "weight: 0}")


def test_a_rollback_that_cannot_be_recorded_is_done_with_a_warning(run: Run, file: Path) -> None:
    history = file.with_name("routing.history.jsonl")
    history.mkdir()

    refused = run("set-weight", "iris", "v2", "20")
    done = run("rollback", "iris", "--json")

    assert refused.code == 1
    assert "routing.history.jsonl: Is a directory" in refused.err
    assert done.code == 0
    assert f"warning: {history} could not be written" in done.err
    assert "v2 has weight 0" in done.err
    assert json.loads(done.out)["unrecorded"]["action"] == "rollback"
    assert "weight: 0}" in file.read_text()


def test_a_rollback_of_one_of_several_must_be_named(run: Run, file: Path) -> None:
    run("set-weight", "iris", "v3", "5")

    ended = run("rollback", "iris")

    assert ended.code == 2
    assert "v2, v3" in ended.err


def test_a_promotion_swaps_stable_and_drops_the_weight(run: Run, file: Path) -> None:
    ended = run("promote", "iris", "v2")

    assert ended.code == 0
    route = yaml.safe_load(file.read_text())["routes"]["iris"]
    assert route["stable"] == "v2"
    assert "weight" not in route["versions"]["v2"]
    assert run("explain", "-p", "/predict/iris", "--json").code == 0


def test_the_history_tells_who_did_what_and_why_and_what_nobody_recorded(
    run: Run, file: Path
) -> None:
    run("set-weight", "iris", "v2", "20", "--reason", "morning")
    file.write_text(file.read_text().replace("weight: 20", "weight: 30"))
    run("rollback", "iris", "--reason", "evening")

    lines = run("history").out.splitlines()
    rows = json.loads(run("history", "--json").out)

    assert len(lines) == 3
    assert "set-weight  iris  v1 90 -> 80 %, v2 10 -> 20 %  morning" in lines[0]
    assert "edited by hand" in lines[1]
    assert "rollback  iris  v1 70 -> 100 %, v2 30 -> 0 %  evening" in lines[2]
    assert rows[0]["after_hash"] == rows[1]["before_hash"]
    assert rows[1]["after_hash"] == rows[2]["before_hash"]


ROLLOUT = """\
    rollout:   # as agreed
      candidate: v2
      steps:
      - {weight: 1, pause: 10m}
      - {weight: 10, pause: forever}   # for a person
      - {weight: 50, pause: 1h}
    analysis: {errors: {max_increase: 0.1%}}
"""
RESTING = TEXT.replace("weight: 10}", "weight: 0}") + ROLLOUT
PAUSED = ROLLOUT.replace("1h}\n", "1h}\n      paused: true\n")


def test_a_rollout_is_started_paused_resumed_and_approved_of(run: Run, file: Path) -> None:
    def at(weight: str, rollout: str = ROLLOUT) -> str:
        return TEXT.replace("weight: 10}", f"weight: {weight}}}") + rollout

    file.write_text(RESTING)
    for words, text in (
        (("start", "iris", "-r", "Monday"), at("1")),
        (("pause", "iris", "v2", "-r", "lunch"), at("1", PAUSED)),
        (("resume", "iris", "-r", "coffee"), at("1")),
        (("set-weight", "iris", "v2", "10", "-r", "by hand"), at("10")),
        (("resume", "iris", "-r", "approved"), at("50")),
        (("pause", "iris", "-r", "holidays"), at("50", PAUSED)),
    ):
        ended = run(*words)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("--- routing.yaml\n+++ routing.yaml\n")
        assert file.read_text() == text
    assert run("promote", "iris", "-r", "good").code == 0
    promoted = (TEXT + ROLLOUT).replace(", weight: 10}", "}").replace("stable: v1", "stable: v2")
    assert file.read_text() == promoted

    rows = json.loads(run("history", "--json").out)
    assert [(row["action"], row["version"], row["reason"]) for row in rows] == [
        ("start", "v2", "Monday"),
        ("pause", "v2", "lunch"),
        ("resume", "v2", "coffee"),
        ("set-weight", "v2", "by hand"),
        ("resume", "v2", "approved"),
        ("pause", "v2", "holidays"),
        ("promote", "v2", "good"),
    ]
    assert rows[1]["before"] == rows[1]["after"] == {"v1": 99.0, "v2": 1.0, "v3": 0.0}
    lines = run("history").out.splitlines()
    assert "start  iris  v1 100 -> 99 %, v2 0 -> 1 %  Monday" in lines[0]
    assert "pause  iris  v2  lunch" in lines[1]


@pytest.mark.parametrize(
    ("text", "verb", "added"),
    [
        (RESTING, "start", "weight: 1}"),
        (TEXT + ROLLOUT, "pause", "+      paused: true"),
        (TEXT + ROLLOUT, "resume", "weight: 50}"),
        (TEXT + PAUSED, "resume", "-      paused: true"),
    ],
)
def test_a_dry_run_of_a_verb_prints_the_difference_only(
    run: Run, file: Path, text: str, verb: str, added: str
) -> None:
    file.write_text(text)

    dry = run(verb, "iris", "v2", "--dry-run")
    asked = json.loads(run(verb, "iris", "v2", "--dry-run", "--json").out)

    assert (dry.code, file.read_text()) == (0, text)
    assert asked["diff"] + "dry run: nothing was written\n" == dry.out
    assert added in asked["diff"]
    assert asked["dry_run"]
    assert json.loads(run("history", "--json").out) == []


def test_what_is_paused_already_is_not_written_again(run: Run, file: Path) -> None:
    file.write_text(TEXT + PAUSED)

    assert run("pause", "iris") == Ended(0, f"{file} says so already; nothing was written\n", "")


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        (TEXT, ("start", "iris"), "error: name the version: "),
        (TEXT, ("start", "iris", "v3"), "v3 has no rollout with steps; give it a weight: "),
        (TEXT + ROLLOUT, ("start", "iris"), "v2 has 10 % already; use resume, set-weight or"),
        (RESTING, ("pause", "iris"), "v2 has no weight, so there is nothing to pause"),
        (RESTING, ("resume", "iris"), "nothing is paused: v2 has no weight yet; canary start"),
        (RESTING, ("start", "irs"), "there is no route 'irs'; did you mean 'iris'?"),
        (RESTING, ("start", "iris", "v9"), "there is no version 'v9'"),
        ("routes: {}\n", ("start", "iris"), "routing.yaml:1:1: routes: this is empty"),
    ],
)
def test_a_verb_that_means_nothing_exits_with_two_and_writes_nothing(
    run: Run, file: Path, text: str, arguments: tuple[str, ...], sentence: str
) -> None:
    file.write_text(text)

    ended = run(*arguments)
    asked = run(*arguments, "--json")

    assert (ended.code, ended.out, asked.code) == (2, "", 2)
    assert sentence in ended.err
    assert sentence.removeprefix("error: ").split(":1:1: ")[-1] in asked.out
    assert file.read_text() == text


def test_a_start_that_was_decided_on_another_file_is_a_conflict(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(RESTING)
    real = verbs.start

    def start(*arguments: Any) -> SetWeight:
        change = real(*arguments)
        file.write_text(RESTING.replace("{weight: 1,", "{weight: 0.5,"))
        return change

    monkeypatch.setattr(verbs, "start", start)
    ended = run("start", "iris")

    assert ended.code == 1
    assert "the file changed in between" in ended.err
    assert file.read_text() == RESTING.replace("{weight: 1,", "{weight: 0.5,")


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """It happens once, after the next command has decided and before it edits."""
    real, waiting = editing.carry_out, [happens]

    def carry_out(*arguments: Any, **options: Any) -> editing.Changed:
        if waiting:
            waiting.pop()()
        return real(*arguments, **options)

    monkeypatch.setattr(editing, "carry_out", carry_out)


def by_controller(file: Path, change: Change, action: str) -> None:
    editing.change(file, change, by="controller", reason="", action=action)


@pytest.mark.parametrize("named", [(), ("v2",)], ids=["unnamed", "named"])
def test_a_candidate_that_is_promoted_as_it_is_rolled_back_is_out_all_the_same(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...]
) -> None:
    between(monkeypatch, lambda: by_controller(file, Promote("iris", "v2"), "promote"))

    ended = run("rollback", "iris", *named)

    assert ended.code == 0
    assert file.read_text() == TEXT.replace(", weight: 10", "")
    assert run("history", "-n", "1").out.rstrip().endswith("v1 is stable again, v2 gets no request")


def test_another_promotion_is_not_taken_back_for_the_one_that_was_meant(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("promote", "iris", "v2")
    between(monkeypatch, lambda: by_controller(file, Promote("iris", "v3"), "promote"))

    ended = run("rollback", "iris")

    assert ended.code == 2
    assert "v3 is the stable version, not v2" in ended.err
    assert "stable: v3" in file.read_text()


def test_a_candidate_that_is_taken_out_as_it_is_promoted_stays_out(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(monkeypatch, lambda: by_controller(file, SetWeight("iris", "v2", 0), "rollback"))

    ended = run("promote", "iris")

    assert ended.code == 1
    assert "the file changed in between" in ended.err
    assert file.read_text() == TEXT.replace("weight: 10", "weight: 0")


def test_a_rollout_that_nothing_judges_is_warned_about(run: Run, file: Path) -> None:
    file.write_text(TEXT + ROLLOUT.replace("    analysis", "    # analysis"))

    ended = run("check", str(file))

    assert ended.code == 0
    assert ended.err == (
        f"warning: {file}:15:7: routes.iris.rollout.steps: nothing is judged, so no step is ever "
        "taken; add `analysis` to the route\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("set-weight", "iris", "v2", "101"),
        ("set-weight", "iris", "v2", "ten"),
        ("set-weight", "iris", "v1", "10"),
        ("set-weight", "iris", "v9", "10"),
        ("set-weight", "wine", "v2", "10"),
        ("set-weight", "iris", "v3", "95"),
        ("promote", "iris", "v9"),
        ("rollback", "wine"),
        ("explain", "--header", "no colon"),
        ("no-such-command",),
    ],
)
def test_wrong_use_exits_with_two_and_writes_nothing(
    run: Run, file: Path, arguments: tuple[str, ...]
) -> None:
    ended = run(*arguments)

    assert ended.code == 2
    assert ended.err
    assert "Traceback" not in ended.err
    assert file.read_text() == TEXT


def test_the_stable_version_is_alone_on_its_line(run: Run) -> None:
    assert run("stable", "iris") == (0, "v1\n", "")
    assert json.loads(run("stable", "iris", "--json").out) == {"route": "iris", "stable": "v1"}
    assert run("stable", "irs").code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("-H", "X-User-Id: 42"),
            "route iris: v2 (sticky): header x-user-id = '42' falls into bucket 31 of",
        ),
        (("-H", "X-Model-Version: v3"), "route iris: v3 (forced): the header x-model-version"),
        (("-H", "X-User-Id: \udcff"), "header x-user-id = '\ufffd' falls into bucket"),
        ((), "each request is drawn on its own (v1 90 %, v2 10 %, v3 0 %)"),
        (("-H", "X-Model-Version: v9"), "none: refused with 400"),
    ],
)
def test_who_would_get_what_is_explained(
    run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = run("explain", "--path", "/predict/iris", *arguments)

    assert ended.code == 0
    assert sentence in ended.out


def test_a_gateway_that_does_not_answer_is_said_in_a_sentence(run: Run) -> None:
    ended = run("status", "--admin", "http://127.0.0.1:9")

    assert ended.code == 1
    assert "http://127.0.0.1:9/api/status gave no answer" in ended.err


def test_to_watch_a_route_that_is_not_in_the_file_is_wrong_use(run: Run) -> None:
    ended = run("status", "-w", "wine")

    assert ended.code == 2
    assert "there is no route 'wine'" in ended.err
    assert "write one of iris" in ended.err


def test_routes_are_chosen_where_it_is_watched(run: Run) -> None:
    assert "add -w" in run("status", "iris").err


def test_a_file_that_an_editor_is_saving_in_place_is_read_when_it_has(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file.open("w") as editor:  # empty by now

        def save(_seconds: float) -> None:
            editor.write(TEXT)
            editor.close()

        monkeypatch.setattr(reloader, "sleep", save)
        ended = run("stable", "iris")

    assert (ended.code, ended.out) == (0, "v1\n")


def test_a_handle_that_is_never_closed_keeps_no_command_from_reading(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(reloader, "sleep", waited.append)
    with file.open("a"):
        assert run("stable", "iris").out == "v1\n"
    assert sum(waited) == pytest.approx(0.5)


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_value_that_an_option_does_not_take_is_refused_with_the_option(
    run: Run, number: str
) -> None:
    ended = run("history", "-n", number)

    assert ended.code == 2
    assert "Invalid value for '--limit' / '-n': Input should be " in ended.err


def test_errors_are_json_for_who_asks(run: Run) -> None:
    ended = run("status", "--admin", "http://127.0.0.1:9", "--json")

    assert ended.code == 1
    assert json.loads(ended.out)["errors"]


def test_wrong_use_is_json_for_who_asks(run: Run) -> None:
    ended = run("set-weight", "iris", "v2", "101", "--json")

    assert ended.code == 2
    assert "more than 100" in json.loads(ended.out)["errors"][0]


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out == "0.1.0\n"


def test_a_read_only_folder_is_said_and_nothing_is_lost(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    ended = run("rollback", "iris")

    assert ended.code == 1
    assert "No space left" in ended.err
    assert file.read_text() == TEXT


def test_the_example_file_of_the_repository_is_good(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "example.yaml"
    shutil.copy(ROOT / "routing.yaml", copy)

    assert run("check", str(copy)) == Ended(0, run("check", str(copy)).out, "")


# Versions that come and go.

WEEKLY = "    rollout: {candidate: v3, steps: [{weight: 1, pause: 1h}]}   # each week\n"
SHIP = ("add-version", "iris", "v4", "--url", "http://127.0.0.1:8104")
ADDED = '      v3: {url: "http://127.0.0.1:8103"}\n      v4: {url: "http://127.0.0.1:8104"}\n'
LAST = ADDED.partition("      v4")[0]


def test_a_version_is_added_and_its_start_is_the_next_command(run: Run, file: Path) -> None:
    file.write_text(TEXT + WEEKLY)
    expected = TEXT.replace(LAST, ADDED) + WEEKLY.replace("v3", "v4")

    dry = run(*SHIP, "--dry-run")
    unchanged = file.read_text()
    wet = run(*SHIP, "--reason", "of November")
    again = run(*SHIP)

    assert (dry.code, wet.code, again.code) == (0, 0, 0)
    assert unchanged == TEXT + WEEKLY
    assert dry.out == wet.out + "dry run: nothing was written\n"
    assert file.read_text() == expected
    assert again.out == f"{file} says so already; nothing was written\n"
    assert run("start", "iris").code == 0
    assert '8104", weight: 1}' in file.read_text()
    assert "cli:" in (shown := run("history").out.splitlines())[0]
    assert shown[0].endswith("add-version  iris  v4  of November")
    assert shown[1].split("  ")[2:] == ["start", "iris", "v1 90 -> 89 %, v4 0 -> 1 %"]


def test_a_version_is_only_added_where_the_rollout_is_under_way_and_that_is_wanted(
    run: Run, file: Path
) -> None:
    busy = TEXT + WEEKLY.replace("v3", "v2")
    file.write_text(busy)

    refused = run(*SHIP)

    assert refused.code == 2
    assert refused.err == (
        "error: the rollout of v2 is under way at 10 %: canary rollback iris v2 or canary promote "
        "iris v2 first, or only add v4: canary add-version iris v4 --no-rollout ...\n"
    )
    assert file.read_text() == busy
    ended = run(*SHIP, "--no-rollout", "--json", "--url", "unix:/run/v4.sock", "--readiness", "/up")
    assert json.loads(ended.out)["after"] == {"v1": 90, "v2": 10, "v3": 0, "v4": 0}
    assert json.loads(ended.out)["noop"] is False
    urls = 'urls: ["http://127.0.0.1:8104", "unix:/run/v4.sock"], readiness: "/up"'
    assert f"      v4: {{{urls}}}\n" in file.read_text()
    assert file.read_text().endswith(WEEKLY.replace("v3", "v2"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("iris", "v3", "--url", "http://127.0.0.1:1"), "v3 is there already, at http://127.0.0.1"),
        (("iris", "v4"), "Missing option '--url'"),
        (("iris", "v4", "--url", "here"), "'here' is not an address"),
        (("iris", "v4", "--url", "http://a", "--rollout-of", "v2"), "v2 has no rollout; those"),
        (
            ("iris", "v4", "--url", "http://a", "--rollout-of", "v2", "--no-rollout"),
            "--no-rollout says none",
        ),
        (("irs", "v4", "--url", "http://a"), "no route 'irs'"),
    ],
)
def test_what_cannot_be_added_is_wrong_use(
    run: Run, file: Path, arguments: tuple[str, ...], said: str
) -> None:
    ended = run("add-version", *arguments)

    assert ended.code == 2
    assert said in ended.err
    assert file.read_text() == TEXT


def test_a_version_that_nobody_needs_is_removed(run: Run, file: Path) -> None:
    refused = run("remove-version", "iris", "v2")
    removed = run("remove-version", "iris", "v3")

    assert (refused.code, removed.code) == (2, 0)
    assert "v2 gets 10 % of the requests; take it out first: canary rollback" in refused.err
    assert file.read_text() == TEXT.replace(LAST, "")
    assert run("history").out.rstrip().endswith("remove-version  iris  v3")


def test_a_promotion_is_taken_back_by_the_command_and_by_its_repetition_no_further(
    run: Run, file: Path
) -> None:
    assert run("promote", "iris").code == 0

    back = run("rollback", "iris", "--json")
    again = run("rollback", "iris", "--json")

    assert (back.code, again.code) == (0, 2)
    assert json.loads(back.out)["after"] == {"v1": 100, "v2": 0, "v3": 0}
    assert "v2 was rolled back already, v1 is the stable version" in again.out
    assert file.read_text() == TEXT.replace(", weight: 10", "")
    assert (
        "rollback  iris  v1 0 -> 100 %, v2 100 -> 0 %  v1 is stable again, v2 gets no request"
        in (run("history").out)
    )
    assert run("promote", "iris", "v2").code == 0


def test_who_names_the_former_version_to_have_it_back_is_told_which_one_to_name(
    run: Run, file: Path
) -> None:
    run("promote", "iris", "v2")

    ended, other = run("rollback", "iris", "v1"), run("rollback", "iris", "v3")

    assert (ended.code, ended.out) == (0, f"{file} says so already; nothing was written\n")
    assert ended.err == (
        "warning: v1 got no request anyway; to make it stable again in the place of v2: "
        "canary rollback iris v2\n"
    )
    assert (other.code, other.err) == (0, "")


def test_who_removes_the_way_back_is_told_so(run: Run, file: Path) -> None:
    run("promote", "iris", "v2")

    other, ended = (run("remove-version", "iris", one) for one in ("v3", "v1"))

    assert (other.code, other.err, ended.code) == (0, "", 0)
    assert ended.err == (
        "warning: v1 was stable before v2: without it the promotion of v2 cannot be taken back by "
        "canary rollback\n"
    )


def test_a_history_that_cannot_be_read_keeps_no_rollback(run: Run, file: Path) -> None:
    changes.history_path(file).mkdir()

    ended = [run("rollback", "iris", "v2") for _ in range(2)]

    assert [one.code for one in ended] == [0, 0]
    assert "weight: 0}" in file.read_text()
