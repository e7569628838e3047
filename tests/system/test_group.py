"""`canary serve --processes`: several processes that are told of, changed and ended as one."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.sockets.peers import Talk, Worker, answering, eventually

TEXT = """\
routes:
  iris:
    stable: v1
    timeout: 30s
    prediction: {{label: /predictions/0}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {weight}}}
"""
SIZE = 3
ANSWER = b'{"predictions": ["setosa"]}'


@dataclass
class Group:
    """A running group and its two workers."""

    served: Any
    workers: dict[str, Worker]
    statuses: Counter[int] = field(default_factory=Counter)

    def text(self, weight: object) -> str:
        return TEXT.format(weight=weight, **{name: one.url for name, one in self.workers.items()})

    def put(self, weight: object) -> tuple[int, Any]:
        """Save another weight and wait until it is acknowledged."""
        other = self.served.file.with_suffix(".new")
        other.write_text(self.text(weight))
        os.replace(other, self.served.file)
        return self.served.reload()  # type: ignore[no-any-return]

    def processes(self) -> list[dict[str, Any]]:
        return list(self.served.status()["processes"])

    def pids(self) -> set[int]:
        """Of those that serve."""
        return {one["pid"] for one in self.processes() if one["generation"]}

    def all_serve(self) -> bool:
        return len(self.pids()) == SIZE

    def counters(self) -> dict[str, float]:
        """Everything that must never go backwards: what a process has used up ends with it."""
        ends = ("_total", "_count", "_sum", "_bucket")
        return {
            name: number
            for name, number in self.served.metrics().items()
            if name.partition("{")[0].endswith(ends) and "_process_cpu_" not in name
        }

    def answered(self) -> int:
        """What the clients were answered by versions, as the metrics say."""
        return int(
            sum(n for name, n in self.counters().items() if name.startswith("canary_requests_to"))
        )

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.served.data_port, timeout=60)

    def ask(self, number: int, each: int = 1) -> None:
        """On so many new connections, which the kernel spreads over the processes."""
        for _ in range(number):
            with closing(self.connection()) as client:
                for _ in range(each):
                    client.request("POST", "/predict", b"{}")
                    answer = client.getresponse()
                    answer.read()
                    self.statuses[answer.status] += 1


@dataclass
class Load:
    """Clients that ask until they are told to stop, each on a connection for a few requests."""

    group: Group
    clients: int = 4
    answers: Counter[int] = field(default_factory=Counter)
    lost: int = 0

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(self.group.connection()) as client:
                    for _ in range(5):
                        client.request("POST", "/predict", b"{}")
                        answer = client.getresponse()
                        answer.read()
                        with self._lock:
                            self.answers[answer.status] += 1
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.lost += 1


@pytest.fixture
def group(system: Any) -> Iterator[Group]:
    workers = {name: Worker(answering(body=ANSWER), name=name) for name in ("v1", "v2")}
    urls = {name: worker.url for name, worker in workers.items()}
    text = TEXT.format(weight=50, **urls)
    yield Group(system.gateway(text, "--processes", str(SIZE)), workers)
    system.stop()
    for worker in workers.values():
        worker.close()


def test_every_process_answers_and_one_port_tells_of_all(group: Group) -> None:
    while not all(one["answered"] for one in group.processes()):
        group.ask(20, each=2)
    told = group.processes()
    status = group.served.status()
    versions = status["routes"]["iris"]["versions"]
    evidence = group.served.evidence()["generations"][-1]["routes"]["iris"]
    metrics = group.served.metrics()

    assert len({one["pid"] for one in told} | {group.served.process.pid}) == SIZE + 1
    assert {one["restarts"] for one in told} == {0}
    assert group.statuses.keys() == {200}
    asked = group.statuses.total()
    assert sum(one["answered"] for one in told) == asked == group.answered()
    assert sum(one["answered"] for one in versions.values()) == asked
    assert sum(one["assigned"] for one in evidence.values()) == asked
    assert sum(one["labels"]["setosa"] for one in evidence.values()) == asked
    assert sum(len(worker.requests) for worker in group.workers.values()) == asked
    assert metrics["canary_processes"] == SIZE
    assert metrics["canary_process_restarts_total"] == 0


def test_each_process_says_what_it_takes_and_none_tells_of_what_left_the_file(
    group: Group,
) -> None:
    group.ask(20)
    overhead = 'canary_gateway_overhead_seconds_count{route="iris"}'
    eventually(lambda: group.served.metrics()[overhead] == 20)
    before = group.served.metrics()
    names = {f'"{number}"' for number in range(SIZE)} | {'"control"'}
    for what, least in (
        ("cpu_seconds_total", 0.01),
        ("resident_memory_bytes", 1e6),
        ("open_fds", 5),
    ):
        start = f"canary_process_{what}{{process="
        told = {name[len(start) : -1]: n for name, n in before.items() if name.startswith(start)}
        assert told.keys() == names
        assert all(number >= least for number in told.values())
    gone = ('version="v2"', 'assigned="v2"', 'label="setosa"')
    assert [word for word in gone if not any(word in name for name in before)] == []

    url = group.workers["v1"].url
    group.served.file.write_text(
        f'routes: {{iris: {{stable: v1, versions: {{v1: {{url: "{url}"}}}}}}}}'
    )
    assert group.served.reload()[0] == 200
    after = group.served.metrics()

    assert [word for word in gone if any(word in name for name in after)] == []
    assert after[overhead] == 20


def test_after_an_acknowledged_zero_no_process_asks_the_candidate(group: Group) -> None:
    with Load(group) as load:
        eventually(lambda: len(group.workers["v2"].requests) > 50)
        status, document = group.put(0)
        # What was sent before the answer may still be on its way through the worker's socket.
        eventually(lambda: in_flight(group, "v2") == 0)
        before = len(group.workers["v2"].requests)
        told = {one["generation"] for one in group.processes()}
        much = len(group.workers["v1"].requests) + 500
        eventually(lambda: len(group.workers["v1"].requests) > much, 60)
        after = len(group.workers["v2"].requests)

    assert (status, document["problems"]) == (200, [])
    assert told == {document["generation"]}
    assert before == after
    assert (load.answers.keys(), load.lost) == ({200}, 0)


def in_flight(group: Group, version: str) -> int:
    return int(group.served.status()["routes"]["iris"]["versions"][version]["in_flight"])


def test_a_killed_process_is_replaced_and_its_counts_stay(group: Group) -> None:
    last = group.counters()

    def grown() -> dict[str, float]:
        nonlocal last
        now = group.counters()
        shrunk = {name: (was, now.get(name)) for name, was in last.items() if now[name] < was}
        assert shrunk == {}
        last = now
        return now

    with Load(group) as load:
        for round_ in range(3):
            victim = max(group.processes(), key=lambda one: one["answered"])["pid"]
            before = len(group.workers["v1"].requests)
            os.kill(victim, signal.SIGKILL)

            def replaced(victim: int = victim) -> bool:
                grown()
                return victim not in group.pids() and group.all_serve()

            eventually(replaced, 60)
            eventually(lambda before=before: len(group.workers["v1"].requests) > before + 100)
            assert grown()["canary_process_restarts_total"] == round_ + 1

    assert load.answers.keys() == {200}
    assert load.lost <= 3 * (load.clients + 2)  # what each held when it was killed
    # An answer is counted right after it was written: each kill can come between the two once.
    assert group.answered() >= load.answers.total() - 3
    assert sum(one["restarts"] for one in group.processes()) == 3
    grown()


def test_who_does_not_take_a_new_file_is_killed_before_it_is_acknowledged(group: Group) -> None:
    stuck = group.processes()[0]["pid"]
    os.kill(stuck, signal.SIGSTOP)

    status, document = group.put(0)
    served = {one["pid"]: one["generation"] for one in group.processes() if one["generation"]}

    assert status == 200
    assert stuck not in served
    assert set(served.values()) == {document["generation"]}
    eventually(group.all_serve, 60)
    group.ask(30)
    assert len(group.workers["v2"].requests) == 0
    assert group.statuses.keys() == {200}


def test_a_broken_file_changes_nothing_anywhere(group: Group) -> None:
    before = group.processes()
    generation = group.served.status()["generation"]

    status, document = group.put("ten")

    assert status == 400
    assert document["generation"] == generation
    assert "is not a percentage" in document["problems"][0]
    assert [(one["pid"], one["generation"]) for one in group.processes()] == [
        (one["pid"], one["generation"]) for one in before
    ]
    assert group.served.metrics()["canary_config_last_reload_successful"] == 0
    group.ask(10)
    assert group.statuses.keys() == {200}


def test_a_saved_file_and_a_signal_reach_every_process(group: Group) -> None:
    group.served.file.write_text(group.text(7))

    def weight() -> float:
        return float(group.served.status()["routes"]["iris"]["versions"]["v2"]["weight"])

    eventually(lambda: weight() == 7)
    assert len({one["generation"] for one in group.processes()}) == 1
    group.served.file.write_text(group.text(8))
    group.served.process.send_signal(signal.SIGHUP)
    eventually(lambda: weight() == 8)
    assert {one["generation"] for one in group.processes()} == {group.served.status()["generation"]}


def test_evidence_of_former_generations_is_that_of_all_processes(group: Group) -> None:
    group.ask(20)
    first = group.served.status()["generation"]
    group.put(0)
    group.ask(10)
    generations = group.served.evidence()["generations"]
    assigned = {
        one["generation"]: sum(version["assigned"] for version in one["routes"]["iris"].values())
        for one in generations
    }

    assert assigned == {first: 20, group.served.status()["generation"]: 10}


def holding(worker: Worker) -> threading.Event:
    """Let a worker answer only when told to."""
    go_on = threading.Event()

    def behave(talk: Talk) -> None:
        assert go_on.wait(60)
        talk.reply(body=ANSWER)

    worker.behaviour = behave
    return go_on


def test_sigterm_lets_every_request_end_and_ends_all(group: Group) -> None:
    pids = group.pids()
    assert group.put(0)[0] == 200
    go_on = holding(group.workers["v1"])
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(group.connection())) for _ in range(12)]
        for client in clients:
            client.request("POST", "/predict", b"{}")
        eventually(lambda: len(group.workers["v1"].requests) == 12)

        group.served.process.send_signal(signal.SIGTERM)
        eventually(lambda: group.served.status()["draining"])
        go_on.set()
        answers = [client.getresponse() for client in clients]

        assert {answer.status for answer in answers} == {200}
        assert [answer.read() for answer in answers] == [ANSWER] * 12
    assert group.served.process.wait(60) == 0
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_no_process_outlives_its_supervisor(group: Group) -> None:
    pids = group.pids()
    assert group.put(0)[0] == 200
    go_on = holding(group.workers["v1"])
    with closing(group.connection()) as under_way:
        under_way.request("POST", "/predict", b"{}")
        eventually(lambda: len(group.workers["v1"].requests) == 1)

        group.served.process.kill()
        eventually(lambda: not accepts(group))
        go_on.set()

        assert under_way.getresponse().status == 200
    eventually(lambda: not any(alive(pid) for pid in pids))


def alive(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return False


def accepts(group: Group) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", group.served.data_port)) == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_second_gateway_on_the_same_port_is_refused(
    group: Group, canary: Callable[..., Any], processes: str
) -> None:
    listen = f"127.0.0.1:{group.served.data_port}"
    options = ("--listen", listen, "--admin", "127.0.0.1:0", "--processes", processes)

    plain = canary("serve", str(group.served.file), *options)
    as_json = canary("serve", str(group.served.file), *options, "--json")

    for ended in (plain, as_json):
        assert ended.returncode == 1
    assert "address already in use; choose another address" in plain.stderr
    assert json.loads(as_json.stdout)["ok"] is False
    group.ask(20)
    assert group.statuses.keys() == {200}


def test_a_group_is_refused_where_one_process_serves(
    group: Group, system: Any, canary: Callable[..., Any]
) -> None:
    """Also where it is only the admin port that is taken."""
    one = system.gateway(group.text(1))
    for listen, admin in ((one.data_port, 0), (0, group.served.admin_port)):
        options = ("--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}")
        ended = canary("serve", str(one.file), *options, "--processes", "2")

        assert ended.returncode == 1
        assert "address already in use" in ended.stderr.lower()


def test_status_tells_of_the_group(group: Group, canary: Callable[..., Any]) -> None:
    group.ask(5)
    ended = canary("status", "--admin", group.served.admin)

    assert ended.returncode == 0
    assert f"{SIZE} processes" in ended.stdout
    assert "v2" in ended.stdout


def test_a_free_port_is_found_and_said(system: Any) -> None:
    file = system.folder / "routing.yaml"
    file.write_text(TEXT.format(weight=1, v1="http://127.0.0.1:1", v2="http://127.0.0.1:2"))
    alone = ("--no-controller", "--no-console")
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *alone)
    process = system.start("monitoring", "serve", str(file), *free, "--processes", "2")
    log = system.folder / "0.log"
    line = eventually(lambda: [one for one in log.read_text().splitlines() if "serving" in one], 60)
    said = json.loads(line[0])
    port = int(said["data"].rpartition(":")[2])

    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        client.request("POST", "/nowhere", b"{}")
        assert client.getresponse().status == 503  # nobody is at the workers' ports
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.parametrize("number", ["0", "65"])
def test_a_number_of_processes_that_cannot_be_is_wrong_use(
    canary: Callable[..., subprocess.CompletedProcess[str]], number: str
) -> None:
    ended = canary("serve", "routing.yaml", "--processes", number)

    assert ended.returncode == 2
    assert "--processes" in ended.stderr
