"""The runbooks: that they are there, that what they tell people to type can be typed, and how they
are served.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import typer
import yaml
from starlette.routing import Mount

from gateway.admin.guard import guarded
from gateway.security.credential import Token
from monitoring import service
from monitoring.cli import application
from monitoring.runbooks import PATH, pages
from tests.monitoring.test_alerts import METRIC, NAMES, RULES, TOLD, labels_of, promtool

ROOT = Path(__file__).parents[2]
HEADINGS = [
    *("What it means", "What clients notice", "Look first", "What to do", "How it ends"),
    "When it is a false alarm",
]
PAGES = pages()
COMMANDS: Any = typer.main.get_command(application())

each_page = pytest.mark.parametrize("name", PAGES)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> Iterator[str]:
    """What begins with `canary `, in a block or in a sentence."""
    for block in blocks(text, "sh"):
        yield from (line for line in block.splitlines() if line.startswith("canary "))
    yield from re.findall(r"`(canary [a-z][^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(PAGES) == NAMES


@each_page
def test_a_runbook_answers_the_questions_of_somebody_who_was_woken(name: str) -> None:
    text = PAGES[name]

    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert part.strip()
    assert set(re.findall(r"\bCanary[A-Z]\w+", text)) <= set(NAMES)


@each_page
def test_what_it_tells_people_to_type_is_a_command_with_these_options(name: str) -> None:
    found = list(commands(PAGES[name]))

    assert found
    for line in found:
        assert words_of(line), line


def words_of(line: str) -> list[str]:
    """The words of a command that is understood; the click error of one that is not."""
    words = shlex.split(line)[1:]
    with COMMANDS.make_context("canary", list(words)) as context:
        name, command, rest = COMMANDS.resolve_command(context, words)
        if len(words) > 1:  # a command alone is spoken of, not typed
            command.make_context(name, list(rest), parent=context).close()
    return words


@pytest.mark.parametrize(
    "line", ["canary rolback iris", "canary rollback iris --raeson x", "canary history -n many"]
)
def test_what_is_no_command_would_be_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|valid integer"):
        words_of(line)


@each_page
def test_what_it_tells_people_to_ask_prometheus_there_is(name: str) -> None:
    asked = "\n".join(blocks(PAGES[name], "promql"))
    bare = re.sub(r'"[^"]*"|\bby \([^)]*\)', "", asked)
    named = METRIC.findall(re.sub(r"\{[^}]*\}", "", bare))

    assert named
    for metric in named:
        labels_of(metric)
    spoken_of = set(re.findall(r"`(canary_\w+)", PAGES[name]))
    assert spoken_of <= set(TOLD) | {rule["record"] for rule in RULES}


def test_prometheus_understands_every_question(tmp_path: Path) -> None:
    lines = [
        line
        for text in PAGES.values()
        for block in blocks(text, "promql")
        for line in block.splitlines()
    ]
    rules = [{"record": f"line:{number}", "expr": line} for number, line in enumerate(lines)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    checked = promtool("check", "rules", "--lint=none", str(file))

    assert len(rules) > 30
    assert checked.returncode == 0, checked.stderr


# --- how they are served


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(path: str, method: str = "GET") -> httpx2.Response:
    """At an admin port that demands a token, without one."""
    mounts = service.mounts()
    application = guarded(
        [Mount(one.path, one.application) for one in mounts],
        Token("0123456789abcdef"),
        open_below=[f"{one.path}/" for one in mounts if one.open],
    )
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, base_url="http://elsewhere") as client:
        return await client.request(method, path)


@pytest.mark.anyio
async def test_a_runbook_is_read_without_a_token() -> None:
    for name in NAMES:
        answer = await ask(f"{PATH}/{name}")
        assert (answer.status_code, answer.text) == (200, PAGES[name])
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.anyio
async def test_all_are_listed() -> None:
    listed = (await ask(f"{PATH}/")).text.splitlines()

    assert listed == [f"{PATH}/{name}" for name in NAMES]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    ["/Canary", "/CanaryGatewayDown.md", "/CanaryGatewayDown/", "/..%2F..%2Fmetrics", "/%2e%2e/x"],
)
async def test_what_is_no_runbook_is_not_found(path: str) -> None:
    answer = await ask(f"{PATH}{path}")

    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "method"), [("", "GET"), ("x/", "GET"), ("/", "POST")])
async def test_what_only_looks_like_them_needs_the_token(path: str, method: str) -> None:
    assert (await ask(f"{PATH}{path}", method)).status_code == 401


def test_they_are_a_part_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["monitoring"]
    shipped = {path.stem for one in patterns for path in (ROOT / "monitoring").glob(one)}

    assert shipped >= set(NAMES)
