"""`canary serve --traces`, with several processes, up to a collector."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.collector import Collector, attributes_of
from tests.sockets.peers import Worker
from tests.system.conftest import ROOT

TRACE = "0af7651916cd43dd8448eb211c80319c"
TEXT = "routes: {{iris: {{stable: v1, versions: {{v1: {{url: '{url}'}}}}}}}}\n"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with closing(Collector()) as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "front")
        yield one


def test_what_several_processes_have_served_is_exported_before_they_end(
    system: Any, collector: Collector
) -> None:
    with closing(Worker()) as worker:
        served = system.gateway(TEXT.format(url=worker.url), "--processes", "2", "--traces")
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        for _ in range(4):  # on connections that the kernel spreads
            asked = urllib.request.Request(served.url, data=b"{}", headers=headers)
            with urllib.request.urlopen(asked, timeout=20) as answer:
                assert answer.status == 200
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        asked = urllib.request.Request(f"{served.admin}/metrics", headers=accept)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            told = answer.read().decode()
        served.process.terminate()
        assert served.process.wait(20) == 0

    assert len(collector.spans) == 4 * 2
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert {attributes_of(span)["canary.version"] for span in collector.spans} == {"v1"}
    assert {one["service.name"] for one in collector.resources} == {"front"}
    assert "canary_spans_dropped_total 0" in told
    assert "canary_request_duration_seconds_bucket" in told
    assert TRACE not in told  # several processes name no requests


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("missing", "pip install 'canary-gateway[otel]'"),
        ("sampler", "OTEL_TRACES_SAMPLER: 'always_on' is none of"),
    ],
)
def test_traces_that_cannot_be_are_wrong_use(
    why: str, said: str, processes: str, tmp_path: Path
) -> None:
    (tmp_path / "routing.yaml").write_text(TEXT.format(url="http://127.0.0.1:1"))
    (tmp_path / "opentelemetry").mkdir()  # is found first, and holds nothing
    (tmp_path / "opentelemetry" / "__init__.py").touch()
    before = f"{tmp_path}:{ROOT}" if why == "missing" else str(ROOT)
    environment = {**os.environ, "PYTHONPATH": before}
    if why == "sampler":
        environment["OTEL_TRACES_SAMPLER"] = "always_on"
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "gateway", "routing.yaml", "--traces"),
            *("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--processes", processes),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
