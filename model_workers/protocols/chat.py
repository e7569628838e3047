"""OpenAI's chat completions, as far as a small language model speaks them.

Pure: a body in, a request or a refusal in OpenAI's words out; a reply in, the JSON of an answer or
of the chunks of a stream out. What would change the answer's form and is not spoken here (several
choices, JSON only, log probabilities) is refused; what is only a wish (penalties, tools, a user's
name) is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..predictors.speaker import Turn, tokens

MAX_TOKENS: Final = 256  # of a reply whose request says nothing, and the most that it may say
DONE: Final = b"data: [DONE]\n\n"
REASONS: Final = ("stop", "length")


class BadChat(Exception):
    """The request cannot be served. ``param`` is where it is wrong, ``code`` OpenAI's word."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Part(_Lenient):
    type: Literal["text"]
    text: str


class _Message(_Lenient):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None


class _StreamOptions(_Lenient):
    include_usage: bool | None = None


class _Format(_Lenient):
    type: Literal["text"]


def _exactly(kind: type) -> Callable[[object], object]:
    """To Python 1, 1.0 and true are equal, and so are they to a Literal."""

    def check(value: object) -> object:
        if type(value) is not kind:
            raise ValueError(f"it is no {kind.__name__}")
        return value

    return check


_Stop = Annotated[str, Field(min_length=1, max_length=100)]


class _Body(_Lenient):
    model: str
    messages: Annotated[list[_Message], Field(min_length=1, max_length=1000)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stop: _Stop | Annotated[list[_Stop], Field(max_length=4)] | None = None
    n: Annotated[Literal[1], BeforeValidator(_exactly(int))] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    logprobs: Annotated[Literal[False], BeforeValidator(_exactly(bool))] | None = None
    response_format: _Format | None = None


class Asked(NamedTuple):
    """A request understood."""

    turns: tuple[Turn, ...]
    prompt_tokens: int
    max_tokens: int
    stop: tuple[str, ...]
    seed: int
    temperature: float
    stream: bool
    usage: bool  # told at the end of a stream; a whole answer always tells it


class Head(NamedTuple):
    """What each part of one answer repeats."""

    id: str
    created: int  # seconds since 1970
    model: str
    fingerprint: str  # which version of the model and of the code it was


def decode(body: bytes, model: str) -> Asked:
    """Read the body of a request to ``model``; raises :class:`BadChat`."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadChat(f"We could not parse the JSON body of your request: {error}") from None
    try:
        found = _Body.model_validate(document)
    except ValidationError as error:
        raise _refusal(error) from None
    if found.model != model:
        raise unknown_model(found.model, model)
    if found.stream_options is not None and not found.stream:
        said = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise BadChat(said, "stream_options")
    turns = tuple(Turn(message.role, _text(message.content)) for message in found.messages)
    stop = (found.stop,) if isinstance(found.stop, str) else tuple(found.stop or ())
    options = found.stream_options
    return Asked(
        turns,
        sum(len(tokens(turn.text)) for turn in turns),
        min(found.max_completion_tokens or found.max_tokens or MAX_TOKENS, MAX_TOKENS),
        stop,
        found.seed or 0,
        1.0 if found.temperature is None else found.temperature,
        bool(found.stream),
        bool(options and options.include_usage),
    )


def schemas(model: str) -> dict[str, Any]:
    """The JSON Schema of a request, ``Chat``, and those that it refers to."""
    found = _Body.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = found.pop("$defs")
    found["properties"]["model"] = {"const": model}
    return {"Chat": found, **parts}


def unknown_model(asked: str, model: str) -> BadChat:
    """The refusal of any other model than the one here."""
    shown = asked[:100].encode("utf-8", "replace").decode()
    said = f"The model '{shown}' does not exist; here is '{model}'"
    return BadChat(said, "model", "model_not_found", 404)


def whole(head: Head, text: str, reason: str, prompt: int, completion: int) -> dict[str, Any]:
    """An answer in one piece; ``prompt`` and ``completion`` are counts of tokens."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return _object(head, "chat.completion", [choice]) | {"usage": _usage(prompt, completion)}


class Chunks:
    """The events of one stream, in their order: first the role, then text, the finish reason, the
    usage if it was asked for. :data:`DONE` follows them.
    """

    def __init__(self, head: Head, usage: bool) -> None:
        self._head = head
        # With usage asked for, each chunk but the last says that it knows none yet.
        self._none: dict[str, Any] = {"usage": None} if usage else {}

    def role(self) -> bytes:
        return self._event({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        return self._event({"content": text})

    def finish(self, reason: str) -> bytes:
        return self._event({}, reason)

    def usage(self, prompt: int, completion: int) -> bytes:
        found = _object(self._head, "chat.completion.chunk", [])
        return event(found | {"usage": _usage(prompt, completion)})

    def _event(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return event(_object(self._head, "chat.completion.chunk", [choice]) | self._none)


def event(content: Any) -> bytes:
    """A server-sent event of one line of JSON (HTML Living Standard, section 9.2)."""
    return b"data: %b\n\n" % msgspec.json.encode(content)


def models(model: str, created: int) -> dict[str, Any]:
    """What ``GET /v1/models`` tells of the one model there is."""
    return {"object": "list", "data": [model_object(model, created)]}


def model_object(model: str, created: int) -> dict[str, Any]:
    """What ``GET /v1/models/{model}`` tells."""
    return {"id": model, "object": "model", "created": created, "owned_by": "model-worker"}


def refusal(message: str, status: int, param: str | None = None, code: str | None = None) -> Any:
    """The body of any answer that is none, in the shape that OpenAI's clients read."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


# --- parts


def _object(head: Head, kind: str, choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
        "system_fingerprint": head.fingerprint,
        "choices": choices,
    }


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content)
    return content or ""


def _refusal(error: ValidationError) -> BadChat:
    """What is wrong, as ``messages[0].role``; if it is more than one thing, the one that lies
    deepest: of content in parts, the part, and not that it is no text.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    first = max(found, key=lambda each: len(each["loc"]))
    # Of a union pydantic also says which member it tried: a name with brackets, or of a class.
    names = [each for each in first["loc"] if isinstance(each, int) or each in _KEYS]
    param = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in names)
    param = param.removeprefix(".")
    if first["type"] == "missing":
        said = f"Missing required parameter: '{param}'."
        return BadChat(said, param, "missing_required_parameter")
    rule = "Input should be an object" if first["type"] == "model_type" else first["msg"]
    said = f"Invalid value for '{param or 'the body'}': {rule.removeprefix('Value error, ')}."
    return BadChat(said, param or None, "invalid_value")


_KEYS: Final = frozenset(
    key for model in (_Body, _Message, _Part, _StreamOptions, _Format) for key in model.model_fields
)
