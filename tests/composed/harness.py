"""The services of docker-compose.yml as plain processes: the same commands, health checks, order
of starting and mounted files, with names and ports replaced by free ports of this machine.

Prometheus and Alertmanager are Debian's (tests/packages.txt). Not run: Grafana, and everything
about images, users, capabilities and mounts that needs a container engine.

Time runs faster in what is mounted: Prometheus looks twice a second, and where an alert waits, a
minute is a second. The routing file has one line more: who is told of what the controller does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from gateway.config import parse

if TYPE_CHECKING:
    from tests.composed.clients import Load
from tests import ports
from tests.sockets.peers import Worker, answering

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds until something counts as hung; nothing here asserts on speed
# ${NAME:-default}, the one form used.
TEXT = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
ALL: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
SERVICES = {name: each for name, each in ALL.items() if name != "grafana"}
WORKERS = [name for name, each in SERVICES.items() if each["image"].startswith("model-worker:")]
BINARIES = {
    "python": sys.executable,
    "canary": str(Path(sys.executable).parent / "canary"),
    "model-worker": str(Path(sys.executable).parent / "model-worker"),
    # As Debian calls it.
    "alertmanager": shutil.which("alertmanager") or "prometheus-alertmanager",
}
SECRETS = "/run/secrets"  # where a service finds them
TOKEN = "token-of-the-composed-0123456789"
# Where alerts wait: for how long they must hold, and to be sent together.
WAITS = r"\b(for|group_wait|group_interval): (\d+)(s|m)\b"


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
    return ports.free_port()


def with_addresses(text: str, service: str = "") -> str:
    """Names of services, and where a service speaks of itself, as addresses of this machine."""
    itself = ("0.0.0.0", "127.0.0.1") if service else ()
    hosts = "|".join(re.escape(host) for host in (*SERVICES, *itself))

    def here(found: re.Match[str]) -> str:
        owner = service if found[1] in itself else found[1]
        return f"127.0.0.1:{free_port(owner, int(found[2]))}"

    return re.sub(rf"\b({hosts}):(\d+)", here, text)


def hastened(text: str) -> str:
    """Two looks a second instead of one in five, and seconds for minutes where alerts wait."""

    def sooner(found: re.Match[str]) -> str:
        minutes = int(found[2]) / (60 if found[3] == "s" else 1)
        return f"{found[1]}: {round(1000 * minutes)}ms"

    text = re.sub(r"(scrape_interval|scrape_timeout|evaluation_interval): \d+s", r"\1: 500ms", text)
    return re.sub(WAITS, sooner, text)


@dataclass
class Composed:
    """The running services, and a receiver that the controller tells of what it does."""

    folder: Path
    receiver: Worker = field(default_factory=lambda: Worker(answering(204)))
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
                if file.name == "routing.yaml":
                    text += f"\nnotify: [{{webhook: '{self.receiver.url}/notices'}}]\n"
                file.write_text(hastened(text))
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
        entry = [name] if "build" not in service else instruction(service, "ENTRYPOINT")
        entry = service.get("entrypoint", entry)
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
        (url,) = re.findall(r"http://[^\s']+", words[-1])
        # wget is in the image, not necessarily here; and a program just to wait takes its time.
        if not answers(url) or words[0] == "wget":
            return answers(url)
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def up(self) -> None:
        """Start everything in the order that the file asks for, and wait until it is well."""
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
        for name in self.running:
            if health_check(SERVICES[name]):
                eventually(partial(self.is_healthy, name), f"{name} is healthy")

    def down(self) -> None:
        """Stop everything as the engine does, who depends on others before them. Who does not heed
        SIGTERM is killed, and told of.
        """
        deaf = []
        left = list(self.running)
        while left:
            needed = {other for name in left for other in SERVICES[name].get("depends_on", {})}
            last = [name for name in left if name not in needed]
            for name in last:
                self.running[name].terminate()
            for name in last:
                try:
                    self.running[name].wait(60)
                except subprocess.TimeoutExpired:
                    deaf.append(name)
                    self.running[name].kill()
                    self.running[name].wait()
            left = [name for name in left if name not in last]
        self.receiver.close()
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

    @property
    def routing_file(self) -> Path:
        return self.folder / "monitoring/compose/routing.yaml"

    def weight(self, route: str, version: str) -> int:
        """What the mounted routing.yaml says, in basis points."""
        return parse(self.routing_file.read_bytes()).route(route).weight(version)

    def said(self, name: str, event: str) -> list[dict[str, Any]]:
        """The lines of a service's log that tell of this event."""
        lines = (json.loads(line) for line in self.log(name).splitlines() if line[:1] == "{")
        return [line for line in lines if line.get("event") == event]


@dataclass(frozen=True)
class Told:
    """What happened, and when: Unix times."""

    began: float
    ended: float
    load: Load
