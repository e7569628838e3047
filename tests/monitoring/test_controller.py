"""The loop: it acts by editing the file, on evidence about that file, and never on none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config import parse
from gateway.model import generation_of
from monitoring import history
from monitoring.controller import Controller
from monitoring.judge import Kind
from monitoring.sources import SourceError

TEXT = """\
# who may touch this: the on-call
routes:
  iris:
    stable: v1
    analysis: {max_false_rollback: 1%}
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # the new one
"""


class FixedSource:
    """Evidence as given; None: nobody answers."""

    def __init__(self, document: Mapping[str, Any] | None) -> None:
        self.document = document

    def evidence(self) -> Mapping[str, Any]:
        if self.document is None:
            raise SourceError("nobody answers")
        return self.document


def evidence(text: str, *, assigned: int, bad: int) -> dict[str, Any]:
    """What a gateway that serves ``text`` would say."""
    generation = generation_of(text.encode())
    versions = {
        "v1": {"role": "stable", "weight": 9000, "assigned": 900, "bad": 1},
        "v2": {"role": "candidate", "weight": 1000, "assigned": assigned, "bad": bad},
    }
    rows = [{"generation": generation, "routes": {"iris": versions}}]
    return {"generation": generation, "generations": rows}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


def test_a_failed_candidate_is_taken_out_by_one_edited_number(file: Path) -> None:
    source = FixedSource(evidence(TEXT, assigned=100, bad=30))

    (judgement,) = Controller(file, source, clock=lambda: 0.0).tick()

    assert judgement.verdict.kind is Kind.FAILED
    assert file.read_text() == TEXT.replace("weight: 10}", "weight: 0}")
    (entry,) = history.read(file, generation_of(file.read_bytes()))
    assert (entry.by, entry.action, entry.route, entry.version) == (
        "controller",
        "rollback",
        "iris",
        "v2",
    )
    assert entry.reason == judgement.verdict.sentence
    assert entry.at == "1970-01-01T00:00:00.000Z"


def test_a_second_tick_leaves_a_candidate_at_zero_alone(file: Path) -> None:
    controller = Controller(file, FixedSource(evidence(TEXT, assigned=100, bad=30)))
    controller.tick()
    after = file.read_bytes()

    assert controller.tick() == []
    assert file.read_bytes() == after


def test_a_healthy_candidate_is_left_alone(file: Path) -> None:
    (judgement,) = Controller(file, FixedSource(evidence(TEXT, assigned=100, bad=0))).tick()

    assert judgement.verdict.kind is Kind.INCONCLUSIVE
    assert file.read_text() == TEXT


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"generation": "x", "generations": []},
        {"generation": generation_of(TEXT.encode()), "generations": [{}]},
    ],
    ids=["nobody answers", "nothing", "another generation", "another shape"],
)
def test_no_evidence_is_no_reason_to_act(file: Path, document: dict[str, Any] | None) -> None:
    assert Controller(file, FixedSource(document)).tick() == []
    assert file.read_text() == TEXT


def test_evidence_about_an_older_file_is_not_held_against_the_new_one(file: Path) -> None:
    source = FixedSource(evidence(TEXT, assigned=100, bad=100))
    newer = TEXT.replace("weight: 10}", "weight: 20}")
    file.write_text(newer)

    assert Controller(file, source).tick() == []
    assert file.read_text() == newer


def test_a_file_that_changes_between_verdict_and_edit_is_left_to_who_changed_it(file: Path) -> None:
    newer = TEXT.replace("weight: 10}", "weight: 20}")

    class Meddling(FixedSource):
        def evidence(self) -> Mapping[str, Any]:
            file.write_text(newer)
            return super().evidence()

    Controller(file, Meddling(evidence(TEXT, assigned=100, bad=100))).tick()

    assert file.read_text() == newer


def test_a_gateway_that_goes_on_serving_another_file_is_told_of(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = evidence(TEXT + "# another\n", assigned=100, bad=0)
    source = FixedSource(elsewhere)
    controller = Controller(file, source)
    for _ in range(4):
        controller.tick()
    soon = capsys.readouterr().err
    for _ in range(4):
        controller.tick()
    later = capsys.readouterr().err
    source.document = evidence(TEXT, assigned=100, bad=0)
    controller.tick()

    assert soon == ""
    assert later.count("no judgement") == 1
    assert f"the gateway serves {elsewhere['generation']}" in later
    assert "judging again" in capsys.readouterr().err


def test_a_route_without_analysis_is_not_judged(file: Path) -> None:
    text = TEXT.replace("    analysis: {max_false_rollback: 1%}\n", "")
    file.write_text(text)

    assert Controller(file, FixedSource(evidence(text, assigned=100, bad=100))).tick() == []
    assert file.read_text() == text


@pytest.mark.parametrize("word", ["alert", "pause"])
def test_a_candidate_that_is_only_watched_is_not_taken_out(file: Path, word: str) -> None:
    rollout = (
        f"    rollout: {{candidate: v2, steps: [{{weight: 10, pause: 1h}}], on_failure: {word}}}\n"
    )
    text = TEXT.replace("    versions:", rollout + "    versions:")
    file.write_text(text)
    assert parse(text.encode()).route("iris").rollout is not None

    (judgement,) = Controller(file, FixedSource(evidence(text, assigned=100, bad=100))).tick()

    assert judgement.verdict.kind is Kind.FAILED
    assert file.read_text() == text


@pytest.mark.parametrize("content", [b"", b"routes: [", b"\xff"])
def test_a_broken_file_is_not_judged_and_not_touched(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert Controller(file, FixedSource(evidence(TEXT, assigned=9, bad=9))).tick() == []
    assert file.read_bytes() == content
