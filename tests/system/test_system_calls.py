"""What a request costs the kernel: two reads and two writes, and nothing else that grows with
the number of requests.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TEXT = """\
routes:
  iris:
    stable: v1
    prediction: {{label: /predictions/0}}
    versions:
      v1: {{url: "http://127.0.0.1:{port}"}}
"""
BODY = b'{"predictions": ["setosa"]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
REQUESTS = 3000
# Looking at the file and waking up for it: some twenty calls a second, whatever is asked. So many
# seconds the machine may take for the requests.
OTHERS = 20 * 60


def request(number: int, *, same: bool) -> bytes:
    """Whole, in one piece; ``same``: with the head of all others."""
    trace = b"" if same else b"X-Trace: %d\r\n" % number
    return b"POST / HTTP/1.1\r\nHost: a\r\n%bContent-Length: 2\r\n\r\n{}" % trace


def answer_all(server: socket.socket) -> None:
    """One client's requests, as long as there is one."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            while client.recv(65536):
                client.sendall(ANSWER)


@pytest.fixture
def worker() -> Iterator[int]:
    """The port of a worker that answers each piece with one piece."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_all, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def calls(pid: int) -> tuple[int, int]:
    """How often a process has called read and write, and their like (proc(5), /proc/PID/io)."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    counted = dict(line.split(": ") for line in lines)
    return int(counted["syscr"]), int(counted["syscw"])


@pytest.mark.parametrize("same", [True, False], ids=["one head", "many heads"])
def test_a_request_is_two_reads_and_two_writes(system: Any, worker: int, same: bool) -> None:
    served = system.gateway(TEXT.format(port=worker))
    with socket.create_connection(("127.0.0.1", served.data_port)) as client:

        def ask(number: int) -> None:
            client.sendall(request(number, same=same))
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert answer.endswith(BODY)

        for number in range(10):
            ask(number)
        reads, writes = calls(served.process.pid)
        for number in range(REQUESTS):
            ask(number)
        more_reads, more_writes = calls(served.process.pid)

    assert 2 * REQUESTS <= more_reads - reads < 2 * REQUESTS + OTHERS
    assert 2 * REQUESTS <= more_writes - writes < 2 * REQUESTS + OTHERS
