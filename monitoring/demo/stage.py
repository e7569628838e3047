"""What the story is played on: a copy of the routing file, real workers, gateway and controller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import httpx2

from gateway.config import parse
from gateway.model import RoutingConfig
from monitoring.demo.processes import Children, listens, usable_port


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything is up: where it is, and the copy that rules it."""

    file: Path
    original: bytes
    data_url: str
    admin_url: str
    controller_url: str
    workers: dict[tuple[str, str], str]

    def worker(self, route: str, version: str) -> str:
        """The address of one worker."""
        return self.workers[route, version]

    def put_faults(self, route: str, version: str, plan: str) -> None:
        """Make a worker misbehave from now on."""
        url = f"{self.worker(route, version)}/faults"
        httpx2.put(url, content=plan, trust_env=False).raise_for_status()

    def answered(self, route: str, version: str) -> int:
        """Requests the worker itself has counted."""
        stats = httpx2.get(f"{self.worker(route, version)}/stats", trust_env=False).json()
        return sum(stats["requests"].values())


@contextmanager
def set_up(file: Path) -> Iterator[Stage]:
    """Start everything on a copy of ``file``, stop everything afterwards, and leave nothing."""
    folder = Path(mkdtemp(prefix="canary-demo-"))
    try:
        copy, config = _copy(file, folder)
        ports = [usable_port(wanted) for wanted in (8080, 8081, 8082)]
        data, admin, controller = (f"127.0.0.1:{port}" for port in ports)
        with Children(folder) as children:
            _start_workers(children, config)
            options = ("--listen", data, "--admin", admin, "--controller-metrics", controller)
            children.start("gateway", "monitoring", "serve", str(copy), *options)
            children.wait_for("gateway", lambda: all(map(listens, ports[:2])))
            workers = {
                (route.name, version.name): version.endpoints[0].url
                for route in config.routes
                for version in route.versions
            }
            yield Stage(
                copy,
                copy.read_bytes(),
                data_url=f"http://{data}",
                admin_url=f"http://{admin}",
                controller_url=f"http://{controller}",
                workers=workers,
            )
    finally:
        rmtree(folder, ignore_errors=True)


def _copy(file: Path, folder: Path) -> tuple[Path, RoutingConfig]:
    """The file with every worker on a port that is free here."""
    text = file.read_text()
    taken: set[int] = set()
    for route in parse(text.encode()).routes:
        for version in route.versions:
            for endpoint in version.endpoints:
                port = usable_port(endpoint.port)
                while port in taken:
                    port = usable_port(0)
                taken.add(port)
                text = text.replace(endpoint.url, f"http://127.0.0.1:{port}")
    copy = folder / file.name
    copy.write_text(text)
    return copy, parse(text.encode())


def _start_workers(children: Children, config: RoutingConfig) -> None:
    """One process per version; a route is named after the model it serves."""
    started: list[tuple[str, int]] = []
    for route in config.routes:
        for version in route.versions:
            port = version.endpoints[0].port
            name = f"{route.name}-{version.name}"
            children.start(
                name,
                "model_workers",
                *("--model", route.name, "--version", version.name, "--port", str(port)),
            )
            started.append((name, port))
    for name, port in started:
        children.wait_for(name, lambda port=port: listens(port))  # type: ignore[misc]
