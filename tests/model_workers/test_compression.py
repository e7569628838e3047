"""Bodies that clients compress."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_workers.protocols.compression import Broken, TooLarge, Unsupported, unpack

BODY = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()
LIMIT = 1000


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)  # a name of a test must not tell the time


def raw(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


@given(st.binary(max_size=LIMIT))
def test_what_was_compressed_comes_back(body):
    assert unpack(zipped(body), "gzip", LIMIT) == body
    assert unpack(zipped(body[:9]) + zipped(body[9:]), "x-gzip", LIMIT) == body
    assert unpack(zlib.compress(body), "Deflate", LIMIT) == body
    assert unpack(body, "identity", LIMIT) == unpack(body, "", LIMIT) == body


def test_deflate_without_the_head_of_zlib_is_understood_too():
    assert unpack(raw(BODY), "deflate", LIMIT) == BODY


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "gzip, gzip"]))
def test_any_bytes_come_out_or_are_refused(body, coding):
    try:
        unpack(body, coding, LIMIT)
    except (Broken, TooLarge, Unsupported):
        return


def test_one_byte_more_than_allowed_is_too_large():
    assert unpack(zipped(bytes(LIMIT)), "gzip", LIMIT) == bytes(LIMIT)
    for packed in (bytes(LIMIT + 1), bytes(100 * LIMIT)):
        with pytest.raises(TooLarge):
            unpack(zipped(packed), "gzip", LIMIT)


@pytest.mark.parametrize(
    "body",
    [b"", BODY, zipped(BODY)[:-1], zipped(BODY) + b"x", zipped(b"") * 200],
)
def test_what_is_no_whole_gzip_is_broken(body):
    with pytest.raises(Broken):
        unpack(body, "gzip", LIMIT)


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", zipped(BODY)), ("deflate", zlib.compress(BODY))]
)
@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_compressed_body_is_answered_like_a_plain_one(connect, coding, body, path):
    client = connect()
    found = client.post(path, content=body, headers={"Content-Encoding": coding})
    assert found.json() == client.post(path, content=BODY).json()


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", zipped(bytes(64 << 20)), 413),
        ("deflate", zlib.compress(bytes(64 << 20)), 413),
        ("gzip", b"plain", 400),
        ("br", b"\x0b\x02\x80{}\x03", 415),
    ],
)
def test_bombs_broken_bodies_and_unknown_codings_are_refused(connect, coding, body, status):
    client = connect()
    for path in ("/predict", "/invocations", "/v2/models/iris/infer"):
        response = client.post(path, content=body, headers={"Content-Encoding": coding})
        assert response.status_code == status
        assert response.json()["error"]
        assert ("accept-encoding" in response.headers) is (status == 415)
