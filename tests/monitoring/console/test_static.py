"""What the console brings along from others is what they published, and browsers may keep it."""

from __future__ import annotations

import json
import re
import tomllib
from hashlib import sha256
from pathlib import Path

from monitoring.console import static

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "monitoring" / "console" / "static"
VENDOR = "vendor/"


def test_every_vendored_file_is_the_published_one_and_has_a_licence_beside_it() -> None:
    files = {name.removeprefix(VENDOR): content for name, content in static.contents().items()
             if name.startswith(VENDOR)}  # fmt: skip
    manifest = json.loads(files.pop("manifest.json"))
    licences = {one["licence"] for one in manifest.values()}

    assert files.keys() == manifest.keys() | licences
    assert all(b"ermission" in files[name] for name in licences)
    for name, one in manifest.items():
        assert sha256(files[name]).hexdigest() == one["sha256"], name


def test_an_address_names_the_content() -> None:
    address = static.address("console.css")
    digest = sha256((FOLDER / "console.css").read_bytes()).hexdigest()

    assert address == f"/static/{digest[:12]}/console.css"


def test_the_files_are_part_of_what_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    data = project["tool"]["setuptools"]["package-data"]["monitoring.console"]

    assert {"static/**", "templates/**"} <= set(data)


def test_our_own_files_ask_nobody_else_for_anything() -> None:
    """The content security policy would refuse it; here it is seen which file would ask."""
    own = {name: one for name, one in static.contents().items() if not name.startswith(VENDOR)}
    own |= {str(one): one.read_bytes() for one in (FOLDER.parent / "templates").rglob("*.html")}

    for name, content in own.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\((?!#)", text), name
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", text), name
