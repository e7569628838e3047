"""A gateway with its console and controller, scripted workers behind it, and a light load."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from gateway.config import parse
from gateway.edit import SetWeight
from gateway.model import Route
from monitoring import editing
from monitoring.history import changes
from monitoring.history.chain import Entry
from tests.system.company import Answer, Company, Role, Seat, request
from tests.system.conftest import Served, System, answers, eventually

LABELS: Final = ("setosa", "virginica")
STEPS: Final = "[{weight: 20, pause: 1h}, {weight: 50, pause: 1h}]"
JUDGED: Final = "analysis: {max_false_rollback: 1%, latency: {max_increase: 50%}}"
# By the route, where they differ. Each story has its own, and none goes on by itself.
ROUTES: Final = {
    "iris": ("", f"rollout: {{candidate: v2, steps: {STEPS}}}\n    {JUDGED}"),
    "wine": (", weight: 25", JUDGED),
    "digits": (", weight: 10", JUDGED),
    "houses": (", weight: 10", JUDGED),
    "faces": (", weight: 10", JUDGED),
    "counted": (", weight: 40", "idempotent: true"),
    "guarded": (", weight: 10", "idempotent: true"),
}
BUSY: Final = ("iris", "wine", "digits")  # under load from the beginning
ANSWER_AFTER: Final = 0.04  # seconds; a light load is one of clients who wait


def text(urls: dict[str, str]) -> str:
    """The file."""
    lines = ["# Who answers which requests.", "routes:"]
    for name, (weight, more) in ROUTES.items():
        own = "counted-" if name == "counted" else ""
        lines += [
            f"  {name}:",
            f"    match: {{path: /{name}}}",
            "    stable: v1",
            "    versions:",
            f'      v1: {{url: "{urls[own + "v1"]}"}}',
            f'      v2: {{url: "{urls[own + "v2"]}"{weight}}}',
            "    sticky: {header: X-User}",
            f"    prediction: {{label: /label, score: /score, labels: [{', '.join(LABELS)}]}}",
            f"    {more}",
            "",
        ]
    return "\n".join(lines)


def luck(user: str) -> int:
    """Of 100, the same each time."""
    return crc32(user.encode()) % 100


def says(user: str, of_100: int, after: float, fails: int = 0) -> Answer:
    """One label to so many users of a hundred, the other one to the rest."""
    if luck(user) < fails:
        return Answer(b'{"label": null}', 500, after)
    label = LABELS[luck(user) >= of_100]
    body = json.dumps({"label": label, "score": (1 + luck(user)) / 101})
    return Answer(body.encode(), after=after)


def asking(route: str) -> Callable[[], bytes]:
    """What clients of a route send: each request is another user's."""
    users = itertools.count()
    return lambda: request(f"/{route}", f"X-User: user-{next(users)}\r\n")


@dataclass
class Site:
    """``home`` is where the console is."""

    served: Served
    company: Company
    log: Path
    seats: dict[str, Seat] = field(default_factory=dict)

    @property
    def home(self) -> str:
        return self.served.admin

    @property
    def file(self) -> Path:
        return self.served.file

    def load(self, route: str, requests: int | None = None, clients: int = 1) -> Any:
        """Ask from now on, so many times or until the end; it is done when all are answered."""
        seat = self.seats[route] = Seat(asking(route), requests)
        return self.company.load(self.served.data_port, seat, clients)

    def route(self, name: str) -> Route:
        """As the file has it."""
        return parse(self.file.read_bytes()).route(name)

    def weight(self, route: str, version: str = "v2") -> float:
        """In percent, as the file has it."""
        return self.route(route).version(version).weight / 100

    def in_force(self, route: str) -> dict[str, float]:
        """The weights in percent, as the gateway tells them."""
        found = self.served.status()["routes"][route]["versions"]
        return {name: one["weight"] for name, one in found.items()}

    def set_weight(self, route: str, percent: float, by: str, reason: str) -> None:
        """What somebody else does, at a terminal."""
        change = SetWeight(route, "v2", round(percent * 100))
        editing.change(self.file, change, by=by, reason=reason, action="set-weight")

    def last(self, route: str) -> Entry:
        """The newest change of a route in the history."""
        return [one for one in changes.read(self.file) if one.route == route][-1]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Of the log, those that tell of this event."""
        whole = self.log.read_text().rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["event"] == event]

    def consoles(self) -> list[int]:
        """The process ids of the consoles that were started, the newest last."""
        started = self.lines("the companion started")
        return [int(one["pid"]) for one in started if one["companion"] == "console"]


def opened(folder: Path, stack: ExitStack, *options: str, controller: bool = True) -> Site:
    """All of it, until the stack ends."""
    company = stack.enter_context(Company())
    roles: dict[str, Role] = {
        "v1": company.hire(lambda _, user: says(user, 60, ANSWER_AFTER)),
        "v2": company.hire(lambda _, user: says(user, 40, ANSWER_AFTER)),
        "counted-v1": company.hire(lambda _, user: says(user, 60, 0)),
        "counted-v2": company.hire(lambda _, user: says(user, 30, 0, fails=10)),
    }
    system = System(folder)
    stack.callback(system.stop)
    urls = {name: role.url for name, role in roles.items()}
    served = system.gateway(text(urls), *options, controller=controller, console=True)
    site = Site(served, company, folder / "0.log")
    eventually(lambda: answers(f"{site.home}/healthy"), "the console answers")
    return site
