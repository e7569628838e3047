"""Chat completions in OpenAI's shape, over ASGI; streams in the middle over a socket."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from model_workers.models.assistant import find_chat
from model_workers.models.assistant_corpus import replies, topic_of
from model_workers.models.model import UnknownModel
from model_workers.predictors.speaker import Speaker, Turn, tokens
from model_workers.protocols import chat
from model_workers.protocols.chat import BadChat
from model_workers.protocols.ending import Ending
from model_workers.serving.app import create_chat_app
from model_workers.serving.faults import parse
from model_workers.serving.worker import Limits

PATH = "/v1/chat/completions"
QUESTION = [{"role": "user", "content": "Where is my parcel?"}]


@cache
def speaker_of(version: str) -> Speaker:
    return find_chat("assistant", version).make()


@pytest.fixture
def talk() -> Callable[..., TestClient]:
    """A client of a chat worker in this process."""

    def client(version: str = "v2", faults: str = "") -> TestClient:
        app = create_chat_app(version, "assistant", speaker_of(version), parse(faults))
        return TestClient(app, client=("127.0.0.1", 50_000), raise_server_exceptions=False)

    return client


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "assistant", "messages": QUESTION} | more


def said(client: TestClient, **more: Any) -> Any:
    response = client.post(PATH, json=asked(**more))
    assert response.status_code == 200, response.text
    return response.json()


def events(body: str) -> list[Any]:
    """The documents of a stream, which ends as it must."""
    *parts, done, rest = body.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


# --- the language model


def spoken(version: str, seed: int = 0, temperature: float = 1.0, text: str = "refund?") -> str:
    speaker = speaker_of(version)
    return "".join(islice(speaker.speak([Turn("user", text)], seed, temperature), 300))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_same_seed_says_the_same_and_others_say_more(version):
    assert spoken(version, 7) == spoken(version, 7)
    assert len({spoken(version, seed) for seed in range(20)}) > 5
    assert spoken(version, 1, 0.0) == spoken(version, 2, 0.0)


def test_a_model_says_nothing_but_words_of_its_corpus():
    known = {token.strip() for _, text in replies() for token in tokens(text)}
    for version in ("v1", "v2"):
        assert {token.strip() for token in tokens(spoken(version, 5))} <= known


def test_the_trigram_model_stays_closer_to_its_corpus_than_the_bigram_model():
    pairs = set()
    for _, text in replies():
        words = tokens(text)
        pairs |= set(zip(words, words[1:], words[2:], strict=False))

    def unknown(version: str) -> int:
        found = [tokens(spoken(version, seed)) for seed in range(30)]
        runs = (run for words in found for run in zip(words, words[1:], words[2:], strict=False))
        return sum(run not in pairs for run in runs)

    assert unknown("v2") == 0 < unknown("v1")


def test_a_question_has_a_topic():
    assert topic_of("My PARCEL is late") == "delivery"
    assert topic_of("money back!") == "refund"
    assert topic_of("") == "other"


def test_the_dummy_says_the_question_again():
    assert spoken("dummy", text="Is it you?") == "Is it you?"


def test_there_are_no_other_recipes():
    with pytest.raises(UnknownModel, match="choose one of v1, v2, dummy"):
        find_chat("assistant", "v9")


@given(st.text())
def test_tokens_joined_are_the_text(text):
    assert "".join(tokens(text)) == text


# --- where a reply ends


@given(
    st.lists(st.text("ab", max_size=3), max_size=12),
    st.lists(st.text("ab", min_size=1, max_size=3), max_size=3),
    st.integers(1, 12),
)
def test_a_reply_ends_before_its_first_stop_word_however_it_is_cut_into_tokens(parts, stop, most):
    ending = Ending(iter(parts), most, stop)
    found = "".join(ending)

    text = "".join(parts[:most])
    if any(word in text for word in stop):
        assert any(text.startswith(found + word) for word in stop)
        assert not any(word in found for word in stop)
        assert ending.reason == "stop"
    else:
        assert found == text
        assert ending.reason == ("length" if len(parts) > most else "stop")
    assert ending.used <= most


def test_text_that_may_begin_a_stop_word_is_held_back_until_it_is_clear():
    ending = Ending(iter(["Hel", "lo", " wor", "k"]), 9, ["world"])
    assert list(ending) == ["Hel", "lo", " ", "work"]
    assert list(Ending(iter(["a", " wor"]), 9, ["world"])) == ["a", " ", "wor"]


# --- whole answers


def test_an_answer_has_a_message_a_finish_reason_and_the_tokens_used(talk):
    body = said(talk())
    (choice,) = body["choices"]
    assert (body["object"], body["model"]) == ("chat.completion", "assistant")
    assert body["system_fingerprint"].startswith("v2-")
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "stop"
    used = len(tokens(choice["message"]["content"]))
    assert body["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": used,
        "total_tokens": 5 + used,
    }


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_of_tokens_ends_a_reply(talk, name):
    body = said(talk(), **{name: 3})
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("stop", ["parcel", ["nowhere", "parcel"]])
def test_a_stop_word_ends_a_reply_before_it(talk, stop):
    body = said(talk("dummy"), stop=stop)
    assert body["choices"][0]["message"]["content"] == "Where is my "
    assert body["choices"][0]["finish_reason"] == "stop"


def test_a_message_may_be_in_parts_and_the_last_question_counts(talk):
    parts = [{"type": "text", "text": "Where "}, {"type": "text", "text": "now?"}]
    messages = [
        {"role": "system", "content": "Be kind."},
        *QUESTION,
        {"role": "assistant", "content": None},
        {"role": "user", "content": parts},
    ]
    body = said(talk("dummy"), messages=messages)
    assert body["choices"][0]["message"]["content"] == "Where now?"


def test_wishes_that_change_nothing_of_the_form_are_passed_over(talk):
    wishes = {"user": "u", "presence_penalty": 1, "tools": [], "store": True, "n": 1, "seed": None}
    assert said(talk(), **wishes)["choices"] == said(talk())["choices"]


# --- streams


def test_a_stream_says_the_same_in_pieces_role_first_and_the_reason_last(talk):
    client = talk()
    whole = said(client, seed=3)
    response = client.post(PATH, json=asked(seed=3, stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    found = events(response.text)
    choices = [each["choices"][0] for each in found]
    assert choices[0]["delta"]["role"] == "assistant"
    assert (
        "".join(each["delta"].get("content", "") for each in choices)
        == (whole["choices"][0]["message"]["content"])
    )
    assert [each["finish_reason"] for each in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert len({each["id"] for each in found}) == 1
    assert {each["object"] for each in found} == {"chat.completion.chunk"}
    assert not any("usage" in each for each in found)


def test_the_usage_of_a_stream_comes_last_where_it_is_asked_for(talk):
    client = talk()
    usage = {"stream_options": {"include_usage": True}}
    *before, last = events(client.post(PATH, json=asked(stream=True, max_tokens=4, **usage)).text)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 4)
    assert [each["usage"] for each in before] == [None] * len(before)
    assert before[-1]["choices"][0]["finish_reason"] == "length"


# --- refusals


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"messages": None}, "messages", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [*QUESTION, {"role": "boss"}]}, "messages[1].role", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "text": ""}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        ({"n": 2}, "n", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_value"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"stop": [""]}, "stop", "invalid_value"),
        ({"stop": list("abcde")}, "stop", "invalid_value"),
        ({"logprobs": True}, "logprobs", "invalid_value"),
        ({"logprobs": 0}, "logprobs", "invalid_value"),
        ({"n": True}, "n", "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "response_format.type", "invalid_value"),
        ({"stream_options": {}}, "stream_options", None),
    ],
)
def test_a_wrong_request_is_refused_with_its_parameter(talk, changes, param, code):
    response = talk().post(PATH, json=asked(**changes))
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(param)
    assert error["code"] == code
    assert error["message"]


def test_a_body_that_is_no_json_and_one_that_is_no_object_are_refused(talk):
    client = talk()
    for body in (b"", b"{", b"\xff", b"[1]", b"null", b"[" * 100_000):
        response = client.post(PATH, content=body)
        assert response.status_code == 400
        error = response.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert "_Body" not in error["message"]  # our own names are nobody's business


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content"]), inner),
    max_leaves=6,
)
BODIES = st.dictionaries(st.sampled_from(["messages", "stop", "n", "stream"]), ANY).map(
    lambda found: {"model": "assistant"} | found
)


@given(st.binary() | BODIES.map(lambda it: json.dumps(it).encode()))
def test_any_body_is_a_request_or_refused(body):
    try:
        found = chat.decode(body, "assistant")
    except BadChat as error:
        json.dumps(chat.refusal(str(error), error.status, error.param)).encode()
        return
    assert found.turns


def test_another_model_is_404_in_the_words_clients_know(talk):
    client = talk()
    answers = [client.post(PATH, json=asked(model="gpt")), client.get("/v1/models/gpt")]
    for response in answers:
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"


def test_whatever_goes_wrong_below_v1_has_the_same_shape(talk):
    client = talk(faults="errors=1")
    answers = [
        client.get(PATH),
        client.get("/v1/nothing"),
        client.post(PATH, content=b" " * ((1 << 20) + 1)),
        client.post(PATH, json=asked()),
    ]
    assert [each.status_code for each in answers] == [405, 404, 413, 500]
    for response in answers:
        assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert client.get("/nothing").json() == {
        "error": "GET /nothing: Not Found; GET /v1/models names what is served"
    }
    assert client.get("/v1/models").status_code == 200


def test_the_one_model_is_listed(talk):
    client = talk()
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"]) == ("assistant", "model")
    assert client.get("/v1/models/assistant").json() == model


# --- faults and counts


def test_replies_are_counted_by_their_end_with_their_tokens(talk):
    client = talk()
    used = said(client)["usage"]["completion_tokens"]
    client.post(PATH, json=asked(stream=True, max_tokens=2))
    found = client.get("/stats").json()
    assert found["predictions"] == {"stop": 1, "length": 1}
    assert found["completion_tokens"] == used + 2
    assert (found["model_version"], found["cancelled"]) == ("v2", 0)


def test_a_constant_fault_is_the_end_of_each_reply(talk):
    client = talk(faults="constant=length")
    assert said(client)["choices"][0]["finish_reason"] == "length"
    assert client.get("/stats").json()["predictions"] == {"stop": 0, "length": 1}


@pytest.mark.parametrize("stream", [True, False])
def test_garbage_is_no_json_and_a_crash_is_an_error(talk, stream):
    assert talk(faults="garbage=1").post(PATH, json=asked(stream=stream)).text.startswith("<html>")
    crashed = talk(faults="crash=1").post(PATH, json=asked(stream=stream))
    assert (crashed.status_code, crashed.json()["error"]["type"]) == (500, "server_error")


class Failing:
    """A language model that says so many tokens and then raises."""

    def __init__(self, said: int) -> None:
        self._said = said

    def speak(self, turns: object, seed: int, temperature: float) -> Iterator[str]:
        yield from ["well "] * self._said
        raise ArithmeticError


def failing(said: int) -> TestClient:
    return TestClient(create_chat_app("v1", "assistant", Failing(said)))


@pytest.mark.parametrize(("said", "stream"), [(0, True), (0, False), (3, False)])
def test_a_model_that_raises_before_its_answer_begins_is_a_500_and_counted(said, stream):
    with failing(said) as client:
        answer = client.post(PATH, json=asked(stream=stream))
        assert answer.status_code == 500
        assert answer.json()["error"]["message"] == "the model failed; the worker's log says why"
        assert client.get("/stats").json()["failures"]["raised"] == 1
        assert client.get("/ready").status_code == 200


def test_a_model_that_raises_in_the_middle_of_a_stream_ends_it_with_an_error(caplog):
    with failing(3) as client:
        *parts, last = (
            client.post(PATH, json=asked(stream=True)).text.removesuffix("\n\n").split("\n\n")
        )
        assert [json.loads(part[6:])["choices"][0]["delta"].get("content") for part in parts] == [
            "",
            *["well "] * 3,
        ]
        assert json.loads(last[6:])["error"]["type"] == "server_error"
        told = client.get("/stats").json()
        assert told["failures"]["raised"] == 1
        assert sum(told["predictions"].values()) == 0
    assert "ArithmeticError" in caplog.text


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_hangs_is_given_up_and_the_next_plan_frees_it(stream):
    limits = Limits(timeout_s=0.05)
    app = create_chat_app("v1", "assistant", speaker_of("v1"), parse("stuck=1"), limits)
    with TestClient(app, client=("127.0.0.1", 50_000)) as client:
        answer = client.post(PATH, json=asked(stream=stream))
        assert answer.status_code == 504
        assert "the model hangs" in answer.json()["error"]["message"]
        assert client.get("/stats").json()["failures"]["hung"] == 1
        client.put("/faults")
        assert said(client)["choices"]
        while client.get("/stats").json()["stuck"]:
            pass


# --- in the middle of a stream, over a socket


class Talking:
    """A chat worker in a process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port

    def plan(self, faults: str) -> None:
        request = urllib.request.Request(f"{self.url}/faults", faults.encode(), method="PUT")
        urllib.request.urlopen(request, timeout=20).close()

    def stats(self) -> Any:
        with urllib.request.urlopen(f"{self.url}/stats", timeout=20) as answer:
            return json.load(answer)

    def begin(self, **more: Any) -> socket.socket:
        """A request whose answer nobody has read yet."""
        body = json.dumps(asked(**more)).encode()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talking]:
    command = [sys.executable, "-m", "model_workers", "--model", "assistant", "--version", "v2"]
    folder = tmp_path_factory.mktemp("talking")
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [*command, "--port", "0"],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("assistant v2 ready at http://127.0.0.1:"), line
    yield Talking(int(line.rpartition(":")[2]))
    process.terminate()
    process.wait(20)
    process.stdout.close()


def until(connection: socket.socket, mark: bytes) -> bytes:
    found = b""
    while mark not in found:
        part = connection.recv(65536)
        assert part, found
        found += part
    return found


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
    raise AssertionError("it never happened")


def test_a_stream_is_sent_token_by_token_and_a_client_that_leaves_ends_it(talking):
    talking.plan("pace=1000s")
    before = talking.stats()
    with talking.begin(stream=True) as connection:
        found = until(connection, b'"delta":{"content":"')
        assert b'"role":"assistant"' in found
        assert b"[DONE]" not in found
    eventually(lambda: talking.stats()["cancelled"] == before["cancelled"] + 1)
    assert talking.stats()["predictions"] == before["predictions"]


def test_a_client_of_http_1_0_which_knows_no_chunks_gets_all_events_with_their_length(talking):
    talking.plan("")
    body = json.dumps(asked(stream=True)).encode()
    with socket.create_connection(("127.0.0.1", talking.port), timeout=20) as connection:
        head = f"POST {PATH} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        found = b""
        while part := connection.recv(65536):
            found += part
    told, _, sent = found.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in told.lower()
    assert f"content-length: {len(sent)}\r\n".encode() in told
    assert sent.startswith(b"data: {")
    assert sent.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(("plan", "counted"), [("pace=1000s", 1), ("hang=1", 0)])
def test_a_client_that_does_not_wait_for_a_whole_reply_ends_it_too(talking, plan, counted):
    talking.plan(plan)
    before = talking.stats()
    with talking.begin():
        eventually(lambda: _met(talking) == 1)
    eventually(lambda: talking.stats()["requests"].get("499", 0) > before["requests"].get("499", 0))
    assert talking.stats()["cancelled"] == before["cancelled"] + counted


def _met(talking: Talking) -> int:
    with urllib.request.urlopen(f"{talking.url}/faults", timeout=20) as answer:
        return int(json.load(answer)["met"])


def test_a_cut_stream_breaks_off_between_two_tokens_and_is_not_counted_as_a_reply(talking):
    talking.plan("cut=1")
    before = talking.stats()
    with talking.begin(stream=True) as connection:
        found = b""
        while part := connection.recv(65536):
            found += part
    assert found.count(b'"delta":{"content":') > 0
    assert b'"finish_reason":"' not in found
    assert not found.endswith(b"0\r\n\r\n")
    after = talking.stats()
    assert after["requests"]["cut"] == before["requests"].get("cut", 0) + 1
    assert after["predictions"] == before["predictions"]
