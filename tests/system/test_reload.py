"""Changing the file under load: every save takes effect, nothing is lost, bad is refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXT = """\
routes:
  iris:
    stable: v1
    override: {{header: X-Model-Version}}
    sticky: {{header: X-User-Id}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {weight}}}
"""

BODY = '{"instances":[[5.1,3.5,1.4,0.2]]}'


@pytest.fixture
def served(system: Any) -> Any:
    urls = {"v1": system.worker("iris", "v1"), "v2": system.worker("iris", "v2")}
    served = system.gateway(TEXT.format(weight=10, **urls))
    served.urls = urls
    return served


def text(served: Any, weight: object) -> str:
    return TEXT.format(weight=weight, **served.urls)


def weight(served: Any) -> float:
    return float(served.status()["routes"]["iris"]["versions"]["v2"]["weight"])


def in_place(file: Path, content: str) -> None:
    file.write_text(content)


def rename_over(file: Path, content: str) -> None:
    other = file.with_suffix(".new")
    other.write_text(content)
    os.replace(other, file)


def symlink_swap(file: Path, content: str) -> None:
    """As Kubernetes does for a mounted ConfigMap: a link to a folder of data is replaced."""
    folder = file.parent / f"data-{os.urandom(4).hex()}"
    folder.mkdir()
    (folder / file.name).write_text(content)
    link = file.parent / "..data_tmp"
    link.symlink_to(folder)
    os.replace(link, file.parent / "..data")
    if not file.is_symlink():
        file.unlink()
        file.symlink_to(Path("..data") / file.name)


SAVES = (in_place, rename_over, symlink_swap)


def test_fifty_edits_of_every_kind_under_load_fail_no_request(
    system: Any, served: Any, until: Callable[..., Any]
) -> None:
    script = system.folder / "load.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{BODY}'\n")
    command = ["wrk", "-t1", "-c8", "-d120s", "-s", str(script), f"{served.url}/predict"]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for number in range(50):
            wanted = (number % 49) + 1
            SAVES[number % 3](served.file, text(served, wanted))
            until(lambda wanted=wanted: weight(served) == wanted, f"edit {number} is in force")
    finally:
        load.send_signal(signal.SIGINT)
        report, _ = load.communicate(timeout=60)

    assert "requests in" in report
    assert "Non-2xx" not in report
    assert "Socket errors" not in report
    failed = {
        name: value
        for name, value in served.metrics().items()
        if value and name.startswith(("canary_request_errors_total", "canary_refused"))
    }
    assert failed == {}


def test_after_an_acknowledged_zero_not_one_request_reaches_the_candidate(
    system: Any, served: Any, until: Callable[..., Any]
) -> None:
    script = system.folder / "load.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{BODY}'\n")
    command = ["wrk", "-t1", "-c16", "-d120s", "-s", str(script), f"{served.url}/predict"]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def versions() -> Any:
        return served.status()["routes"]["iris"]["versions"]

    try:
        until(lambda: versions()["v2"]["answered"] > 100, "the candidate is asked")
        rename_over(served.file, text(served, 0))
        status, _ = served.reload()
        until(lambda: versions()["v2"]["in_flight"] == 0, "what was under way has ended")
        after = versions()
        until(
            lambda: versions()["v1"]["answered"] > after["v1"]["answered"] + 1000,
            "a thousand more requests",
        )
        much_later = versions()
    finally:
        load.send_signal(signal.SIGINT)
        load.communicate(timeout=60)

    assert status == 200
    assert much_later["v2"]["answered"] == after["v2"]["answered"]
    assert much_later["v2"]["assigned"] == 0


GOOD = TEXT.format(v1="http://127.0.0.1:1", v2="http://127.0.0.1:2", weight=10)
BROKEN = {
    "empty": b"",
    "truncated": GOOD[: len(GOOD) - 20].encode(),
    "not UTF-8": GOOD.encode() + b"# \xff\xfe\n",
    "UTF-16": GOOD.encode("utf-16"),
    "binary": bytes(range(256)) * 4,
    "wrong type": GOOD.replace("weight: 10", "weight: ten").encode(),
    "a list": b"- routes\n",
    "unknown key": GOOD.replace("weight: 10", "wieght: 10").encode(),
    "duplicate key": GOOD.replace("weight: 10", "weight: 10, weight: 20").encode(),
    "anchor and alias": GOOD.replace("{header: X-User-Id}", "&a {header: X-User-Id}").encode(),
    "tag": GOOD.replace("weight: 10", "weight: !!python/name:os.system 10").encode(),
    "sum over 100": GOOD.replace("weight: 10", "weight: 100.01").encode(),
    "negative": GOOD.replace("weight: 10", "weight: -1").encode(),
    "not a number": GOOD.replace("weight: 10", "weight: .nan").encode(),
    "weight on stable": GOOD.replace(
        '"http://127.0.0.1:1"}', '"http://127.0.0.1:1", weight: 1}'
    ).encode(),
    "no such stable": GOOD.replace("stable: v1", "stable: v9").encode(),
    "foreign scheme": GOOD.replace("http://127.0.0.1:2", "file:///etc/passwd").encode(),
    "two documents": GOOD.encode() + b"---\n" + GOOD.encode(),
    "too large": GOOD.encode() + b"#" * (2 << 20),
    "deep": b"[" * 5000,
}


def test_a_broken_file_changes_nothing_and_says_so(
    served: Any, canary: Callable[..., Any], until: Callable[..., Any]
) -> None:
    generation = served.status()["generation"]
    for name, content in BROKEN.items():
        served.file.write_bytes(content)
        status, document = served.reload()
        checked = canary("check", str(served.file))

        assert status == 400, name
        assert document["generation"] == generation, name
        assert document["problems"], name
        assert checked.returncode == 2, name
        for problem in document["problems"]:
            assert problem.startswith("routing.yaml:"), name
            assert problem.split("routing.yaml:", 1)[1].split(":")[0].isdecimal(), name
        metrics = served.metrics()
        assert metrics["canary_config_last_reload_successful"] == 0, name
        assert metrics[f'canary_config_info{{hash="{generation}"}}'] == 1, name

    served.file.unlink()
    assert served.reload()[0] == 400
    served.file.mkdir()
    assert served.reload()[0] == 400
    shutil.rmtree(served.file)
    os.mkfifo(served.file)
    assert served.reload()[0] == 400
    served.file.unlink()

    served.file.write_text(text(served, 20))
    until(lambda: weight(served) == 20, "a good file is taken again")
    assert served.metrics()["canary_config_last_reload_successful"] == 1


def test_sighup_looks_at_once_and_sigterm_ends_with_zero(
    served: Any, until: Callable[..., Any]
) -> None:
    rename_over(served.file, text(served, 30))
    served.process.send_signal(signal.SIGHUP)
    until(lambda: weight(served) == 30, "the new file is in force")

    served.process.send_signal(signal.SIGTERM)

    assert served.process.wait(40) == 0
