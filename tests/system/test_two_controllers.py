"""Two controllers of one file, as real processes: one acts; killed, it is followed by the other."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any

from gateway.model import generation_of
from monitoring.history import changes
from tests.monitoring.test_no_evidence import FAILING, TEXT, evidence
from tests.ports import free_port
from tests.sockets.peers import Worker, answering
from tests.system.conftest import answers, get_text


def test_when_the_one_that_acts_is_killed_the_other_rolls_back_and_once(
    system: Any, until: Any
) -> None:
    file = system.folder / "routing.yaml"
    file.write_text(TEXT)
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]

    def looks(number: int, outcome: str) -> float:
        found = re.search(rf'outcome="{outcome}"\}} (\S+)', get_text(f"{urls[number]}/metrics"))
        assert found
        return float(found[1])

    def events(number: int) -> list[str]:
        lines = (system.folder / f"{number}.log").read_text().splitlines()
        return [json.loads(line)["event"] for line in lines]

    with closing(Worker(answering(body=evidence()))) as gateway:
        for number, port in enumerate(ports):
            options = ("--gateway", gateway.url, "--metrics", f"127.0.0.1:{port}", "--json")
            system.start("monitoring", "controller", *options, str(file))
            until(lambda number=number: answers(f"{urls[number]}/metrics"), "it has begun")
            wanted = "standing_by" if number else "judged"
            until(lambda number=number, wanted=wanted: looks(number, wanted), "it has looked")
        assert looks(1, "judged") == 0

        system.running[0].kill()
        failing = FAILING.replace(b'"assigned": 0', b'"assigned": 4500', 1)
        gateway.behaviour = answering(body=failing)
        until(lambda: "file edited" in events(1), "the other one rolls back")

    assert file.read_text() == TEXT.replace("weight: 10}", "weight: 0}")
    assert "file edited" not in events(0)
    (entry,) = changes.read(file)
    assert (entry.by, entry.action) == ("controller", "rollback")
    assert entry.left == generation_of(file.read_bytes())
