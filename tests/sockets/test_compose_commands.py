"""The services of docker-compose.yml as plain processes: the same commands, health checks, order
of starting and mounted files, with names and ports replaced by free ports of this machine.

Prometheus is Debian's (tests/packages.txt), asked what the dashboard asks. Not run: Grafana, and
everything about images, users, capabilities and mounts that needs a container engine.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
import yaml

from gateway.config import parse

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds until something counts as hung; nothing here asserts on speed
# ${NAME:-default}, the one form used.
TEXT = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
ALL: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
SERVICES = {name: each for name, each in ALL.items() if name != "grafana"}
WORKERS = [name for name, each in SERVICES.items() if each["image"].startswith("model-worker:")]
DASHBOARD = json.loads((ROOT / "monitoring/grafana/dashboards/rollout.json").read_text())
QUERIES: dict[str, tuple[str, str]] = {
    f"{panel['title']} {target['refId']} {panel['id']}": (target["expr"], target["legendFormat"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
BINARIES = {"python": sys.executable, "canary": str(Path(sys.executable).parent / "canary")}
SECRETS = "/run/secrets"  # where a service finds them
TOKEN = "token-of-the-composed-0123456789"
ROWS = {"breast-cancer": [1.0] * 30, "iris": [5.1, 3.5, 1.4, 0.2]}


def eventually(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# --- the file, translated to this machine


def instruction(service: dict[str, Any], word: str) -> list[str]:
    """The JSON form of an instruction in the Dockerfile of a service."""
    text = (ROOT / service["build"]["dockerfile"]).read_text().replace("\\\n", "")
    (found,) = re.findall(rf"^{word} [^\[\n]*(\[.*\])$", text, re.M)
    words = json.loads(found)
    assert isinstance(words, list)
    return words


def health_check(service: dict[str, Any]) -> list[str] | None:
    """The command that says by its exit code whether the service is well; None: it has none."""
    own = service.get("healthcheck", {})
    if own.get("disable"):
        return None
    if "test" in own:
        assert own["test"][0] == "CMD"
        return [str(word) for word in own["test"][1:]]
    return instruction(service, "HEALTHCHECK")


@cache
def free_port(service: str, port: int) -> int:
    """The port of this machine that stands for a port of a service."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_addresses(text: str, service: str = "") -> str:
    """Names of services, and where a service speaks of itself, as addresses of this machine."""
    itself = ("0.0.0.0", "127.0.0.1") if service else ()
    hosts = "|".join(re.escape(host) for host in (*SERVICES, *itself))

    def here(found: re.Match[str]) -> str:
        owner = service if found[1] in itself else found[1]
        return f"127.0.0.1:{free_port(owner, int(found[2]))}"

    return re.sub(rf"\b({hosts}):(\d+)", here, text)


@dataclass
class Composed:
    """The running services."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def secrets(self) -> Path:
        """The directory here that stands for the one of the secrets."""
        return self.folder / "secrets"

    def environment(self, service: dict[str, Any]) -> dict[str, str]:
        told: dict[str, str] = service.get("environment", {})
        return {name: value.replace(SECRETS, str(self.secrets)) for name, value in told.items()}

    def mounted(self, volume: dict[str, Any] | str) -> tuple[str, Path]:
        """Where a service sees a volume, and the directory here that stands for it."""
        if isinstance(volume, str):
            name, _, target = volume.partition(":")
            local = self.folder / name
            local.mkdir(exist_ok=True)
            return target, local
        target, local = volume["target"], self.folder / volume["source"]
        if not local.exists():
            hidden = shutil.ignore_patterns(".*", "*.jsonl")
            shutil.copytree(ROOT / volume["source"], local, ignore=hidden)
            for file in local.rglob("*.y*ml"):
                text = with_addresses(file.read_text()).replace(SECRETS, str(self.secrets))
                # Two looks a second instead of one in five.
                text = re.sub(r"(_interval|_timeout): \d+s", r"\1: 500ms", text)
                file.write_text(text)
        return target, local

    def words(self, name: str, words: list[str]) -> list[str]:
        """A command as it runs here."""
        volumes = dict(self.mounted(each) for each in SERVICES[name].get("volumes", ()))
        translated = [BINARIES.get(words[0], words[0])]
        for before, word in pairwise(words):
            if before == "--port":
                word = str(free_port(name, int(word)))
            for target, local in volumes.items():
                word = re.sub(rf"(^|=){target}(?=/|$)", rf"\g<1>{local}", word)
            word = with_addresses(word, name)
            translated.append("127.0.0.1" if word == "0.0.0.0" else word)
        return translated

    def start(self, name: str) -> None:
        service = SERVICES[name]
        # What a third party's image starts is named like the service.
        entry = instruction(service, "ENTRYPOINT") if "build" in service else [name]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.words(name, [*entry, *service["command"]]),
                cwd=ROOT,  # as in the image, the trained models lie in ./artefacts
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment(service)},
            )

    def is_healthy(self, name: str) -> bool:
        words = health_check(SERVICES[name])
        assert words is not None
        assert self.running[name].poll() is None, self.log(name)
        words = self.words(name, words)
        if words[0] == "wget":  # in the image, not necessarily here
            return answers(words[-1])
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def up(self) -> None:
        """Start everything in the order that the file asks for."""
        self.secrets.mkdir()
        (self.secrets / "admin-token").write_text(f"{TOKEN}\n")
        while waiting := SERVICES.keys() - self.running.keys():
            ready = {
                name
                for name in waiting
                if SERVICES[name].get("depends_on", {}).keys() <= self.running.keys()
            }
            assert ready, f"a circle among {waiting}"
            for name in sorted(ready):
                for other, how in SERVICES[name].get("depends_on", {}).items():
                    if how["condition"] == "service_healthy":
                        eventually(partial(self.is_healthy, other), f"{other} is healthy")
                self.start(name)

    def down(self) -> None:
        """Stop everything as the engine does. Who does not heed SIGTERM is killed, and told of."""
        deaf = []
        for process in self.running.values():
            process.terminate()
        for name, process in self.running.items():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                deaf.append(name)
                process.kill()
                process.wait()
        assert deaf == []

    # --- what is asked of it

    def url(self, name: str, port: int, path: str) -> str:
        return f"http://127.0.0.1:{free_port(name, port)}{path}"

    def prometheus(self, path: str, **query: Any) -> Any:
        url = self.url("prometheus", 9090, f"/api/v1/{path}?{urlencode(query, doseq=True)}")
        with urlopen(url, timeout=PATIENCE) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def value(self, query: str) -> float | None:
        """The one number a query gives; None if it gives nothing."""
        result = self.prometheus("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def weight(self, route: str, version: str) -> int:
        """What the mounted routing.yaml says, in basis points."""
        text = (self.folder / "monitoring/compose/routing.yaml").read_bytes()
        return parse(text).route(route).weight(version)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    one = Composed(tmp_path_factory.mktemp("composed"))
    try:
        one.up()
        yield one
    finally:
        one.down()


# --- traffic, and what its clients saw


class Load(threading.Thread):
    """Asks both routes in turn until told to stop, and counts the answers it got."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[tuple[str, str, str]] = Counter()  # route, version, assignment
        self.statuses: Counter[int] = Counter()
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.002):
            for route, row in ROWS.items():
                body = json.dumps({"instances": [row]})
                self._connection.request("POST", f"/predict/{route}", body)
                answer = self._connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
                version, how = answer.headers["X-Model-Version"], answer.headers["X-Assignment"]
                self.seen[route, version, how] += 1

    def end(self) -> None:
        self._ended.set()
        self.join(PATIENCE)
        self._connection.close()


@dataclass(frozen=True)
class Told:
    """What happened, and when: Unix times."""

    began: float
    ended: float
    load: Load


@pytest.fixture(scope="module")
def told(composed: Composed) -> Told:
    """Healthy traffic, then the candidate of breast-cancer fails and is taken out."""
    began = time.time()
    load = Load(free_port("gateway", 8080))
    load.start()
    try:
        drawn = 'count(route_version:canary_requests_assigned:ratio_rate1m{version="v2"} > 0)'
        eventually(lambda: composed.value(drawn) == 2, "both candidates were drawn and recorded")
        faults = composed.url("breast-cancer-v2", 8100, "/faults")
        urlopen(Request(faults, b"errors=0.5", method="PUT"), timeout=PATIENCE).close()
        eventually(lambda: not composed.weight("breast-cancer", "v2"), "the candidate is out")
        changed = 'canary_route_weight_ratio{route="breast-cancer", version="v2"} == 0'
        eventually(lambda: composed.value(changed) is not None, "Prometheus knows it is out")
    finally:
        load.end()
    total = sum(load.seen.values())
    eventually(
        lambda: composed.value("sum(canary_requests_total)") == total, "the last scrape has it all"
    )
    return Told(began, time.time(), load)


# --- the services


@pytest.mark.parametrize("name", [name for name in SERVICES if health_check(SERVICES[name])])
def test_every_service_with_a_health_check_becomes_healthy(composed: Composed, name: str) -> None:
    eventually(lambda: composed.is_healthy(name), f"{name} is healthy")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_answers_under_the_name_and_port_that_the_routes_lead_to(
    composed: Composed, name: str
) -> None:
    eventually(lambda: composed.is_healthy(name), f"{name} is healthy")
    with urlopen(composed.url(name, 8100, "/stats"), timeout=PATIENCE) as answer:
        stats = json.load(answer)

    assert name == f"{stats['model']}-{stats['model_version']}"


def test_no_client_sees_that_a_candidate_fails(told: Told) -> None:
    assert told.load.statuses.keys() == {200}
    assert told.load.seen["breast-cancer", "v1", "fallback"] > 0


def test_the_controller_takes_a_failing_candidate_out_and_no_other(
    composed: Composed, told: Told
) -> None:
    assert composed.weight("breast-cancer", "v2") == 0
    assert composed.weight("iris", "v2") > 0
    history = composed.folder / "monitoring/compose/routing.history.jsonl"
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    (out,) = [row for row in rows if row["row"] == "intent" and row["action"] == "rollback"]
    assert (out["by"], out["route"], out["version"]) == ("controller", "breast-cancer", "v2")


def test_the_admin_port_tells_nothing_without_the_token(composed: Composed) -> None:
    url = composed.url("gateway", 8081, "/metrics")
    with pytest.raises(HTTPError) as refused:
        urlopen(url, timeout=PATIENCE)
    refused.value.close()

    assert refused.value.code == 401
    urlopen(Request(url, headers={"Authorization": f"Bearer {TOKEN}"}), timeout=PATIENCE).close()


def test_no_command_line_and_no_log_shows_the_token(composed: Composed, told: Told) -> None:
    for name, process in composed.running.items():
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert TOKEN.encode() not in words, name
        assert TOKEN not in composed.log(name), name


# --- Prometheus


def test_every_target_is_up(composed: Composed, told: Told) -> None:
    targets = composed.prometheus("targets")["activeTargets"]

    assert {target["labels"]["job"]: target["health"] for target in targets} == {"gateway": "up"}


def test_every_rule_is_loaded_and_evaluates(composed: Composed, told: Told) -> None:
    (group,) = composed.prometheus("rules")["groups"]
    written = (ROOT / "monitoring/prometheus/rules.yml").read_text()

    assert {rule["name"] for rule in group["rules"]} == set(re.findall("record: (.+)", written))
    assert {rule["health"] for rule in group["rules"]} == {"ok"}


def test_prometheus_counts_what_the_clients_saw(composed: Composed, told: Told) -> None:
    query = "sum by (route, version, assignment) (canary_requests_total) > 0"
    found = composed.prometheus("query", query=query, time=told.ended)["result"]
    counted = {
        (each["metric"]["route"], each["metric"]["version"], each["metric"]["assignment"]): int(
            each["value"][1]
        )
        for each in found
    }

    assert counted == told.load.seen
    saved = 'sum(canary_fallbacks_total{route="breast-cancer", assigned="v2"})'
    gave_way = composed.value(saved)
    assert gave_way is not None
    # Who had given way when the file changed is assigned anew: one client, one change, one such
    # answer at most, and it is a draw's again.
    assert 0 <= gave_way - told.load.seen["breast-cancer", "v1", "fallback"] <= 1


# --- the dashboard


def asked(composed: Composed, told: Told, query: str) -> list[dict[str, Any]]:
    """The series Grafana would get for the failing route, all versions."""
    for variable, value in (
        ("$route", "breast-cancer"),
        ("$version", ".+"),
        ("$__rate_interval", "4s"),
    ):
        query = query.replace(variable, value)
    answer = composed.prometheus(
        "query_range", query=query, start=told.began, end=told.ended, step=0.5
    )
    result = answer["result"]
    assert isinstance(result, list)
    return result


def numbers(series: dict[str, Any]) -> list[float]:
    """The values, without NaN: it stands where there was no traffic, and is not drawn."""
    found = (float(value) for _, value in series["values"])
    return [value for value in found if not math.isnan(value)]


@pytest.mark.parametrize("name", QUERIES)
def test_every_panel_shows_real_traffic(composed: Composed, told: Told, name: str) -> None:
    query, legend = QUERIES[name]
    shown = [each for each in asked(composed, told, query) if numbers(each)]

    assert shown
    assert all(math.isfinite(value) for each in shown for value in numbers(each))
    for label in re.findall(r"\{\{(\w+)\}\}", legend):
        assert all(each["metric"].get(label) for each in shown), label
    if "{{role}}" in legend:
        assert {each["metric"]["role"] for each in shown} == {"stable", "candidate"}


def test_the_rollback_is_marked_on_the_plots(composed: Composed, told: Told) -> None:
    (annotation,) = DASHBOARD["annotations"]["list"]
    marked = asked(composed, told, annotation["target"]["expr"])

    assert {each["metric"]["version"] for each in marked} == {"v1", "v2"}


@pytest.mark.parametrize(
    ("name", "values"), [("route", ["breast-cancer", "iris"]), ("version", ["v1", "v2", "v3"])]
)
def test_the_variables_offer_what_the_file_has(
    composed: Composed, told: Told, name: str, values: list[str]
) -> None:
    (variable,) = (each for each in DASHBOARD["templating"]["list"] if each["name"] == name)
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    assert found
    selector = found[1].replace("$route", "iris")

    assert composed.prometheus(f"label/{found[2]}/values", **{"match[]": selector}) == values
