"""Many clients and workers with every fault at once, against a gateway in a process of its own.

``python -m tests.chaos --minutes 15`` runs for so long, prints what came of it every minute, and
ends with 1 if a promise was broken; ``tests/system/test_chaos.py`` runs a fixed number of requests.
Who asks and who breaks draw from seeds, so the same mix comes each time; how it interleaves does
not. Every request carries a token, and a good answer repeats it: whoever gets another token has got
somebody else's answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PATIENCE: Final = 60.0  # seconds until something counts as hung
OK: Final = b"HTTP/1.1 200 OK\r\n"
PATHS: Final = ("/healthy", "/canary", "/faulty")
LARGE: Final = 300_000  # bytes
SETTLING: Final = 8.0  # seconds: two looks at what the allocator could give back
TEXT: Final = """\
routes:
  healthy:
    match: {{path: /healthy}}
    stable: v1
    timeout: 20s
    versions:
      v1: {{url: "{healthy}"}}
  canary:
    match: {{path: /canary}}
    stable: v1
    timeout: 20s
    versions:
      v1: {{url: "{healthy}"}}
      v2: {{url: "{candidate}", weight: 50}}
  faulty:
    match: {{path: /faulty}}
    stable: v1
    timeout: 1s
    versions:
      v1: {{urls: ["{first}", "{second}"]}}
"""


# --- workers


def whole(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(body: bytes, size: int, head: bytes = OK) -> list[bytes]:
    """The pieces of a chunked answer, the last chunk last."""
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return [head + b"Transfer-Encoding: chunked\r\n\r\n", *framed, b"0\r\n\r\n"]


EVENTS = OK + b"Content-Type: text/event-stream\r\n"
FALSE = whole(b'{"token": "of somebody else"}')
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"
STAY, CLOSE, RESET, HANG = "stay", "close", "reset", "hang"

# What a worker says instead of, or around, the right body, and what it does then.
Fault = Callable[[bytes], tuple[list[bytes], str]]
FAULTS: Final[list[Fault]] = [
    *[lambda body: ([whole(body)], STAY)] * 12,
    *[lambda body: (chunked(body, 20), STAY)] * 2,
    lambda body: ([b"".join(chunked(body, 20))], STAY),
    lambda body: ([whole(body)[i : i + 9] for i in range(0, len(whole(body)), 9)], STAY),
    lambda body: (chunked(body, 30, EVENTS), STAY),
    lambda body: (chunked(body, 30, EVENTS)[:-1], CLOSE),
    lambda body: ([whole(body[:-1] + b" " * LARGE + b"}")], STAY),
    lambda body: ([whole(body[:-1] + b" " * LARGE + b"}")[:-1]], CLOSE),
    lambda body: ([whole(body) + FALSE], STAY),
    lambda body: ([whole(body) + FALSE[:-3]], RESET),
    lambda body: ([whole(body) + b"surplus"], STAY),
    lambda body: ([INTERIM + whole(body)], STAY),
    lambda body: ([INTERIM, INTERIM, whole(body)], STAY),
    lambda body: ([whole(body)], CLOSE),
    lambda body: ([whole(body, OK + b"Connection: close\r\n")], STAY),
    lambda body: ([OK + b"\r\n" + body], CLOSE),
    lambda body: ([whole(body)[:-5]], RESET),
    lambda body: ([whole(body)[:-5]], CLOSE),
    lambda body: (chunked(body, 9)[:-1], CLOSE),
    lambda body: ([], RESET),
    lambda body: ([], CLOSE),
    lambda body: ([b"HTTP/1.1 2"], CLOSE),
    lambda body: ([b"nonsense\r\n\r\n"], STAY),
    lambda body: ([body], CLOSE),
    lambda body: ([whole(body, b"HTTP/1.1 500 Oops\r\n")], STAY),
    lambda body: ([whole(b"x" * 100_000, b"HTTP/1.1 503 Busy\r\n")], STAY),
    lambda body: ([OK + b"Content-Length: 3\r\n" + whole(body)[len(OK) :]], STAY),
    lambda body: ([OK + b"Transfer-Encoding: chunked\r\n" + whole(body)[len(OK) :]], STAY),
    lambda body: ([OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n" + body], STAY),
    lambda body: ([b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"], STAY),
    lambda body: ([OK + b"X: " + b"y" * 200_000], STAY),
    lambda body: ([INTERIM * 4000], STAY),
]
SLOW: Final[list[Fault]] = [
    lambda body: ([], HANG),
    lambda body: ([OK], HANG),
    lambda body: ([whole(body)[:-5]], HANG),
    lambda body: ([INTERIM], HANG),
]


@dataclass
class Worker:
    """Answers with the token it was sent; a faulty one in every way there is."""

    faulty: bool
    draw: Random
    slow_share: float = 0.01
    url: str = ""

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        await reader.readexactly(int(fields.get("content-length", "0")))
        body = json.dumps({"token": fields["x-token"]}).encode()
        pieces, then = ([whole(body)], STAY)
        if self.faulty:
            slow = self.draw.random() < self.slow_share
            pieces, then = self.draw.choice(SLOW if slow else FAULTS)(body)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0)
        if then == HANG:
            await reader.read()
        elif then == RESET:
            end_with_reset(writer)
        elif then == CLOSE:
            writer.close()
        return then == STAY


def end_with_reset(writer: asyncio.StreamWriter) -> None:
    """What was not read is lost, and the other side is told so."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# --- clients


@dataclass
class Tally:
    """What the clients saw. Everything in ``wrong`` is a broken promise."""

    statuses: dict[str, Counter[int]] = field(
        default_factory=lambda: {path: Counter() for path in PATHS}
    )
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    left: int = 0
    cut_streams: int = 0

    def note(self, kind: str, example: str) -> None:
        self.wrong[kind] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{kind}: {example}")

    @property
    def asked(self) -> int:
        return sum(counter.total() for counter in self.statuses.values())

    def failed(self, path: str) -> float:
        """The share of a path's answers that are none."""
        counter = self.statuses[path]
        return 1 - counter[200] / max(counter.total(), 1)


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes


class Cut(Exception):
    """The connection ended in the middle of an answer."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """A whole answer, strictly. Raises Cut, or ValueError if it is none."""
    fields: dict[str, str] = {}
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        for line in filter(None, lines[1:]):
            name, value = line.split(": ", 1)
            if name.lower() in fields and name.lower() == "content-length":
                raise ValueError("two lengths")
            fields[name.lower()] = value
        body = b""
        if "transfer-encoding" in fields:
            while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
                body += await reader.readexactly(size)
                if await reader.readexactly(2) != b"\r\n":
                    raise ValueError("a bad chunk")
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(fields["content-length"]))
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Cut(fields) from error
    return Answer(int(lines[0].split(" ")[1]), fields, body)


class Client:
    """Asks for its own tokens, looks at what it gets, and leaves when it likes."""

    def __init__(self, number: int, seed: int, port: int, tally: Tally, *, rude: bool) -> None:
        self._number = number
        self._draw = Random(f"{seed}-{number}")
        self._port = port
        self._tally = tally
        self._rude = rude

    async def ask(self, until: Callable[[int], bool]) -> None:
        turn = 0
        while not until(turn):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with suppress(Cut, OSError):
                while not until(turn):
                    turn += 1
                    await self._turn(turn, reader, writer)
            writer.transport.abort()

    async def _turn(
        self, turn: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        draw = self._draw
        path = draw.choice(PATHS)
        tokens = [f"{self._number}-{turn}-{i}" for i in range(draw.choice((1, 1, 1, 3)))]
        asked = b"".join(
            b"POST %b HTTP/1.1\r\nHost: a\r\nX-Token: %b\r\nContent-Length: 2\r\n\r\n{}"
            % (path.encode(), token.encode())
            for token in tokens
        )
        if self._rude and draw.random() < 0.06:
            self._tally.left += 1
            writer.write(asked[: draw.randrange(len(asked) + 1)])
            await asyncio.sleep(draw.random() * 0.05)
            if draw.random() < 0.5:
                end_with_reset(writer)
            raise Cut({})
        writer.write(asked)
        for token in tokens:
            await self._look(path, token, reader)

    async def _look(self, path: str, token: str, reader: asyncio.StreamReader) -> None:
        tally = self._tally
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await read_answer(reader)
        except TimeoutError:
            tally.note("hung", token)
            raise Cut({}) from None
        except ValueError as error:
            tally.note("corrupt", f"{token} {error}")
            raise Cut({}) from error
        except Cut as cut:
            if "event-stream" in cut.fields.get("content-type", ""):
                tally.cut_streams += 1  # what was passed on cannot be taken back
            else:
                tally.note("cut", f"{path} {token} {cut.fields}")
            raise
        tally.statuses[path][answer.status] += 1
        self._judge(path, token, answer)
        if answer.fields.get("connection") == "close":
            raise Cut({})

    def _judge(self, path: str, token: str, answer: Answer) -> None:
        note = self._tally.note
        if answer.status == 200:
            try:
                found = json.loads(answer.body)["token"]
            except (ValueError, KeyError):
                note("corrupt", f"{token} {answer.body[:60]!r}")
                return
            if found != token:
                note("mixed", f"{token} got {found}")
        elif answer.status in (502, 503, 504) and b'"reason"' in answer.body:
            if set(json.loads(answer.body)) != {"error", "reason", "request_id"}:
                note("corrupt", f"{token} {answer.body[:60]!r}")
        elif answer.status not in (500, 503) or path != "/faulty":  # a worker's own
            note("corrupt", f"{token} {answer.status}")


# --- the gateway and the story


@dataclass
class Served:
    """A gateway process."""

    process: subprocess.Popen[bytes]
    port: int
    admin: str

    @classmethod
    def start(cls, folder: Path, text: str, *more: str) -> Served:
        file, log = folder / "routing.yaml", folder / "gateway.log"
        file.write_text(text)
        command = [sys.executable, "-m", "monitoring", "serve", str(file), *more]
        command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--no-controller"]
        command += ["--no-console"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            said = [line for line in log.read_text().splitlines() if '"serving"' in line]
            if said:
                where = json.loads(said[0])
                return cls(process, int(where["data"].rpartition(":")[2]), where["admin"])
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def memory(self) -> int:
        """Resident, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def in_flight(self) -> int:
        with urllib.request.urlopen(f"{self.admin}/api/status", timeout=PATIENCE) as answer:
            routes: dict[str, Any] = json.load(answer)["routes"]
        versions = [one for route in routes.values() for one in route["versions"].values()]
        return sum(int(version["in_flight"]) for version in versions)


@dataclass
class Result:
    """What is to be judged: the tally, and what the gateway holds before and after."""

    tally: Tally
    before: tuple[int, int]  # descriptors, KiB
    after: tuple[int, int]
    in_flight: int
    served_after: int  # of as many requests at once as there were clients

    def broken(self) -> list[str]:
        """The promises that were not kept (P8 to P11 of the project's list)."""
        tally = self.tally
        found = [f"{number} {kind}" for kind, number in sorted(tally.wrong.items())]
        found += [
            f"{path}: {tally.failed(path):.2%} failed"
            for path in ("/healthy", "/canary")
            if tally.failed(path) > 0.001
        ]
        if self.in_flight:
            found.append(f"{self.in_flight} in flight though nobody asks")
        for kind, before, after in zip(
            ("descriptors", "KiB"), self.before, self.after, strict=True
        ):
            if after > before * 1.2:
                found.append(f"{after} {kind}, before {before}")
        return found

    def __str__(self) -> str:
        tally = self.tally
        lines = [f"{path}: {dict(sorted(tally.statuses[path].items()))}" for path in PATHS]
        lines += [f"left {tally.left}, cut streams {tally.cut_streams}, wrong {dict(tally.wrong)}"]
        lines += [f"descriptors, KiB: before {self.before}, after {self.after}"]
        lines += [f"in flight {self.in_flight}, served at once afterwards {self.served_after}"]
        return "\n".join([*lines, *tally.examples])


async def run(
    *, clients: int, seed: int, turns: int = 0, seconds: float = 0.0, more: tuple[str, ...] = ()
) -> Result:
    """So many turns of each client, or so many seconds; then everybody leaves and all is looked at.

    The gateway's level before is taken after a crowd of the same size with healthy workers.
    """
    workers = [Worker(False, Random(seed)), *(Worker(False, Random(seed + i)) for i in (1, 2, 3))]
    servers = [await worker.start() for worker in workers]
    names = ("healthy", "candidate", "first", "second")
    urls = {name: worker.url for name, worker in zip(names, workers, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        served = await asyncio.to_thread(Served.start, Path(folder), TEXT.format(**urls), *more)
        try:
            await crowd(clients, seed, served.port, Tally(), lambda turn: turn >= 20, rude=False)
            tally = Tally()
            before = await level(served)
            break_all(workers[1:], True)
            end = time.monotonic() + seconds
            telling = asyncio.create_task(tell(tally, served)) if seconds else None
            until = (lambda _: time.monotonic() > end) if seconds else (lambda turn: turn >= turns)
            await crowd(clients, seed, served.port, tally, until, rude=True)
            if telling is not None:
                telling.cancel()
            break_all(workers, False)
            # Endpoints that were left out come back when they are asked.
            last = Tally()
            await crowd(clients, seed + 1, served.port, last, lambda turn: turn >= 3, rude=False)
            tally.wrong.update(last.wrong)
            tally.examples += last.examples
            good = sum(counter[200] for counter in last.statuses.values())
            if good < last.asked:
                tally.note("after", f"{last.asked - good} of {last.asked} failed")
            after = await level(served, SETTLING)
            return Result(tally, before, after, await asyncio.to_thread(served.in_flight), good)
        finally:
            await asyncio.to_thread(served.stop)
            for server in servers:
                server.close()


def break_all(workers: list[Worker], faulty: bool) -> None:
    for worker in workers:
        worker.faulty = faulty


async def crowd(
    clients: int, seed: int, port: int, tally: Tally, until: Callable[[int], bool], *, rude: bool
) -> None:
    each = [Client(i, seed, port, tally, rude=rude).ask(until) for i in range(clients)]
    await asyncio.gather(*each)


async def level(served: Served, settling: float = 0.0) -> tuple[int, int]:
    """Descriptors and memory once nobody asks, and idle connections to workers have ended. What is
    free goes back within two of the allocator's looks: the lowest in so many seconds counts.
    """
    deadline = time.monotonic() + PATIENCE
    last, same = -1, 0
    while same < 12 and time.monotonic() < deadline:
        await asyncio.sleep(0.4)
        now = served.descriptors
        last, same = now, same + 1 if now == last else 0
    lowest = served.memory
    for _ in range(20 if settling else 0):
        await asyncio.sleep(settling / 20)
        lowest = min(lowest, served.memory)
    return last, lowest


async def tell(tally: Tally, served: Served) -> None:
    """A line each minute."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(60)
        minutes = (time.monotonic() - began) / 60
        wrong, holds = dict(tally.wrong), (served.descriptors, served.memory)
        print(f"{minutes:.0f} min: {tally.asked} answers, wrong {wrong}, {holds}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    work: Awaitable[Result] = run(
        clients=given.clients,
        seed=given.seed,
        seconds=given.minutes * 60,
        more=("--processes", str(given.processes)),
    )
    result = asyncio.run(work)  # type: ignore[arg-type]
    print(result)
    for broken in result.broken():
        print(f"BROKEN: {broken}")
    return bool(result.broken())


if __name__ == "__main__":
    sys.exit(main())
