"""What paths mean in the protocols of clients: pure, on bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.headers import to_container
from gateway.http.target import path_of
from gateway.protocols import Protocol, in_container, is_about, version_in


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v2/models/iris/versions/v1", (b"iris", b"v1")),
        ("/v2/models/iris/versions/v1/", (b"iris", b"v1")),
        ("/v2/models/iris/versions/v1/infer", (b"iris", b"v1")),
        ("/v2/models/iris/versions/v1/ready", (b"iris", b"v1")),
        ("/v2/models/iris/versions/1.10/generate_stream/x", (b"iris", b"1.10")),
        ("/serving/a/v2/models/iris/versions/v1/infer", (b"iris", b"v1")),
        ("/v2/models/org%2Fname/versions/v1/infer", (b"org/name", b"v1")),
        ("/v2/models/iris/versions/%761/infer", (b"iris", b"v1")),
        ("/v2/%6Dodels/iris/version%73/v1/infer", (b"iris", b"v1")),
        ("/v2/models/iris/versions/%2576/infer", (b"iris", b"%76")),
        ("/v2/models/iris/versions/v1%2Finfer", (b"iris", b"v1/infer")),
        ("/v2/models/iris/versions/v1;a=b/infer", (b"iris", b"v1;a=b")),
        # the first one counts
        ("/v2/models/a/versions/v1/v2/models/b/versions/v2", (b"a", b"v1")),
        ("/v2/models/v2/models/a/versions/v3", (b"a", b"v3")),
        ("/v2/models/iris/infer", None),
        ("/v2/models/iris", None),
        ("/v2/models/iris/versions", None),
        ("/v2/models/iris/versions/", None),
        ("/v2/models//versions/v1", None),
        ("/v2/models/iris%2Fversions%2Fv1/infer", None),
        ("/v1/models/iris/versions/v1", None),
        ("/V2/models/iris/versions/v1", None),
        ("/xv2/models/iris/versions/v1", None),
        ("/v2/models/a/b/versions/v1", None),
        ("//v2//models/iris/versions/v1", None),
        ("v2/models/iris/versions/v1", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_path_names_a_version_where_a_server_would_read_one(
    path: str, named: tuple[bytes, bytes] | None
) -> None:
    assert version_in(path.encode()) == named


def test_a_path_of_slashes_is_not_looked_through_for_ever() -> None:
    assert version_in(b"/" * 8000 + b"v2/models/iris/versions/v1") is None
    assert version_in(b"/x" * 50 + b"/v2/models/iris/versions/v1/infer") == (b"iris", b"v1")


@given(st.binary(max_size=80))
def test_no_path_can_harm(path: bytes) -> None:
    named = version_in(b"/v2/models/" + path)

    assert named is None or all(named)
    for protocol in (None, *Protocol):
        is_about(protocol, path)


@pytest.mark.parametrize(
    ("path", "about"),
    [
        ("/v2", True),
        ("/v2/", True),
        ("/v2/health/live", True),
        ("/v2/health/ready", True),
        ("/v2/models", True),
        ("/v2/models/iris", True),
        ("/v2/models/iris/", True),
        ("/v2/models/iris/ready", True),
        ("/v2/models/iris/stats", True),
        ("/v2/models/iris/versions/v1", True),
        ("/v2/models/iris/versions/v1/ready", True),
        ("/v2/models/iris/versions/v1/infer", False),
        ("/v2/models/iris/docs", True),
        ("/v2/models/iris/versions/v1/docs/", True),
        ("/v2/models/iris/trace/setting", True),
        ("/v2/models/stats", True),
        ("/v2/docs", True),
        ("/v2/docs/dataplane.json", True),
        ("/v2/repository/index", True),
        ("/v2/repository/models/iris/load", True),
        ("/v2/trace/setting", True),
        ("/v2/logging", True),
        ("/v2/systemsharedmemory/region/a/register", True),
        ("/v2/cudasharedmemory/status", True),
        ("/serving/v2/repository/index", True),
        ("/v2/models/docs/infer", False),
        ("/v2/models/repository/infer", False),
        ("/v2/docsearch", False),
        ("/serving/v2/models/iris/ready", True),
        ("/v2/models/iris/infer", False),
        ("/v2/models/iris/generate", False),
        ("/v2/models/iris/infer_stream", False),
        ("/v2/models/iris/ready/infer", False),
        ("/predict/v2", False),
        ("/v2/predict", False),
        ("/predict", False),
        ("/", False),
    ],
)
def test_health_and_metadata_are_told_from_predictions(path: str, about: bool) -> None:
    assert is_about(Protocol.V2, path.encode()) is about


@pytest.mark.parametrize(
    ("protocol", "path", "about"),
    [
        (Protocol.SAGEMAKER, "/ping", True),
        (Protocol.SAGEMAKER, "/endpoints/iris/invocations", False),
        (Protocol.OPENAI, "/v1/models", True),
        (Protocol.OPENAI, "/v1/models/assistant", True),
        (Protocol.OPENAI, "/v1/chat/completions", False),
        (Protocol.OPENAI, "/v1/models/assistant/chat", False),
        (Protocol.PREDICT, "/explain", True),
        (Protocol.PREDICT, "/docs", True),
        (Protocol.PREDICT, "/docs/swagger-ui.css", True),
        (Protocol.PREDICT, "/openapi.json", True),
        (Protocol.PREDICT, "/predict", False),
        (Protocol.PREDICT, "/predict/explain", False),
        (Protocol.PREDICT, "/v1/models", False),
        (None, "/ping", False),
        (None, "/explain", False),
    ],
)
def test_each_language_has_its_own_paths_of_what_is_no_prediction(
    protocol: Protocol | None, path: str, about: bool
) -> None:
    assert is_about(protocol, path.encode()) is about


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("/endpoints/iris/invocations", "/invocations"),
        ("/endpoints/iris/invocations?a=/b?c", "/invocations?a=/b?c"),
        ("/endpoints/iris/invocations?", "/invocations?"),
        ("/endpoints/a%2Fb/invocations", "/invocations"),
        ("/invocations", "/invocations"),
        ("/ping", "/ping"),
        ("/endpoints/iris/invocations/", None),
        ("/endpoints/iris/invocations-response-stream", None),
        ("/endpoints/iris/async-invocations", None),
        ("/endpoints//invocations", None),
        ("/endpoints/a/b/invocations", None),
        ("/x/endpoints/iris/invocations", None),
        ("/x?/endpoints/iris/invocations", None),
        ("/Endpoints/iris/invocations", None),
    ],
)
def test_a_container_is_asked_where_it_knows_invocations(target: str, known: str | None) -> None:
    expected = target if known is None else known

    assert in_container(target.encode()) == expected.encode()


def test_nothing_else_of_a_request_changes_for_a_container() -> None:
    body = b"\r\n\r\nPOST /endpoints/x/invocations HTTP/1.1\r\n\x00\xff"
    rest = b" HTTP/1.1\r\nHost: a\r\nReferer: /endpoints/x/invocations\r\n\r\n" + body

    assert to_container(b"POST /endpoints/x/invocations?q" + rest) == b"POST /invocations?q" + rest
    assert to_container(b"POST /predict" + rest) == b"POST /predict" + rest


@given(st.binary(max_size=60))
def test_the_query_is_the_clients_whatever_it_is(query: bytes) -> None:
    asked = in_container(b"/endpoints/iris/invocations?" + query)

    assert asked == b"/invocations?" + query
    assert path_of(asked) == b"/invocations"
