"""From a client's `traceparent` to what a real Prometheus says of the bucket."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.ports import free_port
from tests.sockets.peers import Worker
from tests.system.conftest import answers, get

TRACE = "0af7651916cd43dd8448eb211c80319c"
TEXT = "routes: {{iris: {{stable: v1, versions: {{v1: {{url: '{url}'}}}}}}}}\n"
SCRAPE = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs: [{{job_name: gateway, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""
Until = Callable[[Callable[[], Any], str], Any]


def ask(url: str, flags: str = "01") -> None:
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-{flags}"}
    asked = urllib.request.Request(url, data=b"{}", headers=headers)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert answer.status == 200


@pytest.fixture
def worker() -> Iterator[Worker]:
    one = Worker()
    yield one
    one.close()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """Starts one that scrapes a port of this machine; its URL."""
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> str:
        (tmp_path / "prometheus.yml").write_text(SCRAPE.format(port=port))
        own = f"127.0.0.1:{free_port()}"
        command = ["prometheus", "--enable-feature=exemplar-storage", "--log.level=error"]
        command += ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        with (tmp_path / "prometheus.log").open("w") as log:
            running.append(
                subprocess.Popen(
                    [*command, f"--web.listen-address={own}"],
                    cwd=tmp_path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        return f"http://{own}"

    yield start
    for one in running:
        one.terminate()
        one.wait(20)


def test_prometheus_names_a_request_of_the_bucket(
    system: Any, worker: Worker, prometheus: Callable[[int], str], until: Until
) -> None:
    served = system.gateway(TEXT.format(url=worker.url))
    ask(served.url)
    url = prometheus(served.admin_port)
    query = {"query": "canary_request_duration_seconds_bucket", "start": 0, "end": 2**40}

    def found() -> Any:
        if not answers(f"{url}/-/ready"):
            return []
        return get(f"{url}/api/v1/query_exemplars?{urlencode(query)}")["data"]

    (series,) = until(found, "the exemplar arrives")
    (exemplar,) = series["exemplars"]
    assert exemplar["labels"] == {"trace_id": TRACE}
    assert float(exemplar["value"]) <= float(series["seriesLabels"]["le"])
    assert series["seriesLabels"]["version"] == "v1"
