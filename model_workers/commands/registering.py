"""``model-worker register``, ``lineage`` and ``versions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .saying import REGISTRY, JsonOption, ModelOption, RegistryOption, done, known_model, refuse


def register(
    model: ModelOption,
    version: Annotated[str, typer.Option(help="Its name, for ever.")],
    artefact: Annotated[Path, typer.Option(metavar="FILE")],
    gate: Annotated[Path | None, typer.Option(metavar="FILE", help="Passed.")] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: evaluation.json beside the gate."),
    ] = None,
    without_gate: Annotated[
        str, typer.Option(metavar="REASON", help="For the first version of a model; recorded.")
    ] = "",
    by: Annotated[str, typer.Option(help="Who. Default: the user.")] = "",
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
) -> None:
    """Put an artefact into the folder of versions, where it never changes.

    Exit code: 0 registered, or the same is there already; 1 refused; 2 wrong use.
    """
    from ..registry import candidates, judging
    from ..registry.files import CannotUse, whoever

    known_model(model)
    if (gate is None) == (not without_gate):
        raise typer.BadParameter("say --gate FILE, or --without-gate REASON")
    try:
        found = candidates.look(model, artefact)
        papers = judging.Papers(gate, evaluation, without_gate)
        new = judging.register(registry, found, model, version, papers, by or whoever())
    except CannotUse as error:
        refuse(f"refused: {error}", as_json=as_json)
    path = registry / model / version
    sentence = f"{path}: {'registered' if new else 'there already'}, sha256 {found.digest[:16]}"
    document = {"path": str(path), "new": new, "artefact": found.digest}
    done(sentence, document, as_json=as_json)


def lineage(
    version: Annotated[str, typer.Argument(metavar="VERSION")],
    model: ModelOption,
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
) -> None:
    """Print which data, code, seed and gate made a version, and whether it is still unchanged.

    Exit code: 0 told, 1 there is no such version or it was changed, 2 wrong use.
    """
    from ..registry import judging, versions
    from ..registry.files import CannotUse
    from ..registry.lineage import lineage as told_of

    known_model(model)
    try:
        found, files = versions.verified(registry, model, version)
        where = str(registry / model / version)
        content = files.get(versions.GATE)
        gate = judging.gate_in(content, where) if content is not None else None
    except CannotUse as error:
        refuse(str(error), as_json=as_json)
    lines = told_of(found, gate, f"all {len(files)} files are as they were registered")
    before = ""
    told = []
    for word, text in lines:
        told.append(f"{'' if word == before else word:<14}{text}")
        before = word
    document = {"version": found, "gate": gate, "verified": True}
    done("\n".join(told), document, as_json=as_json)


def versions(
    model: ModelOption,
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a model, the oldest first.

    Exit code: 0 listed, 1 one of them was changed or cannot be read, 2 wrong use.
    """
    from ..registry import judging
    from ..registry import versions as folder
    from ..registry.files import CannotUse

    known_model(model)
    told, broken, documents = [], [], []
    for name in folder.names(registry, model):
        try:
            found, files = folder.verified(registry, model, name)
            content = files.get(folder.GATE)
            said = judging.gate_in(content, name).sentence if content else found.without_gate
        except CannotUse as error:
            broken.append(str(error))
            continue
        documents.append(found)
        gate = said if content else f"without gate: {said}"
        told.append(
            (found.registered_at, f"{name:<16}{found.registered_at}  {found.recipe:<10}  {gate}")
        )
    lines = [line for _, line in sorted(told)]
    if not lines and not broken:
        lines = [f"{model} has no versions in {registry}"]
    if broken:
        refuse("\n".join([*lines, *broken]), {"versions": documents}, as_json=as_json)
    done("\n".join(lines), {"versions": documents}, as_json=as_json)
