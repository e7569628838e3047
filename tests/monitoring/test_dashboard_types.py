"""The dashboards against Grafana's own types, by the TypeScript compiler in its strict mode."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.grafana import DASHBOARDS
from tests.npm import HOME, modules, run

Dashboard = dict[str, Any]
Errors = dict[str, list[str]]


def first(dashboard: Dashboard, kind: str) -> dict[str, Any]:
    panel: dict[str, Any] = next(each for each in dashboard["panels"] if each["type"] == kind)
    return panel


def renamed(held: dict[str, Any], name: str, other: str) -> None:
    held[other] = held.pop(name)


# What is done to the dashboard `rollout`, and the word that the compiler must complain of.
MISTAKES: dict[str, tuple[Callable[[Dashboard], Any], str]] = {
    "a colour mode that does not exist": (
        lambda d: first(d, "stat")["fieldConfig"]["defaults"]["color"].update(mode="fixd"),
        '"fixd"',
    ),
    "a misspelt gridPos": (lambda d: renamed(first(d, "stat"), "gridPos", "gridpos"), "gridpos"),
    "a misspelt width": (lambda d: renamed(first(d, "stat")["gridPos"], "w", "width"), "width"),
    "an option that no panel has": (
        lambda d: first(d, "stat")["options"].update(colourMode="value"),
        "colourMode",
    ),
    "an option of another kind of panel": (
        lambda d: first(d, "timeseries")["options"].update(textMode="value"),
        "textMode",
    ),
    "an option that is missing": (
        lambda d: first(d, "timeseries")["options"].pop("tooltip"),
        "tooltip",
    ),
    "a mode of the legend that does not exist": (
        lambda d: first(d, "timeseries")["options"]["legend"].update(displayMode="lst"),
        '"lst"',
    ),
    "a way of drawing that does not exist": (
        lambda d: first(d, "timeseries")["fieldConfig"]["defaults"]["custom"].update(
            drawStyle="lines"
        ),
        '"lines"',
    ),
    "a field setting that no such panel has": (
        lambda d: first(d, "state-timeline")["fieldConfig"]["defaults"]["custom"].update(
            drawStyle="line"
        ),
        "drawStyle",
    ),
    "a field setting of a panel that has none": (
        lambda d: first(d, "stat")["fieldConfig"]["defaults"].update(custom={"lineWidth": 1}),
        "lineWidth",
    ),
    "a heatmap's scale that does not exist": (
        lambda d: first(d, "heatmap")["options"]["color"].update(scale="log"),
        '"log"',
    ),
    "a bar's mode that does not exist": (
        lambda d: first(d, "bargauge")["options"].update(displayMode="retro"),
        '"retro"',
    ),
    "a mapping of a kind that does not exist": (
        lambda d: first(d, "state-timeline")["fieldConfig"]["defaults"]["mappings"][0].update(
            type="values"
        ),
        '"values"',
    ),
    "a threshold without a value": (
        lambda d: first(d, "bargauge")["fieldConfig"]["defaults"]["thresholds"]["steps"][0].pop(
            "value"
        ),
        "value",
    ),
    "a kind of panel that is not ours": (
        lambda d: first(d, "stat").update(type="singlestat"),
        '"singlestat"',
    ),
    "a query without an expression": (
        lambda d: renamed(first(d, "stat")["targets"][0], "expr", "query"),
        "query",
    ),
    "a format that Prometheus' plugin does not have": (
        lambda d: first(d, "heatmap")["targets"][0].update(format="heat_map"),
        '"heat_map"',
    ),
    "a mark without an expression": (
        lambda d: renamed(d["annotations"]["list"][0]["target"], "expr", "query"),
        "query",
    ),
    "a kind of variable that does not exist": (
        lambda d: d["templating"]["list"][1].update(type="querry"),
        '"querry"',
    ),
    "a time of refreshing that does not exist": (
        lambda d: d["templating"]["list"][1].update(refresh=7),
        "7",
    ),
    "a link of a kind that does not exist": (
        lambda d: d["links"][0].update(type="url"),
        '"url"',
    ),
    "a link of a panel without an address's fields": (
        lambda d: first(d, "stat")["links"][0].pop("keepTime"),
        "keepTime",
    ),
    "a cursor that does not exist": (lambda d: d.update(graphTooltip=3), "3"),
    "a word of the dashboard that does not exist": (lambda d: d.update(editible=False), "editible"),
}


def mistaken(mistake: Callable[[Dashboard], Any]) -> Dashboard:
    dashboard = copy.deepcopy(DASHBOARDS["rollout"])
    mistake(dashboard)
    return dashboard


@pytest.fixture(scope="module")
def compiler() -> Path:
    return modules() / ".bin" / "tsc"


@pytest.fixture(scope="module")
def errors(compiler: Path, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """What the compiler says of each dashboard, and of each mistake. All in one run: cheap."""
    folder = tmp_path_factory.mktemp("typescript")
    given = {
        **DASHBOARDS,
        **{f"mistake-{n}": mistaken(do) for n, (do, _) in enumerate(MISTAKES.values())},
    }
    for name, dashboard in given.items():
        # A constant with a type, and no cast, which would hide what is too much.
        text = f"import type {{ Page }} from '{HOME}/page';\n"
        text += f"export const dashboard: Page = {json.dumps(dashboard, indent=1)};\n"
        (folder / f"{name}.ts").write_text(text)
    settings = {"extends": str(HOME / "tsconfig.json"), "include": ["*.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    said = run(compiler, "--project", folder, "--pretty", "false")
    found: Errors = {name: [] for name in given}
    for line in said.stdout.splitlines():
        if start := re.match(r"(?:.*/)?([\w-]+)\.ts\(\d+,\d+\): error ", line):
            found[start[1]].append(line)
            last = found[start[1]]
        else:  # an explanation of the one before
            last.append(line)
    assert bool(said.stdout) == bool(said.returncode), said.stderr
    return found


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_one_by_grafanas_own_types(errors: Errors, name: str) -> None:
    assert errors[name] == []


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=list(MISTAKES))
def test_a_mistake_is_refused_by_the_types(errors: Errors, number: int) -> None:
    said = "\n".join(errors[f"mistake-{number}"])

    assert list(MISTAKES.values())[number][1] in said


def test_the_lock_file_names_no_registry_and_holds_a_hash_for_all_it_names() -> None:
    text = (HOME / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]

    assert "http" not in text
    assert all("integrity" in package for name, package in packages.items() if name)
    wanted = json.loads((HOME / "package.json").read_text())["devDependencies"]
    assert packages[""]["devDependencies"] == wanted
    assert {packages[f"node_modules/{name}"]["version"] for name in wanted} == set(wanted.values())
