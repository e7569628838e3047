"""The shape of ``routing.yaml``: strict models that check it, and the JSON Schema made of them.

A model knows its keys and what each scalar may say; what one key demands of another is for
``rules`` to say. Models hold finished values: basis points, seconds, bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.config.judgement import Analysis, Rollout, Webhook
from gateway.config.scalars import (
    Address,
    Age,
    Bytes,
    CookieName,
    FilePath,
    FileSize,
    HeaderName,
    HeaderValue,
    Host,
    InFlight,
    Kept,
    KeyHeader,
    Label,
    LogPath,
    Name,
    PathPrefix,
    Percent,
    Pointer,
    ReadinessPath,
    Reference,
    ServerName,
    Switch,
    Timeout,
    ValueBound,
    word,
)
from gateway.config.shape import MANY, Shape, ascending, distinct, key
from gateway.protocols import Protocol

MAX_ROUTES: Final = 1000  # looking for routes that are never reached is quadratic


class Fallback(StrEnum):
    """Who answers when a candidate does not."""

    STABLE = "stable"
    NONE = "none"


# Mappings, from the leaves to the root. Defaults are those of `gateway.model`; a test says so.


class Match(Shape):
    """Which requests a route takes: all conditions must agree."""

    path: PathPrefix = key("/", "/predict takes /predict and /predict/x, but not /predictor.")
    host: Host | None = key(None, "The host that is asked for, without port.")
    header: dict[HeaderName, HeaderValue] = key({}, "Headers and their exact values.")


class Tls(Shape):
    """Whom the workers of a version must prove to be; there is no way not to ask them."""

    ca: FilePath | None = key(
        None, "Absolute path of who may vouch for them, PEM. Default: the system's store."
    )
    server_name: ServerName | None = key(
        None, "The name in their certificates. Default: the host of the URL."
    )


class Version(Shape):
    """One model version: where it runs, and which share of the requests it gets."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["urls"]}]}
    )
    url: Address | None = key(None, "http://host:port, https://host:port or unix:/absolute/path.")
    urls: Annotated[list[Address], AfterValidator(distinct)] | None = key(
        None, "Several endpoints; the least busy one is asked.", min_length=1, max_length=MANY
    )
    tls: Tls | None = key(None, "How workers at https:// are verified.")
    readiness: ReadinessPath | None = key(
        None, "Where an endpoint says by 2xx that it is ready. Default: nobody asks."
    )
    weight: Percent = key(0, "Percent of the requests, in steps of 0.01; candidates only.")


class Sticky(Shape):
    """What keeps a client on its version: a header or a cookie."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["header"]}, {"required": ["cookie"]}]}
    )
    header: KeyHeader | None = key(None, "The header that tells clients apart.")
    cookie: CookieName | None = key(None, "The cookie that tells clients apart.")
    salt: Label | None = key(None, "Another salt shuffles all clients. Default: the route's name.")


class Override(Shape):
    """Lets a client choose a version; such requests are no evidence."""

    header: KeyHeader = Field(description="The header that names the version.")


class Limits(Shape):
    """What is refused rather than tried."""

    body: Bytes = key(1024 * 1024, "The largest body of a request. Default: 1MiB.")
    in_flight: InFlight = key(256, "Requests at once per version. Default: 256.")


class Prediction(Shape):
    """Where the prediction stands in an answer, so that versions can be compared."""

    protocol: Annotated[Protocol, word(Protocol)] | None = key(
        None, "Presets of where it stands. By v2 and sagemaker clients may also name a version."
    )
    label: Pointer | None = key(None, "JSON Pointer to the class that was answered.")
    score: Pointer | None = key(None, "JSON Pointer to its score.")
    labels: Annotated[list[Label], AfterValidator(distinct)] = key(
        [], "The classes that the model knows.", max_length=200
    )
    value: Pointer | None = key(None, "JSON Pointer to a number that is no class.")
    bounds: Annotated[list[ValueBound], AfterValidator(ascending)] = key(
        [], "Between which values are counted, ascending.", min_length=1, max_length=30
    )


class Rotate(Shape):
    """When a file of lines gives way to a new one, and how many stay."""

    size: FileSize = key(64 * 1024 * 1024, "Before it is larger than this. Default: 64MiB.")
    age: Age = key(86_400.0, "When its first line is so old. Default: 1d.")
    keep: Kept = key(8, "Files that stay beside the present one. Default: 8.")


class Log(Shape):
    """Where requests are written down with their predictions; a route's own says what differs."""

    path: LogPath | None = key(None, "Absolute path of a file of JSON lines.")
    sample: Percent = key(10_000, "Percent of the requests, by request id. Default: 100.")
    features: Switch = key(False, "Whether the body of the request is written, too.")
    rotate: Rotate = key(Rotate(), "Default: at 64MiB or after 1d, and 8 old files stay.")


class Mirror(Shape):
    """A copy of some requests for a version whose answers nobody gets."""

    to: Reference = Field(description="The version that gets the copies; a candidate.")
    percent: Percent = Field(description="Percent of the requests that are copied.")
    compare: Pointer | None = key(None, "JSON Pointer to what is compared.")


# For editors; both forms are read as a list.
_Rollouts = Annotated[list[Rollout], Field(min_length=1, max_length=MANY)]


def _listed(value: object) -> object:
    """One rollout may stand without the list around it."""
    return value if isinstance(value, list) else [value]


class Route(Shape):
    """One endpoint: which requests it takes, and which versions share them."""

    match: Match = key(Match(), "Default: every request. The first route that matches wins.")
    stable: Reference = Field(description="The version that takes what the candidates leave.")
    versions: dict[Name, Version] = Field(
        min_length=1, max_length=255, description="The versions, stable and candidates, by name."
    )
    sticky: Sticky | None = key(None, "Default: every request is drawn on its own.")
    override: Override | None = key(None, "Default: clients cannot choose a version.")
    timeout: Timeout = key(3.0, "One deadline for the whole request. Default: 3s.")
    idempotent: Switch | None = key(
        None, "Whether a prediction may be asked twice. Default: true; false for openai."
    )
    fallback: Annotated[Fallback, word(Fallback)] = key(
        Fallback.STABLE, "Who answers when a candidate fails. Default: stable."
    )
    limits: Limits = key(Limits(), "Default: bodies of 1MiB, 256 requests at once.")
    prediction: Prediction | None = key(None, "Default: answers are not read.")
    mirror: Mirror | None = key(None, "Default: nothing is copied.")
    rollout: Annotated[
        list[Rollout],
        BeforeValidator(_listed, json_schema_input_type=Rollout | _Rollouts),
    ] = key(
        [],
        "One, or a list of one for each candidate. Default: weights are changed by people only.",
        min_length=1,
        max_length=MANY,
    )
    analysis: Analysis | None = key(None, "Default: candidates are not judged.")
    log: Log | None = key(None, "Default: as the file's own `log` says.")


class Routing(Shape):
    """routing.yaml: which model versions answer, and which share of the requests each gets."""

    routes: dict[Name, Route] = Field(
        min_length=1, max_length=MAX_ROUTES, description="The routes by name, in order."
    )
    notify: list[Webhook] = key([], "Who is told of rollbacks and the like.", max_length=MANY)
    log: Log | None = key(None, "For all routes. Default: requests are not written down.")


class _Generator(GenerateJsonSchema):
    """Says what an operator may write: an optional key is left away, never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        return {**super().dict_schema(schema), "additionalProperties": False}


def json_schema() -> dict[str, object]:
    """The JSON Schema of the file, for editors; ``canary schema`` prints it."""
    schema = Routing.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "routing.yaml"}
