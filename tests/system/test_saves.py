"""Every way of saving, and every kind of broken file, while clients ask without a pause.

Each file names its route and versions after its own serial number, so that an answer tells by which
file it was given: one that tells of two would be a mix.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from gateway.model import generation_of
from tests.sockets.peers import Message, Worker, answering, eventually
from tests.system.crowd import Crowd, header

TEXT = """\
routes:
  r%(serial)05d:
    stable: v%(serial)05d
    versions:
      v%(serial)05d: {url: "%(stable)s"}
      c%(serial)05d: {url: "%(candidate)s", weight: %(weight)d}   # percent
"""


@dataclass
class Story:
    """A gateway, its workers, its clients, and the file they all obey."""

    served: Any
    log: Path
    stable: Worker
    candidate: Worker
    serials: Iterator[int] = field(default_factory=lambda: count(1))
    serial: int = 0
    text: str = ""
    links: int = 0

    @property
    def file(self) -> Path:
        return Path(self.served.file)

    def next(self) -> str:
        """Another good file, always of the same size."""
        self.serial = next(self.serials)
        self.text = TEXT % {
            "serial": self.serial,
            "stable": self.stable.url,
            "candidate": self.candidate.url,
            "weight": 10 + self.serial % 80,
        }
        return self.text

    def generation(self) -> str:
        return str(self.served.status()["generation"])

    def await_in_force(self, what: str) -> None:
        wanted = generation_of(self.text.encode())
        eventually(lambda: self.generation() == wanted, 30)
        assert self.file.read_text() == self.text, what

    def count(self, result: str) -> int:
        return int(self.served.metrics()[f'canary_config_reloads_total{{result="{result}"}}'])

    def refusals(self) -> list[list[str]]:
        """The problems that were logged, of each refused file."""
        lines = [line for line in self.log.read_text().splitlines() if '"reload ' in line]
        judged = groupby(map(json.loads, lines), key=itemgetter("generation"))
        return [
            problems
            for problems in ([one.get("problem", "") for one in told] for _, told in judged)
            if any(problems)
        ]


class Readers(Crowd):
    """Clients that know by which file they were answered: never a mix, never an older one."""

    def sound(self, answer: Message, before: Message | None) -> bool:
        route, version = header(answer, "x-model-route"), header(answer, "x-model-version")
        by = answer.body.decode()
        last = header(before, "x-model-route") if before is not None else ""
        return (
            answer.status == 200
            and route[1:] == version[1:]
            and by == {"v": "stable", "c": "candidate"}.get(version[:1])
            and route >= last
        )


# --- every way of saving


def beside(story: Story, text: str) -> Path:
    path = story.file.with_name("new.yaml")
    path.write_text(text)
    return path


def in_place(story: Story) -> None:
    story.file.write_text(story.next())


def rename_over(story: Story) -> None:
    os.replace(beside(story, story.next()), story.file)


def slowly_in_place(story: Story) -> None:
    """Each third of it is on disk, and looked at, before the next one is written."""
    text = story.next()
    with story.file.open("w") as file:
        for start in range(0, len(text), len(text) // 3):
            file.write(text[start : start + len(text) // 3])
            file.flush()
            looked = threading.Event()
            looked.wait(0.03)  # the writer is slow: that is what is tested


def backup_and_create(story: Story) -> None:
    """As vim does: the old file is moved away, and a new one written in its place."""
    text = story.next()
    os.replace(story.file, story.file.with_name("routing.yaml~"))
    with story.file.open("x") as file:
        file.write(text[:80])
        file.flush()
        file.write(text[80:])


def delete_and_create(story: Story) -> None:
    text = story.next()
    story.file.unlink()
    story.file.write_text(text)


def symlink_swap(story: Story) -> None:
    """As Kubernetes does for a mounted ConfigMap: a link to a folder of data is replaced."""
    text = story.next()
    story.links += 1
    folder = story.file.parent / f"..data-{story.links}"
    folder.mkdir()
    (folder / story.file.name).write_text(text)
    link = story.file.parent / "..data_tmp"
    link.symlink_to(folder.name)
    os.replace(link, story.file.parent / "..data")
    if not story.file.is_symlink():
        link.symlink_to(Path("..data") / story.file.name)
        os.replace(link, story.file)


def unlinked(story: Story) -> None:
    """An end of the symbolic link, so that the others do not all write through it."""
    if story.file.is_symlink():
        rename_over(story)
    else:
        in_place(story)


def unchanged_time(story: Story) -> None:
    """The same size and the same modification time, in place: only the content tells."""
    stat = story.file.stat()
    story.file.write_text(story.next())
    os.utime(story.file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (story.file.stat().st_size, story.file.stat().st_mtime_ns) == (
        stat.st_size,
        stat.st_mtime_ns,
    )


def older_copy(story: Story) -> None:
    """As `cp -p` or a restore from a backup: the modification time goes backwards."""
    path = beside(story, story.next())
    os.utime(path, ns=(1, 1))
    os.replace(path, story.file)


def several_at_once(story: Story) -> None:
    """Only the last of a burst counts."""
    for _ in range(5):
        rename_over(story)


def touch_only(story: Story) -> None:
    os.utime(story.file)


SAVES = (
    in_place,
    rename_over,
    slowly_in_place,
    backup_and_create,
    delete_and_create,
    symlink_swap,
    unlinked,
    unchanged_time,
    older_copy,
    several_at_once,
    touch_only,
)

# --- every kind of broken file

GOOD = TEXT % {
    "serial": 0,
    "stable": "http://127.0.0.1:1",
    "candidate": "http://127.0.0.1:2",
    "weight": 10,
}


def with_weight(text: str) -> str:
    return GOOD.replace("weight: 10}", f"weight: {text}}}")


def with_line(text: str) -> str:
    """A line more in the route."""
    return GOOD.replace("    stable:", f"    {text}\n    stable:")


BROKEN_TEXTS: dict[str, str | bytes] = {
    "empty": "",
    "only comments": "# nothing\n",
    "cut in a key": GOOD[: GOOD.index("stable:") + 3],
    "cut in a mapping": GOOD[: GOOD.index("weight")],
    "binary": bytes(range(256)) * 4,
    "zeros": bytes(4096),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16 without a mark": GOOD.encode("utf-16-le"),
    "byte order mark": GOOD.encode("utf-8-sig"),
    "Latin-1": GOOD.replace("percent", "à peu près").encode("latin-1"),
    "control characters": GOOD + "# \x1b[2J\n",
    "a line end that is none": GOOD.replace("   # percent", "   # \u2028"),
    "alias bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "anchor": GOOD.replace("{url", "&x {url", 1),
    "merge key": with_line("<<: {timeout: 1s}"),
    "tag": with_weight("!!int 10"),
    "tag that would run code": with_weight("!!python/object/apply:os.system ['true']"),
    "not a number": with_weight(".nan"),
    "infinite": with_weight(".inf"),
    "negative": with_weight("-1"),
    "exponent": with_weight("1e1"),
    "octal": with_weight("010"),
    "hexadecimal": with_weight("0xA"),
    "underscored": with_weight("1_0"),
    "sexagesimal": with_weight("0:10"),
    "finer than a step": with_weight("0.001"),
    "a word": with_weight("ten"),
    "another unit": with_weight("10ms"),
    "nothing": with_weight(""),
    "null": with_weight("null"),
    "a list for a number": with_weight("[10]"),
    "more than all": with_weight("100.01"),
    "a sum of more than all": GOOD + '      d: {url: "http://127.0.0.1:3", weight: 90.01}\n',
    "weight on stable": GOOD.replace(':1"}', ':1", weight: 90}'),
    "no versions": GOOD[: GOOD.index("      v")],
    "no such stable": GOOD.replace("stable: v00000", "stable: v9"),
    "no stable": GOOD.replace("    stable: v00000\n", ""),
    "no routes": "routes: {}\n",
    "a list": "- routes\n",
    "a text": "routes\n",
    "duplicate key": GOOD.replace("weight: 10", "weight: 10, weight: 20"),
    "duplicate route": GOOD + GOOD.partition("\n")[2],
    "unknown key": GOOD.replace("weight:", "wieght:"),
    "key that is no text": GOOD.replace("weight:", "[weight]:"),
    "YAML 1.1 truth": with_line("idempotent: yes"),
    "a number without its unit": with_line("timeout: 3"),
    "foreign scheme": GOOD.replace("http://127.0.0.1:2", "file:///etc/passwd"),
    "metadata address": GOOD.replace("http://127.0.0.1:2", "http://169.254.169.254"),
    "credentials": GOOD.replace("http://127.0.0.1:2", "http://a:b@127.0.0.1:2"),
    "no URL": GOOD.replace("http://127.0.0.1:2", "127.0.0.1:2"),
    "two documents": GOOD + "---\n" + GOOD,
    "tabs": GOOD.replace("    stable", "\tstable"),
    "other indentation": GOOD.replace("    stable", "     stable"),
    "open quote": GOOD.replace('2", weight', "2, weight"),
    "JSON that is none": json.dumps({"routes": 1})[:-1],
    "too large": GOOD + "#" * (1 << 20),
    "deep": "routes: " + "[" * 5000,
    "wide": "routes: [" + "{}," * 100_000 + "]",
    "a merge conflict": f"<<<<<<< ours\n{GOOD}=======\n{GOOD}>>>>>>> theirs\n",
    "a template": GOOD.replace("weight: 10", "weight: {{ weight }}"),
    "HTML": "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>\n",
}


def put(story: Story, content: str | bytes) -> None:
    """Put it there in one step, through no link."""
    path = story.file.with_name("new.yaml")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(path, story.file)


def a_missing_file(story: Story) -> None:
    story.file.unlink()


def a_folder(story: Story) -> None:
    story.file.unlink()
    story.file.mkdir()


def a_pipe(story: Story) -> None:
    os.mkfifo(story.file.with_name("new.yaml"))
    os.replace(story.file.with_name("new.yaml"), story.file)


def a_socket(story: Story) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(story.file.parent, os.O_RDONLY)  # the path itself may be too long for one
        listener.bind(f"/proc/self/fd/{here}/new.yaml")
        os.close(here)
    os.replace(story.file.with_name("new.yaml"), story.file)


def a_device(story: Story) -> None:
    link(story, "/dev/zero")


def a_dangling_link(story: Story) -> None:
    link(story, "nowhere.yaml")


def a_link_to_itself(story: Story) -> None:
    link(story, story.file.name)


def link(story: Story, target: str) -> None:
    path = story.file.with_name("new.yaml")
    path.symlink_to(target)
    os.replace(path, story.file)


BROKEN_THINGS = (
    a_missing_file,
    a_folder,
    a_pipe,
    a_socket,
    a_device,
    a_dangling_link,
    a_link_to_itself,
)


def mended(story: Story) -> None:
    """Whatever stands there, a good file comes in its place."""
    if story.file.is_dir() and not story.file.is_symlink():
        shutil.rmtree(story.file)
    rename_over(story)


# --- the tests


@pytest.fixture
def begin(system: Any) -> Iterator[Callable[..., Story]]:
    workers = [Worker(answering(body=name), name="w") for name in (b"stable", b"candidate")]

    def start(*options: str) -> Story:
        text = TEXT % {
            "serial": 0,
            "stable": workers[0].url,
            "candidate": workers[1].url,
            "weight": 50,
        }
        log = system.folder / f"{len(system.running)}.log"
        return Story(system.gateway(text, *options), log, *workers, text=text)

    yield start
    system.stop()
    for worker in workers:
        worker.close()


def is_sound(crowd: Readers) -> None:
    assert crowd.lost == []
    assert crowd.refused == 0
    assert crowd.odd == []
    assert {name[0] for name in crowd.answers} == {"v", "c"}


@pytest.mark.parametrize(
    ("options", "saves"), [((), 240), (("--processes", "2"), 60)], ids=["one process", "a group"]
)
def test_saves_of_every_kind_under_load_are_all_in_force_and_fail_no_request(
    begin: Callable[..., Story], options: tuple[str, ...], saves: int
) -> None:
    story = begin(*options)
    kinds = cycle(SAVES)
    with Readers(("127.0.0.1", story.served.data_port)) as crowd:
        for number in range(saves):
            kind = next(kinds)
            kind(story)
            if number // len(SAVES) % 3:  # else it is noticed without a word
                status, document = story.served.reload()
                assert (status, document["problems"]) == (200, []), kind.__name__
                assert document["generation"] == generation_of(story.text.encode())
            else:
                story.await_in_force(kind.__name__)
            before = crowd.answered
            eventually(lambda before=before: crowd.answered > before)
    is_sound(crowd)
    assert story.served.metrics()["canary_config_last_reload_successful"] == 1


def test_broken_files_under_load_change_nothing_and_are_told_of_once(
    begin: Callable[..., Story],
) -> None:
    story = begin()
    rename_over(story)
    story.await_in_force("the first one")
    refused = 0
    broken: dict[str, Callable[[], None]] = {
        **{name: lambda text=text: put(story, text) for name, text in BROKEN_TEXTS.items()},
        **{each.__name__: lambda each=each: each(story) for each in BROKEN_THINGS},
    }
    assert len(broken) > 60
    assert GOOD not in BROKEN_TEXTS.values()
    with Readers(("127.0.0.1", story.served.data_port)) as crowd:
        for number, (name, breaks) in enumerate(broken.items()):
            if name not in BROKEN_TEXTS or number % 8 == 7:
                mended(story)
                story.await_in_force(f"before {name}")
            good = story.generation()
            breaks()
            if number % 2:
                status, document = story.served.reload()
                assert status == 400, name
                assert document["problems"], name
                assert document["generation"] == good, name
            eventually(lambda before=refused: story.count("failure") > before)
            story.served.reload()
            # What takes two steps (a directory in the file's place) may be seen after the first.
            steps = 1 if name in BROKEN_TEXTS else 2
            refused, before = story.count("failure"), refused
            assert refused - before <= steps, name
            # Once more for good measure: the same file is not refused twice.
            story.served.reload()
            metrics = story.served.metrics()
            assert metrics['canary_config_reloads_total{result="failure"}'] == refused, name
            assert metrics["canary_config_last_reload_successful"] == 0, name
            assert metrics[f'canary_config_info{{hash="{good}"}}'] == 1, name
            assert story.generation() == good, name
            answered = crowd.answered
            eventually(lambda answered=answered: crowd.answered > answered)
        mended(story)
        story.await_in_force("the last one")
    is_sound(crowd)
    told = story.refusals()
    assert len(told) == refused
    for problems in told:
        assert len(set(problems)) == len(problems), "a problem was logged twice"
        for problem in problems:
            assert re.match(r"routing\.yaml:[0-9]+:[0-9]+: .", problem)


def test_line_ends_of_every_kind_are_no_reason_to_refuse(begin: Callable[..., Story]) -> None:
    story = begin()
    for end in ("\r\n", "\r"):
        text = story.next().replace("\n", end, 3 if end == "\r\n" else -1)
        story.file.write_bytes(text.encode())
        status, document = story.served.reload()

        assert (status, document["problems"]) == (200, [])
        assert document["generation"] == generation_of(text.encode())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_broken_one(begin: Callable[..., Story]) -> None:
    story = begin()
    good = story.generation()
    story.file.chmod(0)
    put(story, "routes: {")
    story.file.chmod(0)
    status, document = story.served.reload()

    assert (status, document["generation"]) == (400, good)
    assert "cannot be read" in document["problems"][0]


def test_the_command_line_finds_the_same_files_broken(
    begin: Callable[..., Story], canary: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    story = begin()
    for each in (a_folder, a_pipe, a_dangling_link):
        mended(story)
        each(story)

        assert canary("check", str(story.file)).returncode == 2, each.__name__
