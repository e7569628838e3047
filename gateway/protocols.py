"""The protocols that clients and models of a route may speak, and what their paths mean.

Open Inference Protocol v2: github.com/kserve/open-inference-protocol, specification/protocol/
inference_rest.md. SageMaker: the API reference of InvokeEndpoint outside, "Use Your Own Inference
Code with Hosting Services" inside a container.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final
from urllib.parse import unquote_to_bytes

# Beyond so many segments nobody looks for a model: paths come from strangers.
_MOST_SEGMENTS: Final = 64
_ENDPOINT: Final = re.compile(rb"/endpoints/[^/]+/invocations")

TARGET_VARIANT: Final = b"x-amzn-sagemaker-target-variant"
INVOKED_VARIANT: Final = "x-Amzn-Invoked-Production-Variant"


class Protocol(StrEnum):
    """What the answers of a route look like: presets for where the prediction stands."""

    PREDICT = "predict"
    V2 = "v2"
    SAGEMAKER = "sagemaker"
    OPENAI = "openai"


# What is asked besides predictions, by the language it is asked in; from `config` on it is what
# Triton and MLServer know beside the protocol. The pages of the plain language are those of the
# workers here.
_ABOUT: Final = {
    Protocol.PREDICT: re.compile(
        rb"\A/(?:explain|contract|openapi\.json|docs(?:/.*)?|healthy|ready|ping|stats|faults)\Z"
    ),
    Protocol.V2: re.compile(
        rb"\A/v2/?\Z|/v2/(?:health/(?:live|ready)"
        rb"|models(?:/[^/]+(?:/versions/[^/]+)?(?:/(?:ready|config|stats|trace/setting|docs))?)?"
        rb"|(?:docs|repository|trace|logging|(?:system|cuda)sharedmemory)(?:/.*)?)/?\Z"
    ),
    Protocol.SAGEMAKER: re.compile(rb"\A/ping\Z"),
    Protocol.OPENAI: re.compile(rb"/v1/models(?:/[^/]+)?/?\Z"),
}

# Of these a client may name a version, whatever else the route says.
NAMING: Final = frozenset({Protocol.V2, Protocol.SAGEMAKER})


def version_in(path: bytes) -> tuple[bytes, bytes] | None:
    """Model and version that a path of the Open Inference Protocol names, at the root or below a
    prefix: ``/v2/models/MODEL/versions/VERSION`` and everything beneath. None if it names none.

    Segments are compared decoded (RFC 3986, section 2.3), once and each by itself, as a server
    reads them: an encoded slash is part of a name and never ends it.
    """
    pieces = path.split(b"/", _MOST_SEGMENTS)
    segments = [unquote_to_bytes(piece) if b"%" in piece else piece for piece in pieces]
    for at in range(1, len(segments) - 4):
        root, models, model, versions, version = segments[at : at + 5]
        if (root, models, versions) == (b"v2", b"models", b"versions") and model and version:
            return model, version
    return None


def is_about(protocol: Protocol | None, path: bytes) -> bool:
    """Whether at a path of this protocol health, metadata or an explanation is asked for, and not
    a prediction.
    """
    return protocol is not None and _ABOUT[protocol].search(path) is not None


def in_container(target: bytes) -> bytes:
    """The target at which a SageMaker container knows what clients ask for at
    ``/endpoints/NAME/invocations``; any other target is what it is.
    """
    path, mark, query = target.partition(b"?")
    return b"/invocations" + mark + query if _ENDPOINT.fullmatch(path) else target
