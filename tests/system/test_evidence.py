"""What is served as evidence, beside what a load generator has counted itself, over real sockets.

The generator knows of each request what it asked for and what came back; what a version did wrong,
it told that version to do.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from gateway.routing.split import place_of
from tests.sockets.peers import Client, Message, Talk, Worker, eventually, hanging

TEXT = """\
routes:
  drawn:
    match: {{path: /drawn}}
    stable: v1
    override: {{header: X-Model-Version}}
    timeout: {timeout}
    prediction: {{label: /label, labels: [a, b], score: /score}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {weight}}}
  kept:
    match: {{path: /kept}}
    stable: v1
    sticky: {{header: X-User}}
    override: {{header: X-Model-Version}}
    timeout: {timeout}
    prediction: {{label: /label, labels: [a, b], score: /score}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {weight}}}
  short:
    match: {{path: /short}}
    stable: v1
    timeout: 300ms
    idempotent: false
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {weight}}}
"""
USERS = [f"user-{number}" for number in range(120)]
NOTHING = ("", "reset", "500", "odd", "garbage", "other")


def obey(talk: Talk) -> bool | None:
    """Do as the request says; what begins with `v2` is for that version only."""
    order = next(iter(talk.request.all("X-Do")), "")
    who, _, what = order.partition(":")
    what = what if who in ("both", talk.worker.name) else ""
    if what == "hang":
        return hanging(talk)
    if what == "reset":
        talk.wire.reset()
        return False
    if what == "500":
        talk.reply(500, b"{}")
    elif what == "garbage":
        talk.reply(200, b"no JSON")
    elif what == "odd":
        talk.reply(200, b"{}")
    else:
        label = "c" if what == "other" else "ab"[talk.worker.name == "v2"]
        talk.reply(200, json.dumps({"label": label, "score": 0.5}).encode())
    return None


@dataclass
class Ledger:
    """What the generator expects of one generation, by route and version."""

    expected: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def count(self, route: str, version: str, *what: str) -> None:
        self.expected.setdefault((route, version), Counter()).update(what)


@dataclass
class Story:
    served: Any
    workers: dict[str, Worker]
    ledger: Ledger = field(default_factory=Ledger)
    seen: set[str] = field(default_factory=set)  # under the present split
    candidates: set[str] = field(default_factory=set)  # users that v2 ever had

    def put(self, weight: int, timeout: str = "20s") -> None:
        """Save other rules, and count anew."""
        urls = {name: worker.url for name, worker in self.workers.items()}
        other = self.served.file.with_suffix(".new")
        other.write_text(TEXT.format(weight=weight, timeout=timeout, **urls))
        os.replace(other, self.served.file)
        assert self.served.reload()[0] == 200
        self.ledger = Ledger()

    def client(self) -> Client:
        """A new connection, which the kernel gives to any of the processes."""
        return Client(("127.0.0.1", self.served.data_port))

    def ask(self, route: str, order: str = "", **fields: str) -> Message:
        given = [(name.replace("_", "-"), value) for name, value in fields.items()]
        with self.client() as client:
            return client.ask(target=f"/{route}", fields=[("X-Do", order), *given])

    def draw(self, route: str, order: str = "", user: str | None = None) -> Message:
        """One request that goes where the split sends it, and what it is expected to count."""
        answer = self.ask(route, order, **({} if user is None else {"X_User": user}))
        way, version = answer["X-Assignment"], answer["X-Model-Version"]
        assigned = "v2" if way == "fallback" else version
        evidence = True
        if user is not None:
            evidence = user not in self.seen and user not in self.candidates
            self.seen.add(user)
        if evidence:
            what = order.partition(":")[2]
            failed = way == "fallback" or answer.status >= 500
            self.ledger.count(route, assigned, "assigned", *self._what(what, failed, answer))
        return answer

    def _what(self, what: str, failed: bool, answer: Message) -> list[str]:
        if failed:
            reason = {"500": "upstream_5xx", "reset": "reset"}.get(what, "timeout")
            timed = {"upstream_5xx": ["timed"], "timeout": ["timed", "beyond"]}.get(reason, [])
            return ["bad", f"bad:{reason}", *timed]
        if answer["X-Model-Route"] == "short":
            return ["timed"]
        if answer.body == b"no JSON":
            return ["timed", "missing:unreadable"]
        document = answer.json()
        if not document:
            return ["timed", "missing:absent"]
        label = document["label"]
        return ["timed", "scored", f"label:{label if label in 'ab' else '__other__'}"]

    def served_evidence(self) -> dict[tuple[str, str], Counter[str]]:
        """The same, as the admin port tells it of the present generation."""
        document = self.served.evidence()
        beyond = len(document["latency_bounds"])
        half = document["score_bounds"].index(0.5)
        found: dict[tuple[str, str], Counter[str]] = {}
        for route, versions in document["generations"][-1]["routes"].items():
            for version, row in versions.items():
                told = Counter(assigned=row["assigned"], bad=row["bad"], gone=row["gone"])
                told["timed"] = sum(row["latency"])
                told["beyond"] = row["latency"][beyond] if len(row["latency"]) > beyond else 0
                told["scored"] = sum(row["scores"])
                assert row["scores"][:half] == [0] * min(half, len(row["scores"]))
                for kind, name in (("bad", "reasons"), ("label", "labels"), ("missing", "missing")):
                    told.update({f"{kind}:{key}": n for key, n in row[name].items()})
                found[route, version] = +told
        return {key: told for key, told in found.items() if told}

    def agrees(self) -> None:
        """An answer is counted right after it was written, so the last ones are waited for."""
        with suppress(AssertionError):
            eventually(lambda: self.served_evidence() == self.ledger.expected, 10)
        assert self.served_evidence() == self.ledger.expected

    def split(self) -> dict[str, Any]:
        told = self.served.evidence()["generations"][-1]["splits"]["kept"]
        return {key: told[key] for key in ("run", "sticky")}


@pytest.fixture(params=[1, 3])
def story(system: Any, request: pytest.FixtureRequest) -> Iterator[Story]:
    workers = {name: Worker(obey, name=name) for name in ("v1", "v2")}
    urls = {name: worker.url for name, worker in workers.items()}
    text = TEXT.format(weight=30, timeout="20s", **urls)
    yield Story(system.gateway(text, "--processes", str(request.param)), workers)
    system.stop()
    for worker in workers.values():
        worker.close()


def processes(story: Story) -> list[dict[str, Any]]:
    return [one for one in story.served.status()["processes"] if one["generation"]]


def test_every_outcome_of_a_draw_is_told_as_the_clients_saw_it(story: Story) -> None:
    random = Random(20261121)
    for _ in range(240):
        what = random.choice(NOTHING)
        story.draw("drawn", f"{random.choice(['v2', 'both'])}:{what}")
    for _ in range(12):
        answer = story.draw("short", "both:hang")
        assert answer.status == 504
    story.draw("short")
    assert all(one["answered"] for one in processes(story))

    story.agrees()
    served = story.served_evidence()
    for counted in served.values():
        assert counted["bad"] <= counted["assigned"]
    assert {key.partition(":")[2] for key in served["drawn", "v2"]} >= {
        *("reset", "upstream_5xx", "unreadable", "absent", "b", "__other__"),
    }


def test_what_stable_saved_counts_against_the_candidate_once(story: Story) -> None:
    while story.ledger.expected.get(("drawn", "v2"), Counter())["bad"] < 10:
        answer = story.draw("drawn", "v2:500")
        assert answer.status == 200
    saved = story.ledger.expected["drawn", "v2"]

    assert saved["bad:upstream_5xx"] == saved["assigned"]
    story.agrees()


def test_a_candidate_that_hangs_is_slower_than_all_that_answer(story: Story) -> None:
    story.put(100, timeout="1s")
    for _ in range(2):
        answer = story.draw("drawn", "v2:hang")
        assert (answer.status, answer["X-Assignment"]) == (200, "fallback")

    assert story.ledger.expected["drawn", "v2"]["beyond"] == 2
    story.agrees()


def test_who_names_a_version_never_counts(story: Story) -> None:
    for number in range(60):
        for route in ("drawn", "kept"):
            fields = {"X_Model_Version": f"v{number % 2 + 1}", "X_User": USERS[number]}
            order = ("both:500", "both:reset", "both:odd", "")[number % 4]
            assert story.ask(route, order, **fields)["X-Assignment"] == "forced"

    story.agrees()
    assert story.split()["sticky"]["seen"] == 0


def test_a_client_that_leaves_is_gone_and_neither_good_nor_bad(story: Story) -> None:
    for number in range(24):
        route = ("drawn", "kept")[number % 2]
        before = {name: len(worker.requests) for name, worker in story.workers.items()}
        with story.client() as client:
            fields = [("X-Do", "both:hang"), ("X-User", USERS[number])]
            client.send(request_to(route, fields))
            asked = eventually(
                lambda before=before: [
                    name for name, n in before.items() if len(story.workers[name].requests) > n
                ]
            )
        story.ledger.count(route, asked[0], "assigned", "gone", "timed")
    kept = [route for route, _ in story.ledger.expected]

    assert set(kept) == {"drawn", "kept"}
    story.agrees()


def request_to(route: str, fields: list[tuple[str, str]]) -> bytes:
    lines = [f"POST /{route} HTTP/1.1", "Host: a", "Content-Length: 2"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", "{}"]).encode()


def test_a_user_counts_once_in_all_processes_and_through_reloads(story: Story) -> None:
    assert len({place_of(b"kept", user.encode())[1] for user in USERS}) == len(USERS)
    given: dict[str, str] = {}
    for _ in range(3):
        for user in USERS[:80]:
            given[user] = story.draw("kept", user=user)["X-Model-Version"]
    for _ in range(10):
        story.draw("kept")  # without a key each is a draw of its own
    story.agrees()
    assert story.split() == {"run": 1, "sticky": {"seen": 80, "slots": 2**20}}

    story.put(30, timeout="19s")  # another file, the same split
    for user in USERS:
        given[user] = story.draw("kept", user=user)["X-Model-Version"]
    story.agrees()
    assert story.split() == {"run": 1, "sticky": {"seen": 120, "slots": 2**20}}

    story.candidates = {user for user, version in given.items() if version == "v2"}
    story.put(60)
    story.seen = set()
    for _ in range(2):
        for user in USERS:
            given[user] = story.draw("kept", user=user)["X-Model-Version"]
    story.agrees()
    fresh = len(USERS) - len(story.candidates)
    assert story.split() == {"run": 1, "sticky": {"seen": fresh, "slots": 2**20}}
    rows = story.served.evidence()["generations"][-1]["routes"]["kept"]
    assert {name: row["buckets"] for name, row in rows.items()} == {"v1": 4000, "v2": 3000}

    story.put(20)  # less, but not nothing: another run, in which everybody is a draw
    story.candidates = story.seen = set()
    for user in USERS:
        story.draw("kept", user=user)
    story.agrees()
    assert story.split() == {"run": 4, "sticky": {"seen": 120, "slots": 2**20}}


def test_a_user_that_a_killed_process_has_seen_stays_seen(story: Story) -> None:
    if len(processes(story)) < 3:
        pytest.skip("one process takes all it knows with it")
    for user in USERS[:40]:
        story.draw("kept", user=user)
    story.agrees()
    victims = {one["pid"] for one in processes(story)}
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len({one["pid"] for one in processes(story)} - victims) == len(victims), 60)
    for _ in range(2):
        for user in USERS[:60]:
            story.draw("kept", user=user)

    story.agrees()
    assert story.split()["sticky"]["seen"] == 60
