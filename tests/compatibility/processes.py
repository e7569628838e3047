"""Foreign servers and a real ``canary serve`` in front of them, as processes that end with us."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.compatibility.environments import ROOT

T = TypeVar("T")
PATIENCE = 180.0  # seconds until something counts as hung: foreign servers take long to start
SAMPLE = re.compile(r"^(canary_\w+)\{(.*)\} (\S+)$")


class Broken(Exception):
    """It did not start, or did not answer; with what it said."""


def get(url: str) -> tuple[int, str]:
    """Status (0: nobody answers) and body."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except (OSError, ValueError):
        return 0, ""


@dataclass
class Stage:
    """Processes whose output lies in a folder; all end with the stage."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Stage:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self.running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)  # its children, too
            for process in self.running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(15)

    def start(
        self, name: str, words: Sequence[object], more: Mapping[str, str] | None = None
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(word) for word in words],
                cwd=self.folder,
                env={**os.environ, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process, log

    def until(self, found: Callable[[], T], process: subprocess.Popen[bytes], log: Path) -> T:
        """The first true value; raises :class:`Broken` if the process ends before that."""
        deadline = time.monotonic() + PATIENCE
        while not (value := found()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"{log.stem} did not start: {last_words(log)}")
            time.sleep(0.1)
        return value

    def gateway(self, text: str) -> Gateway:
        """A ``canary serve`` on a file of its own."""
        file = self.folder / "routing.yaml"
        file.write_text(text)
        words = [sys.executable, "-m", "monitoring", "serve", file, "--no-controller"]
        words += ["--no-console", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        process, log = self.start("gateway", words, {"PYTHONPATH": str(ROOT)})

        def said() -> Any:
            lines = [line for line in log.read_text().splitlines() if '"serving"' in line]
            return json.loads(lines[0]) if lines else None

        where = self.until(said, process, log)
        return Gateway(where["data"], where["admin"])


def last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "without a word"


@dataclass(frozen=True)
class Seen:
    """What a gateway has counted so far."""

    assigned: Counter[str]  # answers by version, of requests that a draw assigned
    failed: Counter[str]  # by version and reason
    left: int  # requests whose client left
    labels: Counter[str]
    missing: Counter[str]  # by reason
    values: int  # numbers read beside labels

    def since(self, before: Seen) -> Seen:
        return Seen(
            self.assigned - before.assigned,
            self.failed - before.failed,
            self.left - before.left,
            self.labels - before.labels,
            self.missing - before.missing,
            self.values - before.values,
        )


@dataclass(frozen=True)
class Gateway:
    url: str
    admin: str

    def seen(self) -> Seen:
        seen = Seen(Counter(), Counter(), 0, Counter(), Counter(), 0)
        left = values = 0
        for line in get(f"{self.admin}/metrics")[1].splitlines():
            found = SAMPLE.match(line)
            if not found or float(found[3]) == 0:
                continue
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
            number = int(float(found[3]))
            match found[1]:
                case "canary_requests_total":
                    if labels["assignment"] == "weighted":
                        seen.assigned[labels["version"]] += number
                    left += number if labels["code"] == "499" else 0
                case "canary_request_errors_total":
                    seen.failed[f"{labels['version']} {labels['reason']}"] += number
                case "canary_predictions_total":
                    seen.labels[labels["label"]] += number
                case "canary_prediction_missing_total":
                    seen.missing[labels["reason"]] += number
                case "canary_prediction_value_count":
                    values += number
        return Seen(seen.assigned, seen.failed, left, seen.labels, seen.missing, values)
