"""The walls of the house: who may import whom, what stays pure, how large a room may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "monitoring", "model_workers")

# What chooses: values in, values out.
PURE = {
    "gateway": {
        *("admin.opening", "admin.status"),
        *("answers.compression", "answers.events", "answers.observe", "answers.predictions"),
        *("answers.recovery", "answers.stream", "answers.tensors"),
        "clients.uploads",
        *("config", "config.addresses", "config.document", "config.judgement", "config.parsing"),
        *("config.quantities", "config.remarks", "config.rules", "config.scalars", "config.schema"),
        "config.shape",
        *("counting.archive", "counting.counts", "counting.exemplars", "counting.gauges"),
        *("counting.grid", "counting.ledger", "counting.report", "counting.room", "counting.scale"),
        *("counting.totals", "counting.vocabulary"),
        *("edit", "edit.change", "edit.intention", "edit.placement", "edit.splice"),
        *("errors", "protocols"),
        *("model", "model.outlet", "model.rollout", "model.route", "model.version"),
        "files.changes",
        *("http.chunks", "http.headers", "http.heads", "http.request", "http.target"),
        "metrics.weights",
        "processes.backoff",
        *("routing.compiled", "routing.decision", "routing.paths", "routing.rounds", "routing.run"),
        *("routing.split", "routing.table"),
        *("security.access", "security.offlimits"),
        *("traces.sampling", "traces.span", "traces.tracing"),
        *("workers.backlog", "workers.budget", "workers.ejection", "workers.gathering"),
        "workers.readiness",
        *("writing.line", "writing.scribe"),
    },
    "monitoring": {
        *("analysis.betting", "analysis.case", "analysis.constant", "analysis.drift"),
        "analysis.effects",
        *("analysis.errors", "analysis.rounds", "analysis.saved"),
        *("analysis.guards", "analysis.interval", "analysis.latency", "analysis.lenience"),
        *("analysis.margin", "analysis.mixture", "analysis.predictions", "analysis.question"),
        *("analysis.signals", "analysis.spans", "analysis.split", "analysis.strand"),
        *("analysis.track", "analysis.verdict", "analysis.words"),
        *("explanation", "history.chain", "history.promotions", "printable", "verbs"),
        *("judgement", "judgement.acting", "judgement.ahead", "judgement.docket"),
        *("judgement.record", "judgement.replay"),
        *("readings.agreement", "readings.dumped", "readings.endpoints", "readings.evidence"),
        *("readings.exposition", "readings.live", "readings.windows"),
        *("rollout", "rollout.diagram", "rollout.position", "rollout.rules", "rollout.watch"),
        *("terminal", "terminal.candidates"),
        *("terminal.figures", "terminal.plain", "terminal.rows", "terminal.sight", "terminal.view"),
        "console.sessions",
        *("console.drawing", "console.exposition", "console.figures", "console.papers"),
        *("console.quantiles", "console.rings", "console.rollouts", "console.series"),
        *("console.traces", "console.versions", "console.views"),
        *("console.difference", "console.events", "console.forms", "console.inquiry"),
        *("console.listing", "console.meaning", "console.offers", "console.veil"),
        *("grafana", "grafana.health", "grafana.look", "grafana.marks", "grafana.page"),
        *("grafana.panels", "grafana.promql", "grafana.quality", "grafana.rollout"),
        *("grafana.route", "grafana.upkeep"),
    },
    "model_workers": {
        *(
            "contract",
            "contract.cell",
            "contract.contract",
            "contract.feature",
            "contract.fingerprint",
        ),
        *("contract.refusal", "contract.validation"),
        *("models.model", "predictors.predictor", "predictors.speaker"),
        *("protocols.chat", "protocols.compression", "protocols.ending"),
        *("protocols.input_tensors", "protocols.open_inference", "protocols.sagemaker"),
        "protocols.tensors",
        *("registry.evaluation", "registry.gate", "registry.interval", "registry.lineage"),
        *("registry.manifest", "registry.prediction_log", "registry.rows", "registry.snapshot"),
        "training.provenance",
    },
}
WORLD = {
    *("asyncio", "ctypes", "mmap", "os", "pathlib", "random", "secrets", "selectors", "signal"),
    *("socket", "subprocess", "tempfile", "threading", "time", "logging", "prometheus_client"),
    *("httptools", "httpx2", "opentelemetry", "ssl", "starlette", "uvicorn", "uvloop"),
}

# Where a library may be imported; it is named here only if it has a place of its own.
PLACES = {
    "httptools": {"gateway.clients.reader", "gateway.workers.upstream"},
    "httpx2": {
        *("monitoring.demo.load", "monitoring.demo.stage", "monitoring.notices.delivery"),
        *("monitoring.notices.postman", "monitoring.readings.sources"),
    },
    "jinja2": {"monitoring.console.layout"},
    "msgspec": {
        *("gateway.answers.events", "gateway.answers.observe", "gateway.answers.predictions"),
        *("gateway.answers.tensors", "gateway.processes.control", "gateway.writing.line"),
        *("gateway.writing.scribe", "model_workers.*"),
    },
    "opentelemetry": {"gateway.traces.spans"},
    "prometheus_client": {
        *("gateway.admin.app", "gateway.app", "gateway.metrics.collector"),
        *("gateway.metrics.exposition", "gateway.metrics.upkeep", "monitoring.metrics.collector"),
        *("monitoring.metrics.standing", "monitoring.metrics.tally"),
    },
    "pydantic": {
        *("gateway.config.judgement", "gateway.config.parsing", "gateway.config.scalars"),
        *("gateway.config.schema", "gateway.config.shape"),
        *("model_workers.contract.validation", "model_workers.protocols.chat"),
    },
    "pyarrow": {"model_workers.batch.parquet"},
    "rich": {
        *("model_workers.batch.progress", "model_workers.commands.scoring"),
        *("monitoring.commands.*", "monitoring.terminal.*"),
    },
    "scipy": {"model_workers.registry.interval"},
    "shap": {"model_workers.explanations.shapley"},
    "sklearn": {"model_workers.models.*", "model_workers.training.*"},
    "skops": {"model_workers.training.artefact"},
    "ssl": {"gateway.security.certificate", "gateway.security.tls"},
    "starlette": {
        *("gateway.admin.app", "gateway.admin.guard", "gateway.app", "model_workers.*"),
        *("monitoring.alert_log", "monitoring.console.*"),
        *("monitoring.metrics.port", "monitoring.runbooks"),
    },
    "typer": {
        "model_workers.cli",
        "model_workers.commands.*",
        "monitoring.cli",
        "monitoring.commands.*",
    },
    "uvicorn": {"gateway.admin.port", "model_workers.*"},
    "uvloop": {"gateway.__main__", "gateway.processes.member"},
    "xgboost": {"model_workers.models.learners", "model_workers.training.train"},
    "xxhash": {"gateway.routing.split"},
    "yaml": {"gateway.config.document", "gateway.edit.splice"},
}


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


@cache
def imports(path: Path, *, at_run_time: bool = True) -> frozenset[str]:
    """Absolute dotted names a module imports; those for type checkers only, if asked, as well."""
    tree = ast.parse(path.read_text())
    if at_run_time:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
    package = list(path.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def own_imports(name: str, *, at_run_time: bool = True) -> set[str]:
    """Which of our modules a module imports."""
    found = set()
    for imported in imports(MODULES[name], at_run_time=at_run_time):
        for candidate in (imported, imported.rpartition(".")[0]):
            if candidate in MODULES and candidate != name:
                found.add(candidate)
                break
    return found


def top(name: str) -> str:
    return name.partition(".")[0]


def test_the_request_path_and_the_workers_know_nothing_of_those_who_watch_them() -> None:
    seen = {name: {top(one) for one in imports(path)} for name, path in MODULES.items()}

    for name, tops in seen.items():
        if top(name) == "gateway":
            assert not tops & {"monitoring", "model_workers"}, name
        if top(name) == "model_workers":
            assert not tops & {"monitoring", "gateway"}, name
        if top(name) == "monitoring":
            assert "model_workers" not in tops, name


@pytest.mark.parametrize(
    "name", [f"{package}.{name}" for package, names in PURE.items() for name in sorted(names)]
)
def test_what_chooses_touches_nothing_of_the_world(name: str) -> None:
    tops = {top(one) for one in imports(MODULES[name])}

    assert not tops & WORLD
    assert "open(" not in MODULES[name].read_text()


@pytest.mark.parametrize(
    "name", [f"{package}.{name}" for package, names in PURE.items() for name in sorted(names)]
)
def test_what_chooses_imports_only_what_chooses(name: str) -> None:
    pure = {f"{package}.{one}" for package, names in PURE.items() for one in names}

    assert own_imports(name) <= pure


@pytest.mark.parametrize("library", sorted(PLACES))
def test_a_library_is_imported_only_where_it_has_its_place(library: str) -> None:
    users = {
        name for name, path in MODULES.items() if library in {top(one) for one in imports(path)}
    }
    allowed = {
        name
        for name in MODULES
        for place in PLACES[library]
        if name == place or (place.endswith(".*") and name.startswith(place[:-1]))
    }

    assert users <= allowed
    assert users, f"{library} has a place here and no user"


def tangled(needs: Mapping[str, set[str]]) -> list[str]:
    """Those that need each other in a circle, and who needs them."""
    rest = dict(needs)
    while leaves := {name for name, others in rest.items() if not others & rest.keys()}:
        rest = {name: others for name, others in rest.items() if name not in leaves}
    return sorted(rest)


def test_imports_run_in_one_direction() -> None:
    """Those for type checkers, too: who is named in a signature is known."""
    assert tangled({name: own_imports(name, at_run_time=False) for name in MODULES}) == []


def test_rooms_know_each_other_in_one_direction() -> None:
    """A package below one of ours is a room; a module beside them stands for itself."""
    rooms = {name: ".".join(name.split(".")[:2]) for name in MODULES}
    needs: dict[str, set[str]] = {room: set() for room in rooms.values()}
    for name, room in rooms.items():
        needs[room] |= {rooms[one] for one in own_imports(name, at_run_time=False)} - {room}

    assert tangled(needs) == []


def test_rooms_are_small() -> None:
    sizes = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    functions = {
        f"{name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: size for name, size in sizes.items() if size > 300} == {}
    assert median(sizes.values()) <= 140
    assert {name: size for name, size in functions.items() if size > 60} == {}


HEAVY = {"sklearn", "skops", "numpy", "scipy", "pandas", "typer", "rich", "pygments", "httpx2"}
HEAVY |= {"opentelemetry", "requests", "google"}
CONTROL = {"pydantic", "yaml", "starlette", "uvicorn", "prometheus_client", "argparse"}


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("gateway.__main__", HEAVY),
        ("monitoring.service", HEAVY),
        # Verdicts are made again from what the history has of them, in arrays.
        ("monitoring.console.__main__", HEAVY - {"httpx2", "numpy"}),
        ("gateway.processes.member", HEAVY | CONTROL),
    ],
)
def test_a_serving_process_carries_no_weight_it_does_not_need(
    module: str, unneeded: set[str]
) -> None:
    program = f"import {module}, sys; print(*sorted(sys.modules))"
    loaded = set(subprocess.check_output([sys.executable, "-c", program], text=True).split())

    assert not {top(name) for name in loaded} & unneeded
    assert "starlette.testclient" not in loaded


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("check", {"typer", "yaml", "pydantic"}),
        ("set-weight", {"typer", "yaml", "pydantic"}),
        ("serve", {"typer", "yaml", "pydantic"}),
        ("status", {"typer", "yaml", "pydantic", "rich", "httpx2", "numpy"}),
    ],
)
def test_a_command_carries_no_weight_it_does_not_need(command: str, needed: set[str]) -> None:
    program = f"""import sys; from monitoring.cli import main
sys.argv[1:] = ["{command}", "--no-such-option"]
try: main()
except SystemExit: print(*sorted(sys.modules))"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = {top(name) for name in ended.stdout.split()}

    assert "No such option" in ended.stderr
    assert loaded & ((HEAVY | CONTROL) - {"argparse"}) <= needed
