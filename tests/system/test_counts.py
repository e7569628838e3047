"""To the request: what clients counted, what the workers counted, what Prometheus scraped."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import urllib.parse
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.ports import free_port

TEXT = """\
routes:
  iris:
    stable: v1
    override: {{header: X-Model-Version}}
    sticky: {{header: X-User-Id}}
    prediction:
      label: /predictions/0
      labels: [setosa, versicolor, virginica]
      score: /probabilities/0
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 30}}
      v3: {{url: "{v3}"}}
"""

ROWS = ([5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 4.1, 1.2], [6.3, 3.3, 6.0, 2.5])

PROMETHEUS = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: gateway
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_prometheus_and_workers_agree_with_the_client_to_the_request(
    system: Any, until: Callable[..., Any]
) -> None:
    urls = {version: system.worker("iris", version) for version in ("v1", "v2", "v3")}
    served = system.gateway(TEXT.format(**urls))
    prometheus = start_prometheus(system, served.admin_port, until)

    seen, labels = load(served.data_port, 2000)

    def counted(query: str) -> Counter[tuple[str, ...]]:
        found: Counter[tuple[str, ...]] = Counter()
        for row in prometheus(query):
            metric = row["metric"]
            key = tuple(
                metric[name]
                for name in ("version", "assignment", "code", "label")
                if name in metric
            )
            if float(row["value"][1]):
                found[key] = int(float(row["value"][1]))
        return found

    until(lambda: counted("canary_requests_total") == seen, "requests agree")
    until(lambda: counted("canary_predictions_total") == labels, "predictions agree")
    for version, url in urls.items():
        stats = json.loads(fetch(url, "/stats"))
        answered = {label: number for label, number in stats["predictions"].items() if number}
        assert answered == {
            label: number for (one, label), number in labels.items() if one == version
        }
    total = prometheus("sum(canary_request_duration_seconds_count)")[0]["value"][1]
    assert int(float(total)) == seen.total()
    scores = prometheus("sum(canary_prediction_score_count)")[0]["value"][1]
    assert int(float(scores)) == labels.total()


def load(port: int, number: int) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """Requests of all kinds over one connection; what came back by version."""
    draw = random.Random(7)
    seen: Counter[tuple[str, ...]] = Counter()
    labels: Counter[tuple[str, ...]] = Counter()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for index in range(number):
        headers = {}
        if index % 3 == 0:
            headers["X-User-Id"] = f"user-{draw.randrange(300)}"
        if index % 50 == 0:
            headers["X-Model-Version"] = "v3"
        instances = [draw.choice(ROWS)] if index % 97 else "not rows"
        client.request("POST", "/predict", json.dumps({"instances": instances}), headers)
        answer = client.getresponse()
        document = json.loads(answer.read())
        version = answer.headers["X-Model-Version"]
        seen[version, answer.headers["X-Assignment"], str(answer.status)] += 1
        if answer.status == 200:
            labels[version, document["predictions"][0]] += 1
    client.close()
    return seen, labels


def fetch(url: str, path: str) -> bytes:
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    client.request("GET", path)
    body = client.getresponse().read()
    client.close()
    return body


def start_prometheus(
    system: Any, admin_port: int, until: Callable[..., Any]
) -> Callable[[str], list[dict[str, Any]]]:
    """A real one that scrapes the gateway each second; a function that queries it."""
    port = free_port()
    config = system.folder / "prometheus.yml"
    config.write_text(PROMETHEUS.format(port=admin_port))
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={system.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    system.running.append(process)

    def query(expression: str) -> list[dict[str, Any]]:
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            document = json.loads(fetch(f"http://127.0.0.1:{port}", path))
        except (OSError, http.client.HTTPException, ValueError):
            return []
        return list(document["data"]["result"])

    until(lambda: query("up == 1"), "Prometheus has scraped the gateway")
    return query
