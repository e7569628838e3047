"""What passes through the gateway and what it adds, over real sockets."""

from __future__ import annotations

import gzip
import json
from random import Random
from uuid import UUID

import pytest

from gateway.model import Match
from tests.builders import make_config, make_cookie, make_prediction, make_route, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Worker, answering, chunked, echo, eventually, request, saying

EVERY_BYTE = bytes(range(256))
BODIES = {
    "empty": b"",
    "json": b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}',
    "every byte": EVERY_BYTE * 7,
    "looks like http": b"0\r\n\r\nHTTP/1.1 500 Oops\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "gzip": gzip.compress(b'{"a": 1}' * 50),
    "1 MiB": Random(1).randbytes(1024 * 1024),
}


def single(worker: Worker, **rules: object):
    """A route with one version."""
    return make_config({"v1": worker.url}, **rules)


# --- requests


@pytest.mark.parametrize("name", BODIES)
def test_a_body_reaches_the_worker_byte_for_byte(name: str, serve: Serve, hire: Hire) -> None:
    worker = hire(answering())
    answer = serve(single(worker)).ask(body=BODIES[name])

    assert answer.status == 200
    assert worker.requests[0].body == BODIES[name]
    assert worker.requests[0]["content-length"] == str(len(BODIES[name]))


@pytest.mark.parametrize("name", BODIES)
def test_a_body_reaches_the_client_byte_for_byte(name: str, serve: Serve, hire: Hire) -> None:
    worker = hire(answering(body=BODIES[name], fields=[("Content-Encoding", "x-test")]))
    answer = serve(single(worker)).ask()

    assert answer.body == BODIES[name]
    assert answer["content-encoding"] == "x-test"


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"x"],
        [EVERY_BYTE, b"\r\n", b"0\r\n\r\n"],
        [bytes([byte]) for byte in EVERY_BYTE],
        [Random(2).randbytes(size) for size in (1, 70_000, 3, 300_000)],
    ],
    ids=["empty", "one", "few", "many", "large"],
)
def test_a_chunked_body_reaches_the_worker_with_one_framing(
    pieces: list[bytes], serve: Serve, hire: Hire
) -> None:
    worker = hire(answering())
    serve(single(worker)).ask(body=chunked(*pieces), fields=[("Transfer-Encoding", "chunked")])
    seen = worker.requests[0]

    assert seen.body == b"".join(pieces)
    assert seen["content-length"] == str(len(seen.body))
    assert "transfer-encoding" not in seen


def test_a_chunked_answer_reaches_the_client_whole(serve: Serve, hire: Hire) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
    worker = hire(saying(head + chunked(b"abc", EVERY_BYTE)))
    answer = serve(single(worker)).ask()

    assert answer.body == b"abc" + EVERY_BYTE
    assert answer["content-length"] == "259"
    assert answer["x-a"] == "1"


def test_space_around_the_values_of_an_answer_is_no_part_of_them(serve: Serve, hire: Hire) -> None:
    lines = b"Transfer-Encoding:\t chunked  \r\nX-A:  1  \r\n\r\n"
    worker = hire(saying(b"HTTP/1.1 200 OK\r\n" + lines + chunked(b"abc")))
    answer = serve(single(worker)).ask()

    assert (answer.status, answer.body, answer["x-a"]) == (200, b"abc", "1")


def test_chunk_extensions_and_trailers_end_here(serve: Serve, hire: Hire) -> None:
    worker = hire()
    body = b"3;why=not\r\nabc\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n"
    gateway = serve(single(worker))
    with gateway.client() as client:
        answer = client.ask(body=body, fields=[("Transfer-Encoding", "chunked")])
        again = client.ask(body=b"next")

    assert answer.json()["body"] == "abc"
    assert "x-trailer" not in worker.requests[0].names
    assert worker.requests[0]["host"] == "models.example"
    assert again.json()["body"] == "next"


def test_a_body_that_ends_with_the_connection_is_whole(serve: Serve, hire: Hire) -> None:
    worker = hire(saying(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n" + EVERY_BYTE, then="close"))
    answer = serve(single(worker)).ask()

    assert answer.body == EVERY_BYTE
    assert answer["content-length"] == "256"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
@pytest.mark.parametrize("body", [None, b"", b"{}"])
def test_every_method_passes(method: str, body: bytes | None, serve: Serve, hire: Hire) -> None:
    worker = hire()
    answer = serve(single(worker)).ask(method, "/a/b?c=d&e=%2F", body=body)

    assert answer.json()["method"] == method
    assert answer.json()["target"] == "/a/b?c=d&e=%2F"
    assert answer.json()["body"] == (body or b"").decode()
    assert ("content-length" in worker.requests[0]) == (body is not None)


def test_the_host_of_an_absolute_target_stands_above_the_host_field(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    served = serve(single(worker, match=Match(host="a.example")))
    answer = served.ask("GET", "http://a.example/p", body=None)

    assert answer.status == 200
    assert worker.requests[0]["host"] == "a.example"
    assert served.ask("GET", "http://b.example/p", body=None).status == 404


def test_the_absolute_form_of_a_target_becomes_a_path(serve: Serve, hire: Hire) -> None:
    worker = hire()
    answer = serve(single(worker)).ask("GET", "http://elsewhere.example/p?q", body=None)

    assert answer.json()["target"] == "/p?q"


def test_headers_reach_the_worker_as_they_were_and_say_where_they_came_from(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    sent = [
        ("X-Custom", "a  b"),
        ("x-custom", "c"),
        ("Authorization", "Bearer secret"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-User", "admin"),
        ("Forwarded", "for=1.2.3.4"),
        ("X-Real-IP", "1.2.3.4"),
    ]
    serve(single(worker)).ask(fields=sent)
    seen = worker.requests[0]

    assert [pair for pair in seen.fields if pair in sent] == sent[:6]
    assert seen["host"] == "models.example"
    assert seen["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == "models.example"
    assert not {"x-forwarded-user", "forwarded", "x-real-ip"} & seen.names


def test_what_concerns_one_connection_only_ends_here_in_both_directions(
    serve: Serve, hire: Hire
) -> None:
    hops = [
        ("Connection", "keep-alive, X-Private"),
        ("Keep-Alive", "timeout=5"),
        ("X-Private", "1"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "keep-alive"),
    ]
    worker = hire(answering(fields=[*hops, ("X-Public", "2")]))
    answer = serve(single(worker)).ask(fields=[*hops, ("X-Public", "2")])
    named = {name.lower() for name, _ in hops}

    assert not named & worker.requests[0].names
    assert not named & answer.names
    assert worker.requests[0]["x-public"] == answer["x-public"] == "2"


# --- answers


@pytest.mark.parametrize("status", [200, 201, 202, 299, 301, 400, 401, 404, 409, 422, 429, 499])
def test_a_status_passes_untouched(status: int, serve: Serve, hire: Hire) -> None:
    answer = serve(single(hire(answering(status, b'{"detail": "mine"}')))).ask()

    assert answer.status == status
    assert answer.body == b'{"detail": "mine"}'
    assert answer["x-model-version"] == "v1"


@pytest.mark.parametrize("status", [500, 501, 503, 507, 599])
def test_stables_own_failure_passes_untouched(status: int, serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire(answering(status, b'{"detail": "mine"}', [("Retry-After", "9")]))))
    answer = gateway.ask()

    assert answer.status == status
    assert answer.body == b'{"detail": "mine"}'
    assert answer["retry-after"] == "9"
    assert gateway.errors("v1") == {"upstream_5xx": 1}
    code = 500 if status == 599 else status  # nobody registered that one: it counts as its class
    assert gateway.answers("v1") == {f"weighted {code}": 1}


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_leaves_the_connection_in_step(
    status: int, serve: Serve, hire: Hire
) -> None:
    worker = hire(first=[saying(b"HTTP/1.1 %d X\r\nETag: 7\r\n\r\n" % status)])
    with serve(single(worker)).client() as client:
        bare = client.ask("GET", body=None)
        after = client.ask(body=b"next")

    assert (bare.status, bare.body, bare["etag"]) == (status, b"", "7")
    assert "transfer-encoding" not in bare
    assert after.json()["body"] == "next"


def test_a_204_that_calls_itself_an_event_stream_has_no_body(serve: Serve, hire: Hire) -> None:
    """With it an EventSource is told to stop asking."""
    head = b"HTTP/1.1 204 No Content\r\nContent-Type: text/event-stream\r\n\r\n"
    worker = hire(first=[saying(head)])
    with serve(single(worker)).client() as client:
        bare = client.ask("GET", body=None)
        after = client.ask(body=b"next")

    assert (bare.status, bare.body) == (204, b"")
    assert "transfer-encoding" not in bare
    assert after.json()["body"] == "next"


@pytest.mark.parametrize(
    "framing", [[("Content-Length", "12345")], [("Transfer-Encoding", "chunked")], []]
)
def test_head_is_answered_with_the_head_alone(
    framing: list[tuple[str, str]], serve: Serve, hire: Hire
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in framing)
    worker = hire(first=[saying(f"HTTP/1.1 200 OK\r\nETag: 7\r\n{lines}\r\n".encode())])
    with serve(single(worker)).client() as client:
        bare = client.ask("HEAD", body=None)
        after = client.ask(body=b"next")

    assert (bare.status, bare.body, bare["etag"]) == (200, b"", "7")
    assert bare.all("content-length") == [v for n, v in framing if n == "Content-Length"]
    assert after.json()["body"] == "next"


def test_several_fields_of_one_name_pass_in_their_order(serve: Serve, hire: Hire) -> None:
    fields = [("Set-Cookie", "a=1"), ("X-Other", "x"), ("Set-Cookie", "b=2")]
    answer = serve(single(hire(answering(fields=fields)))).ask()

    assert answer.all("set-cookie") == ["a=1", "b=2"]


def test_an_answer_says_who_gave_it(serve: Serve, hire: Hire) -> None:
    answer = serve(single(hire(answering(fields=[("X-Model-Version", "liar")])))).ask()

    assert answer["x-model-version"] == "v1"
    assert answer["x-model-route"] == "iris"
    assert answer["x-assignment"] == "weighted"


def test_a_request_id_is_echoed_and_told_to_the_worker(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(fields=[("X-Request-Id", "the worker's")]))
    answer = serve(single(worker)).ask(fields=[("x-request-id", "mine-1")])

    assert answer["x-request-id"] == "mine-1"
    assert worker.requests[0]["x-request-id"] == "mine-1"


def test_a_request_without_an_id_gets_one_of_its_own(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker))
    made = {gateway.ask()["x-request-id"] for _ in range(10)}

    assert len(made) == 10
    assert {seen["x-request-id"] for seen in worker.requests} == made


def test_an_id_that_is_made_is_a_uuid_as_some_servers_demand(serve: Serve, hire: Hire) -> None:
    for gateway in (serve(single(hire())), serve(single(hire()))):
        made = [gateway.ask()["x-request-id"] for _ in range(3)]

        assert [str(UUID(each)) for each in made] == made
        assert {UUID(each).version for each in made} == {4}


# --- connections


def test_connections_to_a_worker_are_used_again(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker))
    for _ in range(30):
        gateway.ask()

    assert worker.connections == 1
    assert len(worker.requests) == 30


def test_a_worker_that_says_close_gets_a_new_connection_each_time(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(fields=[("Connection", "close")]))
    gateway = serve(single(worker))
    answers = [gateway.ask().status for _ in range(5)]

    assert answers == [200] * 5
    assert worker.connections == 5
    assert gateway.retries("v1") == {}


def test_workers_of_http_1_0_are_understood(serve: Serve, hire: Hire) -> None:
    worker = hire(saying(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold", then="close"))
    gateway = serve(single(worker))
    bodies = [gateway.ask().body for _ in range(3)]

    assert bodies == [b"old"] * 3


def test_a_worker_behind_a_unix_socket_answers(serve: Serve, hire: Hire, tmp_path) -> None:
    worker = hire(path=str(tmp_path / "worker.sock"))
    answer = serve(single(worker)).ask(body=b"by file")

    assert worker.url.startswith("unix:")
    assert answer.json()["body"] == "by file"


# --- assignment


def test_one_of_two_versions_answers_as_the_draw_says(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    draws = iter([0.05, 0.5, 0.0999, 0.1, 0.99])
    gateway = serve(make_config({"v1": v1.url, "v2": (v2.url, 10)}), draw=lambda: next(draws))
    answers = [gateway.ask() for _ in range(5)]

    assert [answer["x-model-version"] for answer in answers] == ["v2", "v1", "v2", "v1", "v1"]
    assert [answer.json()["worker"] for answer in answers] == ["v2", "v1", "v2", "v1", "v1"]
    assert gateway.evidence("v2").assigned == 2
    assert gateway.evidence("v1").assigned == 3


def test_a_sticky_header_keeps_a_user_on_its_version(serve: Serve, hire: Hire) -> None:
    config = make_config({"v1": hire().url, "v2": (hire().url, 50)}, sticky=make_sticky())
    gateway = serve(config)
    first = {}
    for user in range(20):
        answer = gateway.ask(fields=[("X-User-Id", f"user-{user}")])
        first[user] = answer["x-model-version"]
        assert answer["x-assignment"] == "sticky"
    second = {
        user: gateway.ask(fields=[("X-User-Id", f"user-{user}")])["x-model-version"]
        for user in range(20)
    }

    assert first == second
    assert set(first.values()) == {"v1", "v2"}


def test_a_user_without_the_sticky_header_is_drawn(serve: Serve, hire: Hire) -> None:
    answer = serve(single(hire(), sticky=make_sticky())).ask()

    assert answer["x-assignment"] == "weighted"


def test_a_sticky_cookie_is_given_once_and_then_kept(serve: Serve, hire: Hire) -> None:
    config = make_config({"v1": hire().url, "v2": (hire().url, 50)}, sticky=make_cookie())
    gateway = serve(config)
    for _ in range(10):
        fresh = gateway.ask()
        cookie = fresh["set-cookie"].split(";")[0]
        again = [gateway.ask(fields=[("Cookie", f"x=y; {cookie}")]) for _ in range(3)]

        assert cookie.startswith("canary_id=")
        assert fresh["x-assignment"] == "sticky"
        assert {answer["x-model-version"] for answer in again} == {fresh["x-model-version"]}
        assert all("set-cookie" not in answer for answer in again)


def test_the_gateways_cookie_does_not_replace_the_workers(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(fields=[("Set-Cookie", "session=1")]))
    answer = serve(single(worker, sticky=make_cookie())).ask()

    assert [one.split("=")[0] for one in answer.all("set-cookie")] == ["session", "canary_id"]


def test_a_forced_version_answers_and_is_no_evidence(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    gateway = serve(make_config({"v1": v1.url, "v2": v2.url}, override="x-model-version"))
    answer = gateway.ask(fields=[("X-Model-Version", "v2")])

    assert (answer["x-model-version"], answer["x-assignment"]) == ("v2", "forced")
    assert gateway.evidence("v2").assigned == 0
    assert gateway.answers("v2") == {"forced 200": 1}


def test_an_unknown_version_is_refused_and_the_connection_goes_on(serve: Serve, hire: Hire) -> None:
    worker = hire()
    with serve(single(worker, override="x-model-version")).client() as client:
        refused = client.ask(fields=[("X-Model-Version", "v9"), ("X-Request-Id", "r1")])
        after = client.ask(body=b"next")

    assert refused.status == 400
    assert refused.json()["reason"] == "unknown_version"
    assert refused.json()["request_id"] == "r1"
    assert after.json()["body"] == "next"
    assert len(worker.requests) == 1


def test_the_first_route_that_matches_answers(serve: Serve, hire: Hire) -> None:
    iris, rest = hire(name="iris"), hire(name="rest")
    config = make_config(
        {"v1": iris.url},
        make_route({"v1": rest.url}, name="rest"),
        match=Match("/predict"),
    )
    gateway = serve(config)
    names = [
        gateway.ask(target=target).json()["worker"]
        for target in ("/predict", "/predict/x?y", "/predictor", "/")
    ]

    assert names == ["iris", "iris", "rest", "rest"]


def test_a_path_no_route_takes_is_a_404_and_the_connection_goes_on(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    with serve(single(worker, match=Match("/predict"))).client() as client:
        lost = client.ask(target="/nothing", body=b"x" * 1000)
        after = client.ask(body=b"next")

    assert lost.status == 404
    assert lost.json()["reason"] == "no_route"
    assert after.json()["body"] == "next"
    assert len(worker.requests) == 1


def test_predictions_are_counted_from_answers(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(body=json.dumps({"predictions": ["setosa"]}).encode()))
    gateway = serve(single(worker, prediction=make_prediction()))
    gateway.ask()

    assert gateway.evidence("v1").drawn_labels == {"setosa": 1, "__other__": 0}


def test_every_answer_counts_once_and_time_is_taken(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    for _ in range(5):
        gateway.ask()
    counts = gateway.counts("v1")

    assert gateway.answers("v1") == {"weighted 200": 5}
    assert sum(counts.waited.buckets) == sum(counts.worked.buckets) == 5
    assert 0 < counts.worked.sum <= counts.waited.sum


def test_many_requests_on_one_connection_are_all_answered(serve: Serve, hire: Hire) -> None:
    worker = hire(echo)
    with serve(single(worker)).client() as client:
        bodies = [client.ask(body=str(i).encode()).json()["body"] for i in range(200)]

    assert bodies == [str(i) for i in range(200)]
    eventually(lambda: worker.open == 1)


def test_what_is_sent_in_one_go_is_answered_in_order(serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        client.send(b"".join(request(body=str(i).encode()) for i in range(100)))
        bodies = [client.answer().json()["body"] for _ in range(100)]

    assert bodies == [str(i) for i in range(100)]
