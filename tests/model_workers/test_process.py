"""A worker as its users run it: a process, a socket, a signal."""

import ast
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

import model_workers
from model_workers.cli import app
from model_workers.revision import CODE_VERSION

FLOWER = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
PACKAGE = Path(model_workers.__file__).parent


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """Empty at first: the first worker trains what it needs."""
    return tmp_path_factory.mktemp("artefacts")


def command(artefacts: Path, *more: str) -> list[str]:
    worker = [sys.executable, "-m", "model_workers", "--model", "iris", "--version", "v2"]
    return [*worker, "--artefacts", str(artefacts), *more]


@contextmanager
def running(artefacts: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A worker that has said it is ready, and the address it gave."""
    with subprocess.Popen(
        command(artefacts, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=artefacts,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " v2 ready at " in line, process.communicate()[1]
            yield process, line.split()[-1]
        finally:
            process.kill()


def call(address: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_worker_trains_its_model_answers_and_ends_well_on_sigterm(artefacts):
    with running(artefacts, "--port", "0") as (process, address):
        status, body = call(address, "POST", "/predict", FLOWER)
        assert status == 200
        assert json.loads(body)["predictions"] == ["setosa"]
        assert (artefacts / "iris" / "v2.skops").exists()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")


def test_sigterm_does_not_wait_for_a_request_that_hangs(artefacts):
    hanging = ("--faults", "hang=1", "--timeout", "0.5")
    with running(artefacts, "--port", "0", *hanging) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            head = f"POST /predict HTTP/1.1\r\nHost: w\r\nContent-Length: {len(FLOWER)}\r\n\r\n"
            client.sendall(head.encode() + FLOWER)
            # Its health is answered while the request hangs, and shows that it has been taken up.
            while not json.loads(call(address, "GET", "/faults")[1])["met"]:
                pass
            assert call(address, "GET", "/healthy")[0] == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
            assert client.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_sigterm_lets_those_end_that_are_under_way(artefacts):
    slow = ("--faults", "latency=2s", "--timeout", "60")
    with running(artefacts, "--port", "0", *slow) as (process, address):
        with ThreadPoolExecutor(1) as client:
            asked = client.submit(call, address, "POST", "/predict", FLOWER)
            while not json.loads(call(address, "GET", "/faults")[1])["met"]:
                pass
            process.send_signal(signal.SIGTERM)
            assert asked.result()[0] == 200
        assert process.wait(timeout=60) == 0


def test_a_cut_answer_ends_before_its_promised_length(artefacts):
    with (
        running(artefacts, "--port", "0", "--faults", "cut=1") as (_, address),
        pytest.raises(http.client.IncompleteRead),
    ):
        call(address, "POST", "/predict", FLOWER)


def test_a_worker_answers_on_a_unix_socket_and_removes_it(artefacts, tmp_path):
    path = tmp_path / "w.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running(artefacts, "--uds", str(path)) as (process, address):
        assert address == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET /ready HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        taken = subprocess.run(
            command(artefacts, "--uds", str(path)), capture_output=True, text=True, check=False
        )
        assert taken.returncode == 1
        assert "somebody else does" in taken.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    assert not path.exists()


# --- what goes wrong with a request: a clear error, counted, and the next one is answered


def after(address: str, body: bytes, path: str = "/predict") -> tuple[int, str]:
    """What is answered, once a good request right behind it was answered too."""
    status, said = call(address, "POST", path, body)
    assert call(address, "PUT", "/faults")[0] == 200
    assert call(address, "POST", "/predict", FLOWER)[0] == 200
    return status, said.decode()


def test_each_way_to_fail_is_told_and_counted_and_the_worker_goes_on(artefacts):
    row = "[5.1, 3.5, 1.4, 0.2]"
    refused = {
        '{"instances": [[5.1, 3.5]]}': "the instance has 2 values; write 4, one for each feature",
        '{"instances": [[5.1, 3.5, 1.4, 99]]}': "petal width (cm) is 99; write a number from 0 to",
        '{"instances": [[5.1, 3.5, 1.4, "wide"]]}': "petal width (cm) is the text 'wide'; write a",
        '{"instances": [[5.1, 3.5, 1.4, NaN]]}': "petal width (cm) is NaN; write a number from",
        f'{{"instances": [{row}, {row}, {row}]}}': "3 instances; send at most 2 in one request",
        "": "the body is not JSON",
        "petals": "the body is not JSON",
    }
    options = ("--port", "0", "--limit", "2", "--timeout", "1")
    with running(artefacts, *options) as (process, address):
        for body, words in refused.items():
            status, said = after(address, body.encode())
            assert status == 422
            assert words in json.loads(said)["detail"][0]["msg"]
        status, said = after(address, b" " * ((1 << 20) + 1))
        assert (status, "larger than 1048576 bytes" in said) == (413, True)
        for fault, expected, words in (
            ("crash=1", 500, "the model failed; the worker's log says why"),
            ("stuck=1", 504, "the model hangs: not done within 1 s; the worker goes on"),
        ):
            assert call(address, "PUT", "/faults", fault.encode())[0] == 200
            status, said = after(address, FLOWER)
            assert (status, json.loads(said)) == (expected, {"error": words})
        stats = json.loads(call(address, "GET", "/stats")[1])
        assert stats["requests"] == {"422": 7, "413": 1, "500": 1, "504": 1, "200": 10}
        assert stats["failures"] == {"raised": 1, "hung": 1, "broken": 0, "overloaded": 0}
        while json.loads(call(address, "GET", "/stats")[1])["stuck"]:
            pass  # what hung is free again with the next plan, a moment later
        assert call(address, "GET", "/ready")[0] == 200
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert err.count("Traceback") == 1
        assert "RuntimeError: the model raises because its faults say so" in err


def test_a_worker_whose_model_hangs_again_and_again_asks_to_be_started_anew(artefacts):
    plan = ("--faults", "stuck=1", "--timeout", "1")
    with running(artefacts, "--port", "0", *plan) as (process, address):
        with ThreadPoolExecutor(4) as clients:
            asked = [clients.submit(call, address, "POST", "/predict", FLOWER) for _ in range(4)]
        assert [one.result()[0] for one in asked] == [504] * 4
        assert call(address, "POST", "/predict", FLOWER)[0] == 503
        for path in ("/ready", "/healthy", "/ping", "/v2/health/ready", "/v2/models/iris/ready"):
            assert call(address, "GET", path)[0] == 503
        assert b"4 predictions hang; start this worker anew" in call(address, "GET", "/ready")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0  # what hangs does not keep it


def test_an_unseen_category_is_refused_by_the_name_of_its_feature(artefacts):
    options = ["--model", "diabetes", "--predictor", "dummy", "--port", "0"]
    row = [50, "3", 25, 90, 190, 110, 50, 4, 4.6, None]
    with running(artefacts, *options) as (_, address):
        status, said = ask(address, row)
        assert status == 422
        (problem,) = json.loads(said)["detail"]
        assert problem["loc"] == ["body", "instances", 0, 1]
        assert problem["msg"] == "sex is the text '3'; write one of '1', '2'"
        assert ask(address, [*row[:1], "2", *row[2:]])[0] == 200


def ask(address: str, row: list[object]) -> tuple[int, bytes]:
    return call(address, "POST", "/predict", json.dumps({"instances": [row]}).encode())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--version", "v9"], "iris has no recipe 'v9'; choose one of v1, v2, v3"),
        (["--faults", "eror=1"], "there is no fault 'eror'; did you mean errors?"),
        (["--model", "nope"], "diabetes, tickets, assistant"),
        (["--predictor", "v1", "--registry", "x"], "--registry or --predictor, not both"),
        (["--model", "assistant", "--registry", "x"], "leave --registry away"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(more, words):
    said = CliRunner().invoke(app, ["serve", "--model", "iris", "--version", "v2", *more])
    assert said.exit_code == 2
    assert words in " ".join(said.stderr.replace("│", "").split())


def test_an_address_that_cannot_be_had_is_one_sentence_and_exit_code_1(artefacts):
    done = subprocess.run(
        command(artefacts, "--host", "203.0.113.1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "choose another --port" in done.stderr


def test_a_damaged_artefact_is_one_sentence_and_exit_code_1(tmp_path):
    (tmp_path / "iris").mkdir()
    (tmp_path / "iris" / "v2.skops").write_bytes(b"no model")
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "v2.skops is damaged or no artefact" in done.stderr


# --- what a worker may know


def imported() -> set[str]:
    """The first part of every module name that the package imports, from anywhere in its code."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).split(".")[0])
    return names


def test_workers_know_nothing_of_the_gateway():
    assert imported().isdisjoint({"gateway", "monitoring"})


def test_the_image_is_tagged_with_the_version_of_the_code_that_answers():
    root = Path(__file__).parents[2]
    told = (root / "docker-compose.yml").read_text() + (
        root / "model_workers" / "Dockerfile"
    ).read_text()

    assert set(re.findall(r"model-worker:(\S+)", told)) == {CODE_VERSION}


def test_the_image_installs_all_that_is_imported():
    distributions = {"sklearn": "scikit-learn"}
    extras = {"pyarrow", "shap", "xgboost"}  # whoever uses one installs it
    packages = imported() - sys.stdlib_module_names - extras
    needed = {distributions.get(name, name) for name in packages}
    installed = re.findall(r"^([\w-]+)==", (PACKAGE / "requirements.txt").read_text(), re.M)
    assert needed <= set(installed)
