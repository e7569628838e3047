"""What runs on Python: the gateway itself, the naive one, the blind relay."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.counted import http_get, summed
from benchmarks.site import CANDIDATE_PERCENT, Command, Peer, Site

ROOT = Path(__file__).parent.parent


def routing(site: Site) -> dict[str, Any]:
    """The gateway's file: defaults as shipped, and every duty a route can have on."""
    urls = site.urls()
    routes = {}
    for i in range(site.shape.routes):
        last = i == site.shape.routes - 1
        count = site.shape.versions if last else 2
        versions: dict[str, Any] = {"v1": {"url": urls[0]}}
        for candidate in range(1, count):
            percent = site.shape.candidate_percent if last else CANDIDATE_PERCENT
            versions[f"v{candidate + 1}"] = {"url": urls[candidate], "weight": percent}
        routes[f"model-{i}"] = {
            "match": {"path": f"/predict/model-{i}"},
            "stable": "v1",
            "versions": versions,
            "override": {"header": "X-Model-Version"},
            "prediction": {"label": "/predictions/0", "score": "/probabilities/0"},
            "analysis": {"max_false_rollback": "1%"},
        }
    return {"routes": routes}


def _gateway(site: Site) -> Command:
    path = site.write("routing.yaml", json.dumps(routing(site), indent=1))
    addresses = (f"127.0.0.1:{site.port}", f"127.0.0.1:{site.admin_port}")
    words = ["serve", str(path), "--listen", addresses[0], "--admin", addresses[1]]
    for alone in ("--no-controller", "--no-console"):  # no part of what a request costs
        words += [alone] if offers(site.checkout, alone) else []
    if site.shape.processes > 1:
        words += ["--processes", str(site.shape.processes)]
    if site.certificate:
        files = site.certificate
        words += ["--tls-cert", str(files.chain), "--tls-key", str(files.key)]
    canary = str(Path(sys.executable).parent / "canary")
    return Command((canary, *words), {"PYTHONPATH": str(site.checkout)})


@cache
def offers(checkout: Path, option: str) -> bool:
    """Whether the gateway of a checkout knows an option."""
    canary = str(Path(sys.executable).parent / "canary")
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "200"}
    words = (canary, "serve", "--help")
    said = subprocess.run(
        words, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    return option in said.stdout


def gateway_version(checkout: Path = ROOT) -> str:
    said = subprocess.run(
        ["git", "-C", str(checkout), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or version("canary-gateway")


def _naive(site: Site, client: str) -> Command:
    options = ("--port", str(site.port), "--no-access-log", "--log-level", "warning")
    words = (sys.executable, "-m", "uvicorn", "benchmarks.naive:app", *options)
    workers = " ".join(site.urls()[:2])
    return Command(words, {"PYTHONPATH": str(ROOT), "WORKERS": workers, "CLIENT": client})


def _relay(site: Site) -> Command:
    words = (sys.executable, "-m", "benchmarks.relay", str(site.port), *site.workers[:2])
    return Command(words, {"PYTHONPATH": str(ROOT)})


def _versions(*names: str) -> str:
    return ", ".join(f"{name} {version(name)}" for name in names)


GATEWAY = Peer(
    "canary",
    "split, latency, status, label, score, ids, limits, deadlines",
    _gateway,
    lambda: f"{gateway_version()}, Python {platform.python_version()}",
    lambda site: summed(http_get(site.admin_port, "/metrics"), "canary_predictions_total"),
)


def _naive_peer(client: str) -> Peer:
    return Peer(
        f"naive, {client}",
        "same work, no score",
        lambda site: _naive(site, client),
        lambda: _versions("starlette", client, "prometheus-client", "uvicorn"),
        lambda site: summed(http_get(site.port, "/metrics"), "predictions_total"),
    )


NAIVE = _naive_peer("httpx")
NAIVE2 = _naive_peer("httpx2")
RELAY = Peer("blind relay", "copies bytes", _relay, lambda: _versions("uvloop"), splits=False)
