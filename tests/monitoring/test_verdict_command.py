"""`canary verdict`: what people and programs are told of a candidate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.model import generation_of
from monitoring import cli
from tests.sockets.peers import Worker, answering

TEXT = """\
routes:
  iris:
    stable: v1
    prediction: {label: /predictions/0}
    analysis: {errors: {max_increase: 1%}, predictions: {max_shift: 2%}}
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
"""
Run = Callable[..., tuple[int, str, str]]


def evidence(bad: int) -> bytes:
    answers = {"setosa": 500, "virginica": 500}
    versions = {
        "v1": {"role": "stable", "weight": 9000, "assigned": 9000, "bad": 9, "labels": answers},
        "v2": {
            "role": "candidate",
            "weight": 1000,
            "assigned": 1000,
            "bad": bad,
            "labels": answers,
        },
    }
    name = generation_of(TEXT.encode())
    told = [{"generation": name, "since": 1.5, "routes": {"iris": versions}}]
    return json.dumps({"generation": name, "generations": told}).encode()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    monkeypatch.setenv("CANARY_FILE", str(file))
    monkeypatch.setenv("COLUMNS", "200")

    def command(body: bytes, *arguments: str) -> tuple[int, str, str]:
        with closing(Worker(answering(body=body))) as admin:
            words = ["canary", "verdict", *arguments, "--admin", admin.url]
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def test_people_get_a_sentence_and_a_line_for_each_signal(run: Run) -> None:
    code, out, _ = run(evidence(bad=9))

    assert code == 0
    assert "iris v2: Inconclusive" in out
    assert "not proven worse: 9 bad of 1,000 (0.90 %) against 9 bad of 9,000 (0.10 %)" in out
    assert "not proven good yet: errors: too few samples" in out
    for signal in ("errors", "labels", "split"):
        assert f"\n  {signal} " in out
    assert "of 100" in out


def test_programs_get_all_numbers(run: Run) -> None:
    code, out, _ = run(evidence(bad=300), "iris", "--json")
    (verdict,) = json.loads(out)

    assert code == 0
    assert (verdict["route"], verdict["version"], verdict["kind"]) == ("iris", "v2", "Failed")
    assert (verdict["leading"], verdict["reasons"]) == ("errors", ["errors"])
    assert verdict["evidence"] > verdict["limit"] == 100
    assert verdict["candidate"]["bad"] == 300
    assert [one["signal"] for one in verdict["findings"]] == ["errors", "labels", "split"]


def test_another_file_than_the_gateways_is_wrong_use(run: Run) -> None:
    code, _, err = run(b'{"generation": "elsewhere", "generations": []}')

    assert code == 2
    assert "the gateway serves elsewhere" in err


def test_a_route_that_is_not_there_is_wrong_use(run: Run) -> None:
    code, _, err = run(evidence(bad=0), "wine")

    assert code == 2
    assert "there is no route 'wine'" in err
