"""The loop: it acts by editing the file, on evidence about that file, and never on none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config import parse
from gateway.model import RoutingConfig, generation_of
from monitoring.analysis.verdict import Kind
from monitoring.controller import loop
from monitoring.history import changes
from monitoring.metrics.collector import Metrics
from monitoring.readings.sources import SourceError
from monitoring.rollout.rules import Action
from tests.controllers import make_controller

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

    silent = ()

    def __init__(self, document: Mapping[str, Any] | None) -> None:
        self.document = document

    def evidence(self) -> list[Mapping[str, Any]]:
        if self.document is None:
            raise SourceError("nobody answers")
        return [self.document]


def evidence(text: str, *, assigned: int, bad: int, since: float = 0.0) -> dict[str, Any]:
    """What a gateway that serves ``text`` would say."""
    generation = generation_of(text.encode())
    versions = {
        "v1": {"role": "stable", "weight": 9000, "assigned": 9 * assigned, "bad": 0},
        "v2": {"role": "candidate", "weight": 1000, "assigned": assigned, "bad": bad},
    }
    rows = [{"generation": generation, "since": since, "routes": {"iris": versions}}]
    return {"generation": generation, "generations": rows}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


def test_a_failed_candidate_is_taken_out_by_one_edited_number(file: Path) -> None:
    source = FixedSource(evidence(TEXT, assigned=100, bad=30))

    (judgement,) = make_controller(file, source, clock=lambda: 0.0).tick()

    assert judgement.verdict.kind is Kind.FAILED
    assert file.read_text() == TEXT.replace("weight: 10}", "weight: 0}")
    (entry,) = changes.read(file, generation_of(file.read_bytes()))
    assert (entry.by, entry.action, entry.route, entry.version) == (
        "controller",
        "rollback",
        "iris",
        "v2",
    )
    assert entry.reason == judgement.verdict.sentence
    assert entry.at == "1970-01-01T00:00:00.000Z"


def test_a_second_tick_leaves_a_candidate_at_zero_alone(file: Path) -> None:
    controller = make_controller(file, FixedSource(evidence(TEXT, assigned=100, bad=30)))
    controller.tick()
    after = file.read_bytes()

    assert controller.tick() == []
    assert file.read_bytes() == after


def test_a_healthy_candidate_is_left_alone(file: Path) -> None:
    (judgement,) = make_controller(file, FixedSource(evidence(TEXT, assigned=100, bad=0))).tick()

    assert judgement.verdict.kind is Kind.INCONCLUSIVE
    assert file.read_text() == TEXT


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"generation": "x", "generations": []},
    ],
    ids=["nobody answers", "nothing", "another generation"],
)
def test_no_evidence_is_no_reason_to_act(file: Path, document: dict[str, Any] | None) -> None:
    assert make_controller(file, FixedSource(document)).tick() == []
    assert file.read_text() == TEXT


def test_evidence_of_another_shape_is_an_error_and_no_reason_to_act(file: Path) -> None:
    odd = {"generation": generation_of(TEXT.encode()), "generations": [{}]}
    (judgement,) = make_controller(file, FixedSource(odd)).tick()

    assert judgement.verdict.kind is Kind.ERROR
    assert file.read_text() == TEXT


def test_evidence_about_an_older_file_is_not_held_against_the_new_one(file: Path) -> None:
    source = FixedSource(evidence(TEXT, assigned=100, bad=100))
    newer = TEXT.replace("weight: 10}", "weight: 20}")
    file.write_text(newer)

    assert make_controller(file, source).tick() == []
    assert file.read_text() == newer


def test_a_file_that_changes_between_verdict_and_edit_is_left_to_who_changed_it(file: Path) -> None:
    newer = TEXT.replace("weight: 10}", "weight: 20}")

    class Meddling(FixedSource):
        def evidence(self) -> list[Mapping[str, Any]]:
            file.write_text(newer)
            return super().evidence()

    make_controller(file, Meddling(evidence(TEXT, assigned=100, bad=100))).tick()

    assert file.read_text() == newer


def test_a_gateway_that_goes_on_serving_another_file_is_told_of(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = evidence(TEXT + "# another\n", assigned=100, bad=0)
    source = FixedSource(elsewhere)
    controller = make_controller(file, source)
    for _ in range(4):
        controller.tick()
    soon = capsys.readouterr().err
    for _ in range(4):
        controller.tick()
    later = capsys.readouterr().err
    source.document = evidence(TEXT, assigned=100, bad=0)
    controller.tick()

    assert soon == ""
    assert later.count("in trouble") == 1
    assert f"the gateway serves {elsewhere['generation']}" in later
    assert "out of trouble" in capsys.readouterr().err


def test_a_route_without_analysis_is_not_judged(file: Path) -> None:
    text = TEXT.replace("    analysis: {max_false_rollback: 1%}\n", "")
    file.write_text(text)

    assert make_controller(file, FixedSource(evidence(text, assigned=100, bad=100))).tick() == []
    assert file.read_text() == text


@pytest.mark.parametrize("word", ["alert", "pause"])
def test_a_candidate_that_is_only_watched_is_not_taken_out(file: Path, word: str) -> None:
    rollout = (
        f"    rollout: {{candidate: v2, steps: [{{weight: 10, pause: 1h}}], on_failure: {word}}}\n"
    )
    text = TEXT.replace("    versions:", rollout + "    versions:")
    file.write_text(text)

    (judgement,) = make_controller(file, FixedSource(evidence(text, assigned=100, bad=100))).tick()

    assert judgement.verdict.kind is Kind.FAILED
    paused = text.replace("on_failure: pause}", "on_failure: pause, paused: true}")
    assert file.read_text() == paused


@pytest.mark.parametrize("content", [b"", b"routes: [", b"\xff"])
def test_a_broken_file_is_not_judged_and_not_touched(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert make_controller(file, FixedSource(evidence(TEXT, assigned=9, bad=9))).tick() == []
    assert file.read_bytes() == content


# --- no data is no reason


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-5", "1e400", "null"])
@pytest.mark.parametrize("key", ["assigned", "bad", "weight"])
def test_numbers_that_are_none_are_told_of_and_change_nothing(
    file: Path, key: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the loop goes on: the next good answer of the source is judged."""
    source = FixedSource(evidence(TEXT, assigned=100, bad=100))
    good, broken = source.document, evidence(TEXT, assigned=100, bad=100)
    broken["generations"][0]["routes"]["iris"]["v2"][key] = json.loads(number)
    source.document = broken
    controller = make_controller(file, source)

    for _ in range(3):
        (judgement,) = controller.tick()

        assert judgement.verdict.kind is Kind.ERROR
    assert file.read_text() == TEXT
    assert capsys.readouterr().err.count("Error") == 1
    source.document = good
    assert controller.tick()[0].action is Action.ROLLBACK


def test_no_traffic_is_inconclusive_however_long(file: Path) -> None:
    controller = make_controller(file, FixedSource(evidence(TEXT, assigned=0, bad=0)))
    for _ in range(100):
        (judgement,) = controller.tick()

        assert judgement.verdict.kind is Kind.INCONCLUSIVE
        assert "no request yet" in judgement.verdict.sentence
    assert file.read_text() == TEXT


def test_a_gateway_that_restarts_does_not_take_its_evidence_with_it(file: Path) -> None:
    """What was made of its counts stays, and what it counts from then on is added."""
    source = FixedSource(None)
    controller = make_controller(file, source)
    for start, (assigned, bad) in enumerate(((100, 1), (0, 0), (100, 0), (0, 0), (100, 1))):
        source.document = evidence(TEXT, assigned=assigned, bad=bad, since=start)
        (judgement,) = controller.tick()

        assert judgement.verdict.kind is Kind.INCONCLUSIVE
    assert (judgement.verdict.candidate.assigned, judgement.verdict.candidate.bad) == (300, 2)
    assert file.read_text() == TEXT


def test_counts_that_become_smaller_without_a_restart_are_an_error(file: Path) -> None:
    source = FixedSource(evidence(TEXT, assigned=100, bad=1))
    controller = make_controller(file, source)
    controller.tick()
    source.document = evidence(TEXT, assigned=90, bad=1)
    (judgement,) = controller.tick()

    assert judgement.verdict.kind is Kind.ERROR
    assert "began anew" in judgement.verdict.sentence


def test_evidence_that_ends_in_the_middle_of_a_rollback_is_not_needed_any_more(file: Path) -> None:
    """The edit is the rollback: a gateway that is gone just then finds it when it is back."""
    source = FixedSource(evidence(TEXT, assigned=100, bad=30))
    controller = make_controller(file, source)
    controller.tick()
    after = file.read_text()
    source.document = None
    for _ in range(3):
        assert controller.tick() == []
    source.document = evidence(after, assigned=0, bad=0)

    assert controller.tick() == []
    assert parse(file.read_bytes()).route("iris").weight("v2") == 0


def test_who_starts_a_candidate_again_is_not_overruled_by_old_evidence(file: Path) -> None:
    source = FixedSource(evidence(TEXT, assigned=100, bad=30))
    controller = make_controller(file, source)
    controller.tick()
    again = file.read_text().replace("weight: 0}", "weight: 5}")
    file.write_text(again)
    rolled_back = {"generation": "at zero", "routes": source.document["generations"][0]["routes"]}
    rolled_back["routes"]["iris"]["v2"] |= {"weight": 0}
    new = evidence(again, assigned=20, bad=0)
    new["generations"].insert(0, rolled_back)
    source.document = new
    (judgement,) = controller.tick()

    assert judgement.verdict.kind is Kind.INCONCLUSIVE
    assert file.read_text() == again


def test_a_file_is_parsed_when_it_has_changed_and_not_at_every_look(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def counted(content: bytes) -> RoutingConfig:
        parsed.append(content)
        return parse(content)

    monkeypatch.setattr(loop, "parse", counted)
    another = TEXT.replace("the new one", "the newest one")
    one = make_controller(file, FixedSource(evidence(TEXT, assigned=100, bad=0)))
    for text in (TEXT, TEXT, another, another, "routes: {}", TEXT, TEXT):
        file.write_text(text)
        one.tick()

    assert [text.decode() for text in parsed] == [TEXT, another, "routes: {}", TEXT]


# --- when it looks


def test_it_looks_each_second_sooner_while_something_speaks_against_a_candidate(
    file: Path,
) -> None:
    source = FixedSource(evidence(TEXT, assigned=1000, bad=0))
    pauses: list[float] = []

    class Ended(Exception):
        """After the third look."""

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        source.document = evidence(TEXT, assigned=1010, bad=2)
        if len(pauses) == 3:
            raise Ended

    with pytest.raises(Ended):
        make_controller(file, source, monotonic=lambda: 0.0).run(sleep=sleep)

    assert pauses == [1.0, 0.5, 0.5]


TWO = """\
routes:
  wine:
    match: {path: /wine}
    stable: v1
    analysis: {max_false_rollback: 1%}
    versions:
      v1: {url: "http://127.0.0.1:8103"}
      v2: {url: "http://127.0.0.1:8104", weight: 10}
""" + TEXT.partition("routes:\n")[2]


def both(text: str, **counted: int) -> dict[str, Any]:
    """The same evidence of both routes."""
    document = evidence(text, **counted)
    routes = document["generations"][0]["routes"]
    routes["wine"] = routes["iris"]
    return document


def test_two_rollbacks_of_one_look_are_both_acknowledged(file: Path) -> None:
    file.write_text(TWO)
    source = FixedSource(both(TWO, assigned=100, bad=100))
    metrics = Metrics("test")
    one = make_controller(file, source, metrics=metrics)
    one.tick()
    source.document = both(file.read_text(), assigned=0, bad=0)
    one.tick()
    text = metrics.render("")[1].decode()

    assert file.read_text() == TWO.replace("weight: 10}", "weight: 0}")
    for route in ("iris", "wine"):
        assert f'canary_rollback_duration_seconds_count{{route="{route}"}} 1.0' in text


def test_while_a_rollback_is_awaited_it_asks_more_often_and_looks_no_sooner(file: Path) -> None:
    """Each look is evidence of its own, where stable answers in the place of a candidate."""
    source = FixedSource(evidence(TEXT, assigned=100, bad=100))
    now, asked = 50.0, []
    metrics = Metrics("test")

    class Ended(Exception):
        """After the second look."""

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        asked.append(round(seconds, 3))
        if len(asked) == 5:
            source.document = evidence(file.read_text(), assigned=0, bad=0)
        if seconds > 0.1:
            raise Ended

    with pytest.raises(Ended):
        make_controller(file, source, metrics=metrics, monotonic=lambda: now).run(sleep=sleep)

    assert asked == [0.05] * 5 + [pytest.approx(0.75)]
    text = metrics.render("")[1].decode()
    assert 'canary_controller_looks_total{outcome="judged"} 1.0' in text
    assert 'canary_rollback_duration_seconds_count{route="iris"} 1.0' in text


def test_drift_and_split_of_the_run_are_told(file: Path) -> None:
    text = TEXT.replace("analysis:", "prediction: {label: /predictions/0}\n    analysis:")
    file.write_text(text)
    document = evidence(text, assigned=1000, bad=0)
    versions = document["generations"][0]["routes"]["iris"]
    versions["v1"] |= {"assigned": 1000, "labels": {"a": 500, "b": 500}}
    versions["v2"] |= {"labels": {"a": 900, "b": 100}}
    metrics = Metrics("test")
    (judgement,) = make_controller(file, FixedSource(document), metrics=metrics).tick()
    text = metrics.render("")[1].decode()
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    drift = 'canary_prediction_drift{route="iris",statistic="psi",version="v2"}'

    assert judgement.verdict.reasons == ("split",)
    # 0.4 ln 1.8 + 0.4 ln 5, with half an answer in each class, less what 1,000 answers fake
    assert float(told[drift]) == pytest.approx(0.875, abs=0.005)
    assert float(told['canary_sample_ratio_pvalue{route="iris"}']) < 0.01
    assert told['canary_sample_ratio_mismatch{route="iris"}'] == "1.0"
