"""The shape of ``routing.yaml``: strict models that check it, and the JSON Schema made of them.

A model knows its keys and what each scalar may say; what one key demands of another is for
``rules`` to say. Models hold finished values: basis points, seconds, bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway import model
from gateway.config import addresses
from gateway.config import quantities as read
from gateway.config.scalars import Scalar, number, scalar, word

Item = TypeVar("Item")
Value = TypeVar("Value")

MAX_ROUTES: Final = 1000  # looking for routes that are never reached is quadratic
MANY: Final = 100  # entries of lists that people write


class Protocol(StrEnum):
    """What the answers of a route look like: presets for where the prediction stands."""

    PREDICT = "predict"
    V2 = "v2"
    SAGEMAKER = "sagemaker"
    OPENAI = "openai"


class Fallback(StrEnum):
    """Who answers when a candidate does not."""

    STABLE = "stable"
    NONE = "none"


# Scalars: how a text becomes a value, and what the JSON Schema says of it.


def _distinct(items: list[Item]) -> list[Item]:
    seen: set[Item] = set()
    for item in items:
        if item in seen:
            text = str(getattr(item, "url", item))
            raise ValueError(f"{read.quoted(text)} stands twice; keep it once")
        seen.add(item)
    return items


Name = Annotated[str, scalar(read.name, read.NAME)]
Reference = Annotated[str, scalar(str, read.NAME, "number")]  # `rules` knows which names exist
Label = Annotated[str, scalar(read.label, read.LABEL, "number", "boolean")]
Pointer = Annotated[str, scalar(read.pointer, read.POINTER)]
PathPrefix = Annotated[str, scalar(read.path, read.PATH)]
ReadinessPath = Annotated[str, scalar(read.path, read.PATH)]
Host = Annotated[str, scalar(addresses.host, r"[^:]+|\[.+\]")]
HeaderName = Annotated[str, scalar(read.header, read.TOKEN)]
HeaderValue = Annotated[str, scalar(read.header_value, read.VALUE, "number", "boolean")]
KeyHeader = Annotated[str, scalar(read.key_header, read.TOKEN)]
CookieName = Annotated[str, scalar(read.token, read.TOKEN)]
Address = Annotated[model.Endpoint, scalar(addresses.endpoint, "https?://[^/@?#]+|unix:/[^/].*")]
FilePath = Annotated[str, scalar(addresses.certificate_file, "/.*[^/]")]
ServerName = Annotated[str, scalar(addresses.server_name, r"[^:]+|\[.+\]")]
WebhookUrl = Annotated[str, scalar(addresses.webhook, "https?://[^/@?#]+([/?][^#]*)?")]
Switch = Annotated[bool, Scalar(read.switch, {"enum": [True, False, "true", "false"]})]
Percent = Annotated[int, number(read.percent, read.PERCENT, "0", "100")]
Growth = Annotated[int, number(read.percent, read.PERCENT, "0.01", "100")]
Chance = Annotated[int, number(read.percent, read.PERCENT, "0.01", "50")]
Bytes = Annotated[int, number(read.size, read.SIZE, "1", "1GiB")]
InFlight = Annotated[int, number(read.count, read.COUNT, "1", "100000")]
MinBad = Annotated[int, number(read.count, read.COUNT, "1", "1000000")]
Timeout = Annotated[float, scalar(read.within(read.duration, "1ms", "1h"), read.DURATION)]
Bound = Annotated[float, scalar(read.within(read.duration, "0ms", "1h"), read.DURATION)]
Pause = Annotated[float | None, scalar(read.pause, f"{read.DURATION}|forever")]


# Mappings, from the leaves to the root. Defaults are those of `gateway.model`; a test says so.


def _key(
    default: Value, description: str, min_length: int | None = None, max_length: int | None = None
) -> Value:
    """A key that may be left away; one that may not is a plain Field."""
    return Field(default, description=description, min_length=min_length, max_length=max_length)


class Shape(BaseModel):
    """A mapping with a closed set of keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Match(Shape):
    """Which requests a route takes: all conditions must agree."""

    path: PathPrefix = _key("/", "/predict takes /predict and /predict/x, but not /predictor.")
    host: Host | None = _key(None, "The host that is asked for, without port.")
    header: dict[HeaderName, HeaderValue] = _key({}, "Headers and their exact values.")


class Tls(Shape):
    """Whom the workers of a version must prove to be; there is no way not to ask them."""

    ca: FilePath | None = _key(
        None, "Absolute path of who may vouch for them, PEM. Default: the system's store."
    )
    server_name: ServerName | None = _key(
        None, "The name in their certificates. Default: the host of the URL."
    )


class Version(Shape):
    """One model version: where it runs, and which share of the requests it gets."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["urls"]}]}
    )
    url: Address | None = _key(None, "http://host:port, https://host:port or unix:/absolute/path.")
    urls: Annotated[list[Address], AfterValidator(_distinct)] | None = _key(
        None, "Several endpoints; the least busy one is asked.", min_length=1, max_length=MANY
    )
    tls: Tls | None = _key(None, "How workers at https:// are verified.")
    readiness: ReadinessPath | None = _key(
        None, "Where an endpoint says by 2xx that it is ready. Default: nobody asks."
    )
    weight: Percent = _key(0, "Percent of the requests, in steps of 0.01; candidates only.")


class Sticky(Shape):
    """What keeps a client on its version: a header or a cookie."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["header"]}, {"required": ["cookie"]}]}
    )
    header: KeyHeader | None = _key(None, "The header that tells clients apart.")
    cookie: CookieName | None = _key(None, "The cookie that tells clients apart.")
    salt: Label | None = _key(None, "Another salt shuffles all clients. Default: the route's name.")


class Override(Shape):
    """Lets a client choose a version; such requests are no evidence."""

    header: KeyHeader = Field(description="The header that names the version.")


class Limits(Shape):
    """What is refused rather than tried."""

    body: Bytes = _key(1024 * 1024, "The largest body of a request. Default: 1MiB.")
    in_flight: InFlight = _key(256, "Requests at once per version. Default: 256.")


class Prediction(Shape):
    """Where the prediction stands in an answer, so that versions can be compared."""

    protocol: Annotated[Protocol, word(Protocol)] | None = _key(None, "Presets label and score.")
    label: Pointer | None = _key(None, "JSON Pointer to the class that was answered.")
    score: Pointer | None = _key(None, "JSON Pointer to its score.")
    labels: Annotated[list[Label], AfterValidator(_distinct)] = _key(
        [], "The classes that the model knows.", max_length=200
    )


class Mirror(Shape):
    """A copy of some requests for a version whose answers nobody gets."""

    to: Reference = Field(description="The version that gets the copies; a candidate.")
    percent: Percent = Field(description="Percent of the requests that are copied.")
    compare: Pointer | None = _key(None, "JSON Pointer to what is compared.")


class Step(Shape):
    """One step of a rollout."""

    weight: Growth = Field(description="Percent of the requests, more than the step before.")
    pause: Pause = Field(description="How long to watch, such as 1h, or forever.")


class Rollout(Shape):
    """The steps in which a candidate's weight grows."""

    candidate: Reference = Field(description="The version that is rolled out.")
    steps: list[Step] = Field(min_length=1, max_length=MANY, description="Growing weights.")
    on_failure: Annotated[model.OnFailure, word(model.OnFailure)] = _key(
        model.OnFailure.ROLLBACK, "When the candidate is found worse. Default: rollback."
    )
    on_success: Annotated[model.OnSuccess, word(model.OnSuccess)] = _key(
        model.OnSuccess.PROMOTE, "After the last step. Default: promote."
    )


class Errors(Shape):
    """How many more failed requests than stable's are tolerated, and how many at all."""

    max_increase: Percent | None = _key(None, "Points more than stable. Default: none.")
    limit: Percent | None = _key(
        None, "Never more of its requests than this, whatever stable does."
    )


class Latency(Shape):
    """How much slower than stable is tolerated, and how slow at all."""

    max_increase: Percent = Field(
        description="At any bound, at most so many points more of the requests slower than it."
    )
    above: Bound = _key(0.005, "What is faster than this is fast enough. Default: 5ms.")
    limit: Timeout | None = _key(
        None, "At most 1 % of its answers may take longer, whatever stable does."
    )


class Predictions(Shape):
    """How the distribution of the answers is compared."""

    max_shift: Percent = Field(description="Points that are tolerated per class.")
    action: Annotated[model.ShiftAction, word(model.ShiftAction)] = _key(
        model.ShiftAction.ALERT, "What a larger shift does. Default: alert."
    )


class Analysis(Shape):
    """How a candidate is judged against stable."""

    max_false_rollback: Chance = _key(
        100, "Chance that a healthy candidate is ever rolled back. Default: 1%."
    )
    errors: Errors | None = _key(None, "Failed requests.")
    latency: Latency | None = _key(None, "Slow requests.")
    predictions: Predictions | None = _key(None, "What is answered.")
    min_bad: MinBad = _key(2, "Never roll back on fewer bad answers than this. Default: 2.")


class Webhook(Shape):
    """Whom to tell, and of what."""

    webhook: WebhookUrl = Field(description="The URL that gets a POST.")
    events: Annotated[
        list[Annotated[model.Event, word(model.Event)]], AfterValidator(_distinct)
    ] = _key(list(model.Event), "Default: all.", min_length=1)


class Route(Shape):
    """One endpoint: which requests it takes, and which versions share them."""

    match: Match = _key(Match(), "Default: every request. The first route that matches wins.")
    stable: Reference = Field(description="The version that takes what the candidates leave.")
    versions: dict[Name, Version] = Field(
        min_length=1, max_length=255, description="The versions, stable and candidates, by name."
    )
    sticky: Sticky | None = _key(None, "Default: every request is drawn on its own.")
    override: Override | None = _key(None, "Default: clients cannot choose a version.")
    timeout: Timeout = _key(3.0, "One deadline for the whole request. Default: 3s.")
    idempotent: Switch | None = _key(
        None, "Whether a prediction may be asked twice. Default: true; false for openai."
    )
    fallback: Annotated[Fallback, word(Fallback)] = _key(
        Fallback.STABLE, "Who answers when a candidate fails. Default: stable."
    )
    limits: Limits = _key(Limits(), "Default: bodies of 1MiB, 256 requests at once.")
    prediction: Prediction | None = _key(None, "Default: answers are not read.")
    mirror: Mirror | None = _key(None, "Default: nothing is copied.")
    rollout: Rollout | None = _key(None, "Default: weights are changed by people only.")
    analysis: Analysis | None = _key(None, "Default: candidates are not judged.")


class Routing(Shape):
    """routing.yaml: which model versions answer, and which share of the requests each gets."""

    routes: dict[Name, Route] = Field(
        min_length=1, max_length=MAX_ROUTES, description="The routes by name, in order."
    )
    notify: list[Webhook] = _key([], "Who is told of rollbacks and the like.", max_length=MANY)


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
