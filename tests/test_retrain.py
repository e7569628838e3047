"""``scripts/retrain`` with commands that only say what they were asked, and the workflow."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts/retrain"
STEPS = ["snapshot", "train", "evaluate", "gate", "register", "deploy", "add-version", "start"]
HUNG = 60  # seconds
README = (ROOT / "README.md").read_text()
WORKFLOW = (ROOT / ".github/workflows/retrain.yml").read_text()

# Says what it was asked; fails at the step that FAILS, with its exit code.
COMMAND = """\
#!/bin/sh
printf '%s' "$(basename "$0")" >> "$SEEN"
for word; do printf ' [%s]' "$word" >> "$SEEN"; done
echo >> "$SEEN"
case "$(basename "$0") $1" in
*" ${FAILS%=*}" | "${FAILS%=*} "*) echo "why it is refused" >&2; exit "${FAILS#*=}" ;;
*stable) echo v1 ;;
*snapshot) echo "snapshots/iris-1.snapshot.jsonl: 7 rows" ;;
*gate) echo "passed: it's better" ;;
*serve) echo "iris w7 ready at $ADDRESS"; exec sleep 600 ;;
deploy*) echo "starting"; echo "http://127.0.0.1:9" ;;
esac
"""


class Ended:
    """How the script ended, and what it ran. ``held`` are kept open by all that it starts."""

    def __init__(self, folder: Path, *held: int, **settings: str) -> None:
        place = folder / "bin"
        place.mkdir(exist_ok=True)
        for name in ("canary", "model-worker", "deploy"):
            (place / name).write_text(COMMAND)
            (place / name).chmod(0o755)
        seen = folder / "seen"
        seen.write_text("")
        given = {"MODEL": "iris", "PREDICTOR": "v1", "DATA": "a.csv", "DEPLOY": "deploy"}
        ended = subprocess.run(
            [SCRIPT],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "BIN": "bin", "SEEN": str(seen), "FAILS": "none=0"}
            | given
            | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=held,
        )
        self.code, self.out, self.err = ended.returncode, ended.stdout, ended.stderr
        self.ran = seen.read_text().splitlines()


def test_each_step_is_one_command_and_gets_what_the_one_before_made(tmp_path: Path) -> None:
    ended = Ended(tmp_path, VERSION="w7", GATE="--min-quality 0.9", SEED="3", DATA="a.csv b.csv")

    run = "runs/iris/w7"
    assert ended.code == 0, ended.out + ended.err
    assert [line.replace("[", "").replace("]", "") for line in ended.ran] == [
        "canary stable iris --file routing.yaml",
        "model-worker snapshot --model iris --from a.csv --from b.csv",
        "model-worker train --model iris --predictor v1 --data snapshots/iris-1.snapshot.jsonl "
        f"--seed 3 --out {run}/model.skops",
        f"model-worker evaluate --model iris --candidate {run}/model.skops --production v1 "
        f"--registry registry --data snapshots/iris-1.snapshot.jsonl --out {run}/evaluation.json",
        f"model-worker gate --evaluation {run}/evaluation.json --min-quality 0.9",
        f"model-worker register --model iris --version w7 --artefact {run}/model.skops "
        f"--gate {run}/gate.json --registry registry",
        "deploy",
        "canary add-version iris w7 --url http://127.0.0.1:9 --file routing.yaml "
        "--reason trained from snapshots/iris-1.snapshot.jsonl, seed 3",
        "canary start iris w7 --file routing.yaml --reason passed: it's better",
    ]


@pytest.mark.parametrize("failing", STEPS)
def test_the_first_step_that_refuses_ends_it_with_its_exit_code_and_reason(
    tmp_path: Path, failing: str
) -> None:
    ended = Ended(tmp_path, VERSION="w7", FAILS=f"{failing}=3")

    assert ended.code == 3
    number = STEPS.index(failing) + 1
    assert ended.out.endswith(
        f"why it is refused\n\nstopped at step {number} of 8, {failing}: exit code 3\n"
    )
    assert len(ended.ran) == 1 + number
    assert (tmp_path / "runs/iris/w7/steps.txt").read_text() == ended.out


def test_each_command_is_printed_as_one_can_type_it(tmp_path: Path) -> None:
    ended = Ended(tmp_path, VERSION="w7")
    typed = re.findall(r"^\$ (.*)$", ended.out, re.MULTILINE)

    assert len(typed) == len(STEPS)
    for line, ran in zip(typed, ended.ran[1:], strict=True):
        place = tmp_path / "again"
        subprocess.run(
            ["sh", "-c", line],
            env={
                "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
                "SEEN": str(place),
                "FAILS": "none=0",
            },
            stdout=subprocess.DEVNULL,
            check=True,
        )
        assert place.read_text().splitlines()[-1] == ran


def test_the_second_version_of_a_day_has_a_name_of_its_own(tmp_path: Path) -> None:
    first = Ended(tmp_path).ran[-1]
    day = re.search(r"\[iris\] \[(\d{4}-\d\d-\d\d)\]", first)
    assert day
    (tmp_path / "registry/iris" / day[1]).mkdir(parents=True)

    assert Ended(tmp_path).ran[-1].startswith(f"canary [start] [iris] [{day[1]}.2]")


def test_a_prediction_log_alone_or_what_is_bundled_are_sources_too(tmp_path: Path) -> None:
    log = Ended(tmp_path, DATA="", LOG="p.jsonl", LABELS="l.csv", TEST="t.jsonl")
    both = Ended(tmp_path, DATA="bundled", LOG="p.jsonl", LABELS="predicted")

    assert log.ran[1].endswith("[iris] [--from-log] [p.jsonl] [--labels] [l.csv]")
    assert "[--data] [t.jsonl]" in log.ran[3]
    assert both.ran[1].endswith("[--bundled] [--from-log] [p.jsonl] [--labels] [predicted]")


@pytest.mark.parametrize("name", ["MODEL", "PREDICTOR", "DATA"])
def test_without_what_is_needed_nothing_is_run(tmp_path: Path, name: str) -> None:
    ended = Ended(tmp_path, **{name: ""})

    assert ended.code == 2
    assert ended.err.startswith("error: say MODEL, PREDICTOR and DATA")
    assert ended.ran == []


def test_a_route_that_is_not_there_ends_it_before_anything_is_made(tmp_path: Path) -> None:
    ended = Ended(tmp_path, FAILS="stable=2")

    assert ended.code == 2
    assert len(ended.ran) == 1
    assert "why it is refused" in ended.err


def test_a_worker_that_does_not_start_is_told_with_its_reason(tmp_path: Path) -> None:
    deploy = str(ROOT / "scripts/start-worker")

    ended = Ended(tmp_path, VERSION="w7", DEPLOY=deploy, FAILS="serve=4")

    assert ended.code == 1
    assert ended.ran[-1].startswith("model-worker [serve] [--registry] [registry] [--model] [iris]")
    assert ended.out.endswith("why it is refused\n\nstopped at step 6 of 8, deploy: exit code 1\n")


@pytest.fixture
def until_all_have_ended() -> Iterator[int]:
    """A descriptor for whoever must not outlive the test."""
    ours, theirs = os.pipe()
    yield theirs
    os.close(theirs)
    try:
        assert select.select([ours], [], [], HUNG)[0], "somebody runs on"
    finally:
        os.close(ours)


def test_a_worker_that_is_not_ready_is_not_left_running(
    tmp_path: Path, until_all_have_ended: int
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        ended = Ended(
            tmp_path,
            until_all_have_ended,
            VERSION="w7",
            DEPLOY=str(ROOT / "scripts/start-worker"),
            ADDRESS=f"http://127.0.0.1:{nobody.getsockname()[1]}",
        )

    assert ended.code == 1
    assert "error: it said that it is ready, and is not; see runs/iris/w7/worker.log" in ended.out


def test_all_once_more_finds_the_worker_that_runs_already(
    tmp_path: Path, until_all_have_ended: int
) -> None:
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        asked = {
            "VERSION": "w7",
            "DEPLOY": str(ROOT / "scripts/start-worker"),
            "ADDRESS": address,
        }
        first = Ended(tmp_path, until_all_have_ended, **asked)
        again = Ended(tmp_path, until_all_have_ended, **asked)
        server.shutdown()

    os.kill(int((tmp_path / "runs/iris/w7/worker.pid").read_text()), signal.SIGTERM)
    assert (first.code, again.code) == (0, 0), first.out + again.out
    assert [len([one for one in ran if "[serve]" in one]) for ran in (first.ran, again.ran)] == [
        1,
        0,
    ]
    assert f"[--url] [{address}]" in again.ran[-2]


@pytest.mark.parametrize("version", ["latest", "../../v1", ".v1", "a b", "é"])
def test_a_name_that_no_version_can_have_ends_it_before_anything_is_made(
    tmp_path: Path, version: str
) -> None:
    ended = Ended(tmp_path, VERSION=version)

    assert ended.code == 2
    assert f"VERSION is '{version}'; write letters" in ended.err
    assert ended.ran == []
    assert not (tmp_path / "runs").exists()


def test_without_the_commands_or_a_folder_to_write_in_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = Ended(tmp_path, BIN="nowhere")
    in_the_way = Ended(tmp_path, RUN="file/run")

    assert (nowhere.code, nowhere.ran) == (2, [])
    assert "no folder nowhere with the commands; run 'make install'" in nowhere.err
    assert (in_the_way.code, in_the_way.ran) == (1, [])


def read_by_the_script() -> set[str]:
    """Its settings."""
    return set(re.findall(r"\b([A-Z]+)=\$\{\1:-", SCRIPT.read_text()))


def test_every_setting_is_explained() -> None:
    section = README.partition("\n### The settings of make retrain\n")[2].partition("\n###")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    assert set(re.findall(r"`([A-Z]+)`", "".join(rows))) == {*read_by_the_script(), "PORT"}


def workflow() -> Any:
    return yaml.safe_load(WORKFLOW)


def test_the_workflow_runs_each_week_and_by_hand_and_may_only_read() -> None:
    found = workflow()
    on = found[True]  # YAML 1.1 takes the key for a truth

    assert [len(one["cron"].split()) for one in on["schedule"]] == [5]
    assert on["schedule"][0]["cron"].split()[2:4] == ["*", "*"]
    assert set(on["workflow_dispatch"]["inputs"]) >= {"model", "version", "data", "gate", "seed"}
    assert found["permissions"] == {"contents": "read"}


def test_the_workflow_gives_settings_that_there_are_to_targets_that_there_are() -> None:
    (job,) = workflow()["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(job["env"]) <= {*read_by_the_script(), "BIN"}
    assert (
        {"install", "retrain"} <= set(re.findall(r"^make (\w+)$", "\n".join(runs), re.M)) <= targets
    )
    assert f"{job['env']['RUN']}/steps.txt" in runs[-1]


@pytest.mark.parametrize("missing", ["ROUTING", "REGISTRY", ""])
def test_the_workflow_edits_no_file_of_the_checkout_itself(missing: str) -> None:
    """Where a variable is not set, its settings are empty, and the script would take its own."""
    (job,) = workflow()["jobs"].values()
    env = {"PATH": os.environ["PATH"], "ROUTING": "/r.yaml", "REGISTRY": "/registry"}
    ended = subprocess.run(
        ["bash", "-e", "-c", job["steps"][0]["run"]],
        env=env | ({missing: ""} if missing else {}),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == (2 if missing else 0)
    assert ("set the repository's variables CANARY_FILE" in ended.stdout) is bool(missing)


def test_no_input_becomes_a_part_of_a_script_and_every_action_has_a_version() -> None:
    (job,) = workflow()["jobs"].values()

    assert not [step for step in job["steps"] if "${{" in step.get("run", "")]
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", one) for one in used)
