"""`canary serve` and the controller beside it: two processes that begin and end as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import certificates
from tests.sockets.peers import Client, Worker, answering, eventually, request
from tests.system.test_group import ANSWER, alive, holding

TEXT = """\
routes:
  iris:
    stable: v1
    timeout: 30s
    prediction: {{label: /predictions/0}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 50}}
    analysis: {{max_false_rollback: 1%}}
"""
TOKEN = "a-token-that-is-long-enough-0123456789"
LONG = 60.0  # seconds until something counts as hung: a controller begins within one


@dataclass
class Beside:
    """A gateway with a controller beside it."""

    served: Any
    log: Path

    def lines(self, event: str) -> list[dict[str, Any]]:
        return lines(self.log, event)

    def controllers(self) -> list[int]:
        """Those that were started, by their process ids, the newest last."""
        return [int(line["pid"]) for line in self.lines("the companion started")]

    def controller(self) -> int:
        """The first, once it has asked the gateway and says what it thinks of the candidate."""
        eventually(lambda: self.lines("verdict"), LONG)
        return self.controllers()[0]

    def ask_until_rolled_back(self) -> set[int]:
        """Send requests, of which the candidate fails its half; the statuses of the answers."""
        statuses = set()

        def out() -> bool:
            statuses.add(ask(self.served))
            return "weight: 0" in self.served.file.read_text()

        eventually(out, LONG)
        return statuses


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    """The log lines of an event, of both processes."""
    whole = log.read_text().rpartition("\n")[0].splitlines()
    assert not [line for line in whole if line[:1] != "{"]  # no traceback, and nothing torn
    return [line for line in map(json.loads, whole) if line["event"] == event]


@pytest.fixture
def workers() -> Iterator[dict[str, Worker]]:
    with closing(Worker(answering(body=ANSWER))) as v1, closing(Worker(answering(500))) as v2:
        yield {"v1": v1, "v2": v2}


@pytest.fixture
def text(workers: dict[str, Worker]) -> str:
    return TEXT.format(**{name: worker.url for name, worker in workers.items()})


@pytest.fixture(params=["1", "2"], ids=["one process", "two processes"])
def beside(system: Any, text: str, request: pytest.FixtureRequest) -> Beside:
    served = system.gateway(text, "--processes", request.param, controller=True)
    return Beside(served, system.folder / "0.log")


def ask(served: Any) -> int:
    with Client(("127.0.0.1", served.data_port)) as client:
        return client.ask().status


def test_a_failing_candidate_is_taken_out_by_serve_alone(
    beside: Beside, canary: Callable[..., Any]
) -> None:
    statuses = beside.ask_until_rolled_back()
    history = json.loads(canary("history", "--file", str(beside.served.file), "--json").stdout)

    assert statuses == {200}  # stable answered in the candidate's place
    assert ("controller", "rollback") in {
        (entry.get("by"), entry.get("action")) for entry in history
    }


def test_a_killed_controller_has_a_successor_that_goes_on_for_it(beside: Beside) -> None:
    first = beside.controller()
    members = [one["pid"] for one in beside.served.status()["processes"]]

    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(beside.controllers()) == 2, LONG)
    statuses = beside.ask_until_rolled_back()
    ended = beside.lines("the companion ended")

    assert [(line["how"], line["next_in_seconds"]) for line in ended] == [("killed by SIGKILL", 1)]
    assert statuses == {200}
    # It is no member of a group: nobody mistook it for one.
    assert [one["pid"] for one in beside.served.status()["processes"]] == members
    assert beside.served.metrics()["canary_process_restarts_total"] == 0


def test_sigterm_ends_both_and_requests_under_way_come_first(
    beside: Beside, workers: dict[str, Worker]
) -> None:
    controller = beside.controller()
    members = [one["pid"] for one in beside.served.status()["processes"]]
    held = {name: holding(worker) for name, worker in workers.items()}
    with Client(("127.0.0.1", beside.served.data_port)) as client:
        client.send(request())
        eventually(lambda: any(worker.requests for worker in workers.values()))

        beside.served.process.send_signal(signal.SIGTERM)
        eventually(lambda: not alive(controller), LONG)
        under_way = beside.served.status()["draining"]
        for go_on in held.values():
            go_on.set()

        assert under_way
        assert client.answer().status == 200
    assert beside.served.process.wait(LONG) == 0
    eventually(lambda: not any(alive(pid) for pid in members))
    assert beside.controllers() == [controller]
    assert beside.lines("the companion ended") == []


def test_a_controller_that_is_stuck_holds_up_no_request_and_is_killed_in_the_end(
    beside: Beside,
) -> None:
    controller = beside.controller()
    os.kill(controller, signal.SIGSTOP)

    assert ask(beside.served) == 200
    assert beside.served.reload()[0] == 200
    beside.served.process.send_signal(signal.SIGTERM)
    assert beside.served.process.wait(LONG) == 0
    assert not alive(controller)
    order = [json.loads(line)["event"] for line in beside.log.read_text().splitlines()]
    assert order[-3:] == ["draining", "drained", "the companion did not end and was killed"]


def test_no_controller_outlives_a_killed_gateway(beside: Beside) -> None:
    controller = beside.controller()

    beside.served.process.kill()
    beside.served.process.wait()

    eventually(lambda: not alive(controller), LONG)
    assert beside.controllers() == [controller]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_in_a_terminal_ends_all_without_a_word_of_complaint(
    text: str, processes: str, tmp_path: Path
) -> None:
    """A terminal interrupts everybody in the process group, whatever they are in the midst of."""
    file, log = tmp_path / "routing.yaml", tmp_path / "log"
    file.write_text(text)
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--controller-metrics", "none")
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "monitoring",
                "serve",
                str(file),
                *free,
                "--no-console",
                "--processes",
                processes,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        eventually(lambda: lines(log, "verdict"), LONG)
        (started,) = lines(log, "the companion started")

        group = os.getpgid(started["pid"])
        os.killpg(process.pid, signal.SIGINT)

        assert group == started["pid"]  # it is told to end by the gateway alone
        assert process.wait(LONG) == 0
        assert not alive(started["pid"])
        assert lines(log, "the companion ended") == []
        assert len(lines(log, "drained")) == 1
    finally:
        process.kill()
        process.wait()


def test_there_is_none_where_none_is_wanted(system: Any, text: str) -> None:
    served = system.gateway(text, "--no-controller")
    served.process.send_signal(signal.SIGTERM)

    assert served.process.wait(LONG) == 0
    assert "companion" not in (system.folder / "0.log").read_text()


def test_a_companion_that_cannot_be_started_keeps_nobody_from_being_served(
    system: Any, text: str
) -> None:
    file, log = system.folder / "routing.yaml", system.folder / "0.log"
    file.write_text(text)
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    process = system.start("gateway", str(file), *free, "--companion", '["/nowhere/at/all"]')
    eventually(lambda: log.read_text() and lines(log, "the companion ended"), LONG)
    port = int(lines(log, "serving")[0]["data"].rpartition(":")[2])

    with Client(("127.0.0.1", port)) as client:
        assert client.ask().status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG) == 0
    assert lines(log, "the companion ended")[0]["level"] == "error"


@pytest.mark.parametrize("command", ["nonsense", "[]", '["a", 1]', '"a"', "{}"])
def test_what_is_no_command_is_wrong_use(command: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "--companion", command],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )

    assert ended.returncode == 2
    assert "--companion" in ended.stderr.splitlines()[-1]


# --- how it gets to the admin port


def judged(system: Any, text: str, *options: str) -> Beside:
    """A gateway whose controller has been told of its evidence."""
    file, log = system.folder / "routing.yaml", system.folder / "0.log"
    file.write_text(text)
    free = ("--listen", "127.0.0.1:0", "--controller-metrics", "none")
    system.start("monitoring", "serve", str(file), *free, "--no-console", *options)
    eventually(lambda: lines(log, "verdict"), LONG)
    assert lines(log, "no judgement") == []
    return Beside(None, log)


def of_all(pids: list[int], file: str) -> list[bytes]:
    """A file of /proc for each process."""
    return [Path(f"/proc/{pid}/{file}").read_bytes() for pid in pids]


def test_a_token_of_the_environment_is_handed_on_and_stands_on_no_command_line(
    system: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_ADMIN_TOKEN", TOKEN)
    monkeypatch.setenv("CANARY_ADMIN", "http://127.0.0.1:1")  # of another gateway
    beside = judged(system, text, "--admin", "0.0.0.0:0", "--processes", "2")
    gateway = system.running[0].pid
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    pids = list(map(int, children))
    members = [pid for pid in pids if pid not in beside.controllers()]

    assert len(members) == 2
    assert not [line for line in of_all([gateway, *pids], "cmdline") if TOKEN.encode() in line]
    assert not [told for told in of_all(members, "environ") if TOKEN.encode() in told]


def test_a_token_of_a_file_is_handed_on_as_the_file(system: Any, text: str) -> None:
    file = system.folder / "token"
    file.write_text(TOKEN)
    judged(system, text, "--admin", "[::]:0", "--admin-token-file", str(file))


def test_it_speaks_tls_where_the_admin_port_does(
    system: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_ADMIN_CA", str(certificates.write_authority(tmp_path)))
    chain, key = certificates.write_pair(tmp_path, certificates.issued("localhost"))
    pair = ("--admin-tls-cert", str(chain), "--admin-tls-key", str(key))
    judged(system, text, "--admin", "localhost:0", *pair)
