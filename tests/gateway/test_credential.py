"""The token of the admin port: where it is found, and that nothing shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.security.credential import TOKEN_VARIABLE, Token, TokenError, find_token

FIRST = "first-0123456789-first"
SECOND = "second-0123456789-second"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{FIRST}\n")
    return path


def found(file: Path | None, environment: dict[str, str] | None = None) -> Token:
    token = find_token(file, {} if environment is None else environment)
    assert token is not None
    return token


def test_nowhere_a_token_is_no_token() -> None:
    assert find_token(None, {"OTHER": "x"}) is None


def test_a_token_of_the_environment_does_not_stay_there() -> None:
    environment = {TOKEN_VARIABLE: FIRST, "OTHER": "x"}

    assert found(None, environment).value() == FIRST
    assert environment == {"OTHER": "x"}


def test_a_file_is_preferred_and_the_environment_is_emptied_all_the_same(file: Path) -> None:
    environment = {TOKEN_VARIABLE: SECOND}

    assert found(file, environment).value() == FIRST
    assert environment == {}


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  \n\n"])
def test_the_end_of_the_line_is_no_part_of_the_token(file: Path, end: str) -> None:
    file.write_text(FIRST + end)

    assert found(file).value() == FIRST


@pytest.mark.parametrize(
    "text",
    ["", "\n", "short", "with a space in between it", f"{FIRST}\n{SECOND}", "ü" * 20, "x" * 5000],
)
def test_what_cannot_be_a_token_is_refused_and_not_shown(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(TokenError, match="no token for the admin port") as refused:
        find_token(file, {})

    assert not text.strip() or text.strip() not in str(refused.value)
    with pytest.raises(TokenError, match=TOKEN_VARIABLE):
        find_token(None, {TOKEN_VARIABLE: text})


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=r"missing.*No such file"):
        find_token(tmp_path / "missing", {})
    with pytest.raises(TokenError, match="not a regular file"):
        find_token(tmp_path, {})


def test_a_token_is_exchanged_by_its_file(file: Path) -> None:
    token = found(file)
    assert token.value() == FIRST
    other = file.with_name("other")
    other.write_text(SECOND)
    os.replace(other, file)

    assert token.value() == SECOND


def test_a_bad_file_leaves_the_last_token_and_says_so_once(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = found(file)
    file.write_text("short")
    assert [token.value() for _ in range(3)] == [FIRST] * 3
    file.unlink()
    assert [token.value() for _ in range(3)] == [FIRST] * 3
    lines = capsys.readouterr().err.splitlines()

    assert len(lines) == 2
    assert all("admin token kept as it was" in line and FIRST not in line for line in lines)
    file.write_text(SECOND)
    assert token.value() == SECOND


def test_a_token_does_not_show_itself(file: Path) -> None:
    assert FIRST not in repr(found(file))
    assert FIRST not in repr(found(None, {TOKEN_VARIABLE: FIRST}))
