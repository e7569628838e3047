"""How a version came about, told to people. Pure."""

from __future__ import annotations

from .gate import Gate
from .manifest import Registered
from .snapshot import Source


def lineage(found: Registered, gate: Gate | None, checked: str) -> list[tuple[str, str]]:
    """How a version came about, as pairs of a word and what is told of it. ``checked`` is what
    comparing its checksums gave.
    """
    lines = [("model", f"{found.model} {found.version}, recipe {found.recipe}")]
    lines += [("data", text) for text in _data(found)]
    if (how := found.provenance) is not None:
        parameters = ", ".join(f"{name} {value}" for name, value in how.parameters.items())
        lines += [
            (
                "learned from",
                f"{how.rows} rows ({how.distinct} distinct), "
                f"{100 * how.holdout:g} % of all rows held out",
            ),
            ("code", how.code_version),
            ("seed", str(how.seed)),
            ("parameters", parameters),
            ("libraries", ", ".join(f"{name} {value}" for name, value in how.libraries.items())),
        ]
        for output, metrics in how.metrics.items():
            told = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            lines.append(("five folds", f"{output}: {told}"))
        lines.append(("trained", found.trained_at or "when, nobody wrote down"))
    lines += [("gate", text) for text in _gate(found, gate)]
    lines += [
        ("registered", f"{found.registered_at} by {found.registered_by}"),
        ("artefact", f"sha256 {found.artefact}"),
        ("checksums", checked),
    ]
    return lines


def _data(found: Registered) -> list[str]:
    if found.provenance is None:
        return ["bundled with the model: trained from no snapshot"]
    told = [f"snapshot {found.provenance.snapshot}"]
    if found.provenance.labels_are == "predicted":
        told.append("its labels are what a model answered, not what is right")
    if found.data is None:
        return [*told, "its manifest was not there when this version was registered"]
    told.append(f"{found.data.rows} rows ({found.data.distinct} distinct), {found.data.made_at}")
    return told + [_source(source) for source in found.data.sources]


def _source(source: Source) -> str:
    told = f"from {source.kind} {source.name}: {source.rows} rows"
    if source.digest:
        told += f", sha256 {source.digest[:16]}"
    if source.first:
        told += f", {source.first} to {source.last}"
    if source.versions:
        answered = ", ".join(f"{name} {count}" for name, count in source.versions.items())
        told += f", answered by {answered}"
    if source.labels:
        told += f", labels {source.labels}"
    if source.dropped:
        dropped = ", ".join(f"{count} {why}" for why, count in source.dropped.items())
        told += f"; dropped {dropped}"
    return told


def _gate(found: Registered, gate: Gate | None) -> list[str]:
    if gate is None:
        return [f"none: {found.without_gate}"]
    asked = gate.thresholds
    bars = []
    if asked.min_quality:
        bars.append(f"accuracy at least {asked.min_quality:g}")
    if asked.max_error is not None:
        bars.append(f"mean absolute error at most {asked.max_error:g}")
    bars += [
        f"better than {gate.production_name} by more than {asked.min_improvement:g}",
        f"a false pass in at most {100 * asked.false_pass:g} %",
    ]
    judged = f"judged {gate.made_at}, production sha256 {gate.production[:16]}"
    return [gate.sentence, f"asked: {', '.join(bars)}", judged]
