"""From two artefacts and a snapshot to an evaluation, from that to a gate, from both to a version:
the files in between, each of which names the others by their digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ..contract.contract import Classes, Contract
from ..contract.fingerprint import fingerprint
from ..models.catalogue import data, model_of
from ..models.model import Data
from ..predictors.trained import TrainedPredictor
from ..revision import code_version
from . import candidates, evaluation, gate, versions
from .candidates import Candidate, pretty, recipe_of
from .evaluation import Evaluation, Rows, Said, Side, compared
from .files import CannotUse, Clock, content_of, digest_of, now, stamp
from .gate import Gate, Judgement, Thresholds, decide, misfit
from .manifest import Registered
from .rows import canonical, distinct, is_held_out
from .shots import Shot


def named(model: str, name: str, registry: Path | None) -> Candidate:
    """An artefact by its file (with a ``/`` or ending ``.skops``), else a version of the registry.
    Raises CannotUse.
    """
    if "/" in name or name.endswith(".skops"):
        return candidates.look(model, Path(name))
    if registry is None:
        raise CannotUse(f"{name!r} is a version; say --registry DIR, or name a file ending .skops")
    _, content = versions.usable(registry, model, name)
    path = registry / model / name / versions.ARTEFACT
    return replace(candidates.opened(model, content, path), name=name)


def evaluate(
    model: str, candidate: Candidate, production: Candidate, shot: Shot, clock: Clock = now
) -> Evaluation:
    """Both models on the rows that neither learned from, each distinct row once. Raises CannotUse
    if there are none.
    """
    contract = model_of(model).contract
    rows, about = _unseen(contract, candidate, production, shot)
    return Evaluation(
        evaluation=evaluation.FORMAT,
        model=model,
        contract=fingerprint(contract),
        made_at=stamp(clock),
        code_version=code_version(),
        rows=about,
        candidate=_side(model, candidate),
        production=_side(model, production),
        results=tuple(
            compared(
                contract, rows, _said(candidate.predictor, rows), _said(production.predictor, rows)
            )
        ),
    )


def judge(path: Path, asked: Thresholds, clock: Clock = now) -> Gate:
    """The gate's record of an evaluation's file, passed or not. Raises CannotUse."""
    content = content_of(path)
    found = _evaluation(content, path)
    if said := misfit(found, asked):
        raise CannotUse(f"{path} has {said}")
    passed, sentence, judged = decide(found, asked)
    return _record(found, digest_of(content), asked, stamp(clock), (passed, sentence, judged))


@dataclass(frozen=True, slots=True)
class Papers:
    """What a version is registered on: a passed gate and its evaluation; or why there is none."""

    gate: Path | None = None
    evaluation: Path | None = None
    without_gate: str = ""


def register(
    registry: Path,
    candidate: Candidate,
    model: str,
    version: str,
    papers: Papers,
    by: str,
    clock: Clock = now,
) -> bool:
    """Put a version into the folder; False if the same is there. Raises CannotUse."""
    versions.check_name(version)
    files = {versions.ARTEFACT: candidate.content}
    if papers.gate is not None:
        files |= _checked(candidate, model, papers.gate, papers.evaluation)
    provenance, beside = candidate.note.provenance, candidate.beside
    manifest = Registered(
        model=model,
        version=version,
        recipe=recipe_of(model, candidate.note),
        artefact=candidate.digest,
        contract=fingerprint(model_of(model).contract),
        registered_at=stamp(clock),
        registered_by=by,
        trained_at=beside.trained_at if beside else "",
        without_gate=papers.without_gate,
        provenance=provenance,
        data=beside.data if beside and provenance else None,
    )
    return versions.add(registry, model, version, files | {versions.MANIFEST: pretty(manifest)})


def gate_in(content: bytes, where: str) -> Gate:
    """The record of a gate; raises CannotUse."""
    try:
        return msgspec.json.decode(content, type=Gate)
    except msgspec.MsgspecError as error:
        raise CannotUse(
            f"{where} is no gate ({error}); write it with 'model-worker gate'"
        ) from None


def _checked(candidate: Candidate, model: str, path: Path, beside: Path | None) -> dict[str, bytes]:
    """Gate and evaluation, after what the gate says was worked out once more from the numbers."""
    content = content_of(path)
    found = gate_in(content, str(path))
    place = beside or path.with_name(versions.EVALUATION)
    judged = content_of(place)
    if digest_of(judged) != found.evaluation:
        raise CannotUse(f"{path} is of another evaluation than {place}; run the gate on it")
    outcome = decide(_evaluation(judged, place), found.thresholds)
    again = _record(
        _evaluation(judged, place), found.evaluation, found.thresholds, found.made_at, outcome
    )
    if _said_by(again) != _said_by(found):
        raise CannotUse(f"{path} does not say what its evaluation gives; run the gate once more")
    if not found.passed:
        raise CannotUse(f"{path} was not passed: {found.sentence}")
    if (found.model, found.candidate) != (model, candidate.digest):
        raise CannotUse(
            f"{path} is for another artefact ({found.model}, {found.candidate[:12]}); this one is "
            f"{model}, {candidate.digest[:12]}: evaluate this one"
        )
    return {versions.GATE: content, versions.EVALUATION: judged}


def _said_by(found: Gate) -> dict[str, object]:
    """All but the last bits of figures, which another machine may work out otherwise."""
    built: dict[str, object] = msgspec.to_builtins(found)
    return built | {"outputs": [(one.output, one.passed, one.sentence) for one in found.outputs]}


def _record(
    found: Evaluation,
    digest: str,
    asked: Thresholds,
    made_at: str,
    outcome: tuple[bool, str, tuple[Judgement, ...]],
) -> Gate:
    passed, sentence, judged = outcome
    return Gate(
        gate=gate.FORMAT,
        model=found.model,
        passed=passed,
        sentence=sentence,
        made_at=made_at,
        evaluation=digest,
        candidate=found.candidate.artefact,
        production=found.production.artefact,
        production_name=found.production.name,
        thresholds=asked,
        outputs=judged,
    )


def _evaluation(content: bytes, path: Path) -> Evaluation:
    try:
        return msgspec.json.decode(content, type=Evaluation)
    except msgspec.MsgspecError as error:
        raise CannotUse(
            f"{path} is no evaluation ({error}); write it with 'model-worker evaluate'"
        ) from None


def _unseen(
    contract: Contract, candidate: Candidate, production: Candidate, shot: Shot
) -> tuple[Data, Rows]:
    """Rows that no model learned from: below the smallest share that was held out; and for one that
    was trained from no snapshot none that is bundled.
    """
    known = [one.note.provenance for one in (candidate, production)]
    own = shot.snapshot.head.holdout
    share = min([own, *(how.holdout for how in known if how is not None)])
    counts = shot.snapshot.side(held_out=True, share=share)
    if None in known:
        bundled = {canonical(row) for row in data(contract.model).rows}
        for one in [one for one in counts if one.row in bundled]:
            del counts[one]
    there = {one.row for one in shot.snapshot.counts if is_held_out(contract.model, one.row, own)}
    rows = distinct(contract, counts)
    if not rows.rows:
        sides = ", ".join(
            f"{name} {_kept(one)}"
            for name, one in (("candidate", candidate), ("production", production))
        )
        raise CannotUse(
            f"none of the {len(there)} held-out rows of {shot.path} is new to both models "
            f"({sides}); train both from snapshots with --holdout"
        )
    return rows, Rows(
        snapshot=shot.snapshot.digest,
        labels_are=shot.snapshot.head.labels,
        share=share,
        held_out=len(rows.rows),
        copies=counts.total() - len(rows.rows),
        left_out=len(there) - len(rows.rows),
    )


def _kept(found: Candidate) -> str:
    how = found.note.provenance
    if how is None:
        return f"{found.name} learned from all bundled rows"
    return f"{found.name} held out {100 * how.holdout:g} %"


def _side(model: str, found: Candidate) -> Side:
    how = found.note.provenance
    name, recipe = found.name, recipe_of(model, found.note)
    if how is None:
        return Side(name=name, artefact=found.digest, recipe=recipe)
    return Side(
        name=name,
        artefact=found.digest,
        recipe=recipe,
        snapshot=how.snapshot,
        holdout=how.holdout,
        labels_are=how.labels_are,
    )


def _said(predictor: TrainedPredictor, rows: Data) -> Said:
    """The answers, by the path of the requests, and the probabilities of the right labels."""
    matrix = predictor.preparation.matrix(rows.rows)
    certainties: list[Sequence[float] | None] = []
    outputs = predictor.contract.outputs
    for at, (scorer, output) in enumerate(zip(predictor.scorers, outputs, strict=True)):
        if isinstance(output, Classes):
            right = [output.labels.index(str(one)) for one in rows.answers[at]]
            table = scorer.score(matrix)
            certainties.append([row[place] for row, place in zip(table, right, strict=True)])
        else:
            certainties.append(None)
    return Said(predictor.predict(rows.rows).predictions, tuple(certainties))
