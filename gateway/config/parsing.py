"""The content of ``routing.yaml`` to a :class:`RoutingConfig`, or to everything that is wrong.

Three looks at a file, whose findings are reported together: ``document`` (is it plain YAML),
``schema`` (each key by itself) and ``rules`` (one key and another). A file is taken whole or not
at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, TypeAlias, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway import model
from gateway.config import judgement, schema
from gateway.config.document import Data, Document, Path, kind, read
from gateway.config.quantities import nearest, quoted
from gateway.config.remarks import remarks
from gateway.config.rules import findings
from gateway.errors import ConfigError, Problem
from gateway.model import RoutingConfig, generation_of
from gateway.protocols import Protocol

MAX_PROBLEMS: Final = 100  # nobody reads on; a foreign file may have one in every line

# Keys that are accepted and checked, and the rest of the sentence about them. A key that is acted
# on is deleted here.
_NOT_YET: Final[dict[Path, str]] = {("routes", "*", "mirror"): ""}

# Where the prediction stands in the answers of a protocol.
_PRESETS: Final[dict[Protocol | None, model.Prediction]] = {
    None: model.Prediction(None, None),
    Protocol.PREDICT: model.Prediction("/predictions/0", "/probabilities/0"),
    Protocol.V2: model.Prediction("/outputs/0/data/0", "/outputs/1/data/0"),
    Protocol.SAGEMAKER: model.Prediction("/predictions/0", None),
    Protocol.OPENAI: model.Prediction(
        "/choices/0/finish_reason",
        None,
        value="/usage/completion_tokens",
        bounds=tuple(2.0**k for k in range(14)),  # to 8,192 tokens
    ),
}


Unusable: TypeAlias = Callable[[str], str | None]
"""Says why a file of authorities cannot be used, if it cannot."""


def parse(content: bytes, unusable: Unusable | None = None) -> RoutingConfig:
    """The file as values. Raises :class:`ConfigError` with all problems, in the file's order.

    ``unusable`` judges the other files it names; who only edits it, elsewhere, does not have them.
    """
    document, routing = _checked(content)
    if unusable is not None:
        problems = _authorities(document, unusable)
        if problems:
            raise ConfigError(_in_order(problems))
    return _config(routing, content)


def warnings(content: bytes) -> tuple[Problem, ...]:
    """What a valid file asks for that is not acted on yet, or cannot come. Raises as :func:`parse`
    does.
    """
    document, routing = _checked(content)
    found = [
        document.problem(path, f"'{path[-1]}' is checked but not acted on yet{rest}", at_key=True)
        for pattern, rest in _NOT_YET.items()
        for path in _matching(document.data, pattern)
    ]
    for path, message in remarks(_config(routing, content)):
        found.append(document.problem(_written(path, document.data), message, at_key=True))
    return tuple(sorted(found, key=_place))


# What is wrong.


def _checked(content: bytes) -> tuple[Document, schema.Routing]:
    document = read(content)
    problems = list(document.problems)
    routing = None
    try:
        routing = schema.Routing.model_validate(document.data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if _written(details["loc"], document.data) not in document.holes:
                problems.append(_explained(details, document))
    problems += [
        document.problem(*found)
        for found in findings(document.data)
        if found[0] not in document.holes
    ]
    if problems or routing is None:
        raise ConfigError(_in_order(problems))
    return document, routing


def _authorities(document: Document, unusable: Unusable) -> list[Problem]:
    found = []
    for path in _matching(document.data, ("routes", "*", "versions", "*", "tls", "ca")):
        file = document.data
        for key in path:
            file = file[str(key)] if isinstance(file, dict) else None
        why = unusable(str(file))
        if why is not None:
            message = f"{quoted(str(file))} cannot be used ({why}); write the path of a PEM file"
            found.append(document.problem(path, f"{message} with CA certificates"))
    return found


def _explained(details: ErrorDetails, document: Document) -> Problem:
    """An error of the models in the words of the file."""
    inner, context = details["loc"], details.get("ctx", {})
    path = _written(inner, document.data)
    match details["type"]:
        case "value_error":
            # The models' way of saying that a free key itself is wrong.
            is_key = path[-1] == "[key]" and path not in document.keys
            where = path[:-1] if is_key else path
            return document.problem(where, str(context["error"]), at_key=is_key)
        case "missing":
            what = _keys_at(inner[:-1])[str(path[-1])].rstrip(".")
            message = f"key '{path[-1]}' is missing; write {what[0].lower()}{what[1:]}"
            return document.problem(path[:-1], message, at_key=True)
        case "extra_forbidden":
            key = str(path[-1])
            message = f"unknown key {quoted(key)}; {nearest(key, list(_keys_at(inner[:-1])))}"
            return document.problem(path, message, at_key=True)
        case "too_short":
            return document.problem(path, "this is empty; write at least one entry")
        case "too_long":
            most = context["max_length"]
            return document.problem(path, f"this has more than {most} entries; remove some")
        case "list_type":
            message = f"{kind(details['input'])} stands here; write a list, '- ' before each entry"
            return document.problem(path, message)
        case _:  # dict_type, model_type
            keys = ", ".join(_keys_at(inner))
            wanted = f"a mapping of the keys {keys}" if keys else "a mapping of names"
            return document.problem(path, f"{kind(details['input'])} stands here; write {wanted}")


def _written(path: Path, data: Data) -> Path:
    """A path of the models as the file has it: what stands alone there is a list of one here."""
    found: list[str | int] = []
    for step in path:
        if isinstance(data, list) and isinstance(step, int):
            data = data[step]
        elif isinstance(step, int):
            continue
        else:
            data = data.get(step) if isinstance(data, dict) else None
        found.append(step)
    return tuple(found)


def _keys_at(path: Path) -> dict[str, str]:
    """The keys a mapping at this path may have, and what they mean; empty where keys are free."""
    found: object = schema.Routing
    for step in path:
        fields = getattr(found, "model_fields", None)
        found = fields[step].annotation if fields else get_args(found)[-1]
        while type(None) in get_args(found):
            found = get_args(found)[0]
    fields = getattr(found, "model_fields", {})
    return {name: field.description or "" for name, field in fields.items()}


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    problems = sorted(problems, key=_place)
    more = len(problems) - MAX_PROBLEMS
    if more > 0:
        last = problems[MAX_PROBLEMS - 1]
        message = f"and {more} more problems below; correct these first"
        problems[MAX_PROBLEMS:] = [Problem(last.line, last.column, "", message)]
    return tuple(problems)


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _matching(data: Data, pattern: Path, path: Path = ()) -> Iterator[Path]:
    """The paths that exist; ``*`` is any key."""
    if not pattern:
        yield path
    elif isinstance(data, dict):
        for key in data if pattern[0] == "*" else {str(pattern[0])} & data.keys():
            yield from _matching(data[key], pattern[1:], (*path, key))


# What is right: shapes to values.


def _config(shape: schema.Routing, content: bytes) -> RoutingConfig:
    return RoutingConfig(
        routes=tuple(_route(name, route, shape.log) for name, route in shape.routes.items()),
        notify=tuple(model.Webhook(each.webhook, tuple(each.events)) for each in shape.notify),
        generation=generation_of(content),
    )


def _route(name: str, shape: schema.Route, log: schema.Log | None) -> model.Route:
    protocol = shape.prediction.protocol if shape.prediction else None
    idempotent = protocol is not Protocol.OPENAI  # a generation asked twice costs twice
    return model.Route(
        name=name,
        stable=shape.stable,
        versions=tuple(_version(*each) for each in shape.versions.items()),
        match=model.Match(shape.match.path, shape.match.host, tuple(shape.match.header.items())),
        sticky=_sticky(shape.sticky, name) if shape.sticky else None,
        override=shape.override.header if shape.override else None,
        timeout=shape.timeout,
        idempotent=idempotent if shape.idempotent is None else shape.idempotent,
        fallback=shape.fallback is schema.Fallback.STABLE,
        limits=model.Limits(shape.limits.body, shape.limits.in_flight),
        prediction=_prediction(shape.prediction) if shape.prediction else None,
        mirror=_mirror(shape.mirror) if shape.mirror else None,
        rollouts=tuple(map(_rollout, shape.rollout)),
        analysis=_analysis(shape.analysis) if shape.analysis else None,
        log=_log(log, shape.log),
    )


def _version(name: str, shape: schema.Version) -> model.Version:
    endpoints = (shape.url,) if shape.url else tuple(shape.urls or ())
    if shape.tls is not None:
        tls = model.Tls(shape.tls.ca or "", shape.tls.server_name or "")
        endpoints = tuple(replace(each, tls=tls) for each in endpoints)
    return model.Version(name, endpoints, shape.weight, shape.readiness or "")


def _sticky(shape: schema.Sticky, route: str) -> model.Sticky:
    salt = route if shape.salt is None else shape.salt
    if shape.cookie is not None:
        return model.Sticky(model.StickyKind.COOKIE, shape.cookie, salt)
    return model.Sticky(model.StickyKind.HEADER, shape.header or "", salt)


def _prediction(shape: schema.Prediction) -> model.Prediction:
    preset = _PRESETS[shape.protocol]
    # Who says that the number there is a value does not want it for a class as well.
    of_preset = preset.label if shape.value != preset.label or shape.labels else None
    return model.Prediction(
        label=of_preset if shape.label is None else shape.label,
        score=preset.score if shape.score is None else shape.score,
        labels=tuple(shape.labels),
        value=preset.value if shape.value is None else shape.value,
        bounds=tuple(shape.bounds) or preset.bounds,
        protocol=shape.protocol,
    )


def _log(shared: schema.Log | None, own: schema.Log | None) -> model.PredictionLog | None:
    """The route's own with what it leaves to the file's; None if there is neither."""
    said = {
        name: getattr(log, name) for log in (shared, own) if log for name in log.model_fields_set
    }
    log = schema.Log.model_construct(None, **said)  # of values that were checked
    if log.path is None or not log.sample:
        return None
    rotation = model.Rotation(log.rotate.size, log.rotate.age, log.rotate.keep)
    return model.PredictionLog(log.path, log.sample, log.features, rotation)


def _mirror(shape: schema.Mirror) -> model.Mirror:
    return model.Mirror(shape.to, shape.percent, shape.compare)


def _rollout(shape: judgement.Rollout) -> model.Rollout:
    return model.Rollout(
        candidate=shape.candidate,
        steps=tuple(model.Step(step.weight, step.pause) for step in shape.steps),
        on_failure=shape.on_failure,
        on_success=shape.on_success,
        paused=shape.paused,
    )


def _analysis(shape: judgement.Analysis) -> model.Analysis:
    predictions = shape.predictions
    return model.Analysis(
        max_false_rollback=shape.max_false_rollback,
        errors_max_increase=shape.errors.max_increase if shape.errors else None,
        errors_limit=shape.errors.limit if shape.errors else None,
        latency_max_increase=shape.latency.max_increase if shape.latency else None,
        latency_above=shape.latency.above if shape.latency else 0.005,
        latency_limit=shape.latency.limit if shape.latency else None,
        predictions_max_shift=predictions.max_shift if predictions else None,
        predictions_action=predictions.action if predictions else model.ShiftAction.ALERT,
        min_bad=shape.min_bad,
    )
