"""Several processes, and several gateways, are judged as one that had all of their requests.

Who gets which version is the same each time: by users, whose buckets are the same anywhere, or by
draws of one seed. What a version does depends on the user alone. The controller begins when all is
counted, so it has one look, and what it writes down is compared to the last digit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.system.company import PATIENCE, Answer, Company, Role, Seat, request
from tests.system.conftest import System, eventually

REQUESTS = 600
SEED = 20261121
TEXT = """\
routes:
  iris:
    stable: v1
    {sticky}timeout: 40s
    prediction: {{label: /label, labels: [a, b]}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 30}}
    analysis: {{predictions: {{max_shift: 2%, action: alert}}}}
"""
STICKY = "sticky: {header: X-User}\n    "
JUDGED = (
    *("row", "route", "version", "generation", "verdict", "action", "sentence", "alerts"),
    *("evidence", "limit", "leading", "stand", "weight", "numbers"),
)


def luck(user: str) -> int:
    """Of 100."""
    return crc32(user.encode()) % 100


def stable(_: int, user: str) -> Answer:
    return Answer(b'{"label": "a"}' if luck(user) % 2 else b'{"label": "b"}')


def candidate(_: int, user: str) -> Answer:
    """Fails a tenth of its users, and says `a` to most of them."""
    if luck(user) < 10:
        return Answer(status=500)
    return Answer(b'{"label": "a"}' if luck(user) < 90 else b'{"label": "b"}')


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with Company() as one:
        yield one


@pytest.fixture(scope="module")
def roles(company: Company) -> dict[str, Role]:
    return {"v1": company.hire(stable), "v2": company.hire(candidate)}


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[list[System]]:
    """One for what is compared, one to compare it with."""
    made = [System(tmp_path / name) for name in ("several", "one")]
    for system in made:
        system.folder.mkdir()
    yield made
    for system in made:
        system.stop()


def ask(company: Company, served: Any, first: int, number: int, clients: int) -> Counter[Any]:
    """Requests of so many users, from the ``first`` on; what the clients saw."""
    users = count(first)
    seat = Seat(lambda: request("/predict", f"X-User: user-{next(users)}\r\n"), number)
    company.load(served.data_port, seat, clients).result(PATIENCE)
    assert seat.lost == 0
    return seat.saw


def judged(system: System, gateways: list[Any]) -> dict[str, Any]:
    """The row that a controller writes at its first look, without what is never the same: when it
    was, and how long anything took.
    """

    def assigned() -> int:
        rows = [one.evidence()["generations"][-1]["routes"]["iris"] for one in gateways]
        return sum(version["assigned"] for row in rows for version in row.values())

    eventually(lambda: assigned() == REQUESTS, "all is counted")
    file = gateways[0].file
    history = file.with_name("routing.history.jsonl")
    admins = ",".join(one.admin for one in gateways)
    words = ("controller", str(file), "--gateway", admins, "--metrics", "none")
    system.start("monitoring", *words)
    eventually(lambda: "weight: 0" in file.read_text(), "it is rolled back")
    row, *_ = map(json.loads, history.read_text().splitlines())
    case = row["case"]
    (strand,) = case["strands"].values()
    versions = {name: case[name] | {"latency": None} for name in ("candidate", "stable")}
    return {name: row[name] for name in JUDGED} | {
        "tracks": {name: strand["tracks"][name] for name in ("errors", "labels", "split")},
        **versions,
    }


def text(roles: dict[str, Role], sticky: str = "") -> str:
    return TEXT.format(sticky=sticky, **{name: role.url for name, role in roles.items()})


def test_two_processes_are_judged_as_one(
    systems: list[System], company: Company, roles: dict[str, Role]
) -> None:
    rows, saw = [], []
    for system, processes in zip(systems, ("2", "1"), strict=True):
        served = system.gateway(text(roles, STICKY), "--processes", processes)
        saw.append(ask(company, served, 0, REQUESTS, clients=32))
        each = [one["answered"] for one in served.status()["processes"]]
        assert len(each) == int(processes)
        assert all(each)
        rows.append(judged(system, [served]))

    assert saw[0] == saw[1]
    assert rows[0] == rows[1]
    assert rows[0]["action"] == "rollback"
    assert len(rows[0]["alerts"]) == 1


def test_two_gateways_on_one_file_are_judged_as_one(
    systems: list[System], company: Company, roles: dict[str, Role]
) -> None:
    several, one = systems
    half = REQUESTS // 2
    pair, saw = [], Counter[Any]()
    for skip in (0, half):
        dice = ("tests.system.dice", str(SEED), str(skip))
        pair.append(several.gateway(text(roles), command=dice))
        saw += ask(company, pair[-1], skip, half, clients=1)
    single = one.gateway(text(roles), command=("tests.system.dice", str(SEED), "0"))

    assert ask(company, single, 0, REQUESTS, clients=1) == saw
    row = judged(several, pair)
    assert row == judged(one, [single])
    assert row["action"] == "rollback"
    assert row["numbers"]["candidate"]["bad"] > 0
