"""From rounds to figures: ratios within a round, medians, promises, and the rows of the tables."""

from __future__ import annotations

import pytest

from benchmarks import nginx, table, verdicts
from benchmarks.cases import CASES, Target
from benchmarks.counted import summed
from benchmarks.load import Result, parsed
from benchmarks.python_peers import GATEWAY
from benchmarks.rounds import Measured
from benchmarks.site import ONE_ROUTE, Peer, Shape
from benchmarks.summary import summary
from benchmarks.verdicts import PROMISES, Promise


def measured(
    peer: Peer | None,
    cpu: list[float],
    *,
    rate: int = 1000,
    p50: float = 100,
    shape: Shape = ONE_ROUTE,
) -> Measured:
    """As if each round had lasted two seconds."""
    results = [Result(rate * 2, 2.0, p50, p50 * 3, 0) for _ in cpu]
    return Measured(Target(peer, shape), cpu, results, pss=30.4)


DIRECT = measured(None, [0, 0, 0], rate=70_000, p50=20)
NGINX = measured(nginx.SPLIT, [10, 20, 11], rate=50_000, p50=90)
CANARY = measured(GATEWAY, [15, 40, 11], rate=40_000)
SMALL = [DIRECT, NGINX, CANARY]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_taken_within_a_round() -> None:
    assert table.ratios(CANARY, NGINX) == [1.5, 2.0, 1.0]
    assert table.ratio(CANARY, NGINX) == 1.5  # of the medians it would be 15 / 11


def test_the_table_has_medians_and_spreads() -> None:
    direct, other, gateway = table.rows(CASES["small"], SMALL).splitlines()

    assert cells(direct)[1:] == ["direct", *("",) * 4, "70,000", "20", "", "60", "30", "0"]
    assert cells(other) == [
        *("", "nginx", "**11.0**", "10.0-20.0", "1.50", "1.00-2.00"),
        *("50,000", "90", "70", "270", "30", "0"),
    ]
    assert cells(gateway)[4:6] == ["", ""]
    assert len(cells(direct)) == len(cells(table.HEAD.splitlines()[0]))


def test_the_summary_has_a_row_for_each_target_and_a_line_for_each_other_case() -> None:
    two = measured(GATEWAY, [30, 31, 32], shape=Shape(processes=2))
    told = summary([(CASES["small"], SMALL), (CASES["processes"], [NGINX, CANARY, two])])
    small, other = told.split("\n\n| CPU us")

    assert [cells(line)[:4] for line in small.splitlines()[-2:]] == [
        ["nginx", "11.0", "10.0-20.0", "1.50"],
        ["canary", "15.0", "11.0-40.0", ""],
    ]
    lines = [cells(line) for line in other.splitlines()[2:]]
    title = "small, 64 connections, all on both cores"
    assert [line[0] for line in lines] == [title, f"{title}: 2 processes"]
    assert [line[1:3] for line in lines] == [
        ["15.0 (11.0-40.0)", "11.0 (10.0-20.0)"],
        ["31.0 (30.0-32.0)", ""],
    ]


def test_a_promise_is_kept_or_not() -> None:
    seen = {("small", "canary"): CANARY, ("small", "nginx"): NGINX}
    at_most = Promise("CPU", lambda seen: 1.5, 1.6, 1.3).row(seen)
    at_least = Promise("rate", lambda seen: 0.7, 0.6, 0.78, least=True).row(seen)
    told = Promise("told", lambda seen: 2.0).row(seen)

    assert at_most == "| CPU | ≤ 1.6 x | ≤ 1.3 x | 1.50 x | yes | **no** |"
    assert at_least == "| rate | ≥ 0.6 x | ≥ 0.78 x | 0.70 x | yes | **no** |"
    assert told == "| told |  |  | 2.00 x |  |  |"


def test_what_was_not_measured_promises_nothing() -> None:
    seen = {("small", "canary"): CANARY, ("small", "nginx"): NGINX}
    told = verdicts.verdicts(seen)

    assert verdicts.verdicts({}) == []
    assert [cells(line)[0] for line in told] == [
        "CPU, small, of nginx's (split only)",
        "req/s, small, of nginx's",
        "memory, one process",
    ]
    assert cells(told[1])[3] == "0.80 x"


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.title)
def test_every_promise_can_be_told_from_a_whole_run(promise: Promise) -> None:
    seen = {
        (case.name, target.name): measured(target.peer, [1, 2], p50=50 if target.peer else 20)
        for case in CASES.values()
        for target in case.targets
    }

    assert promise.row(seen) is not None


def test_the_last_line_of_a_load_is_its_result() -> None:
    line = '{"requests": 10, "seconds": 2.5, "p50": 1.5, "p99": 2, "p999": 3, "failed": 1}'

    assert parsed(f"Running\n\nRESULT {line}\n") == Result(10, 2.5, 1.5, 2, 1)
    assert parsed(line) == Result(10, 2.5, 1.5, 2, 1)
    with pytest.raises(RuntimeError, match="no result"):
        parsed("unable to connect\n")


def test_all_series_of_a_counter_are_summed() -> None:
    text = (
        "# TYPE labels counter\n"
        'labels{version="v1",label="a b"} 3\nlabels{version="v2"} 4.0\n'
        "labels_created{} 9\nlabels 1\n"
    )

    assert summed(text, "labels") == 8
    assert summed(text, "others") == 0


def test_who_speaks_tls_is_compared_with_the_gateway_that_does() -> None:
    tls = Shape(tls=True)
    seen = [
        NGINX,
        measured(nginx.SPLIT, [20, 20, 20], shape=tls),
        CANARY,
        measured(GATEWAY, [30, 50, 22], shape=tls),
    ]
    told = [cells(line) for line in table.rows(CASES["tls"], seen).splitlines()]

    assert [line[1] for line in told] == ["nginx", "nginx, https", "canary", "canary, https"]
    assert [line[4] for line in told] == ["1.50", "1.50", "", "0.50"]


def test_a_handshake_is_what_a_new_connection_costs_more_by_tls() -> None:
    cases = {"canary": [100, 200, 150], "canary, https": [700, 600, 850]}
    seen = {
        ("handshakes", name): measured(GATEWAY, [float(one) for one in cpu])
        for name, cpu in cases.items()
    }

    assert [cells(line) for line in verdicts.verdicts(seen)] == [
        ["CPU of a handshake", "", "", "0.60 ms", "", ""]
    ]
