"""What the images install: exact versions, the same as everywhere, each file by its hash. Their
Dockerfiles are read; the locks are compared with the environment that ``make install`` made.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as plain

ROOT = Path(__file__).parents[2]
IMAGES = ("gateway", "model_workers")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Of the images: their Python and system, not those of the machine that runs the tests.
MACHINE = {
    "python_version": "3.12",
    "python_full_version": "3.12.11",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "extra": "",
}
_HASH = r" \\\n    --hash=sha256:[0-9a-f]{64}"

each_image = pytest.mark.parametrize("image", IMAGES)


def lock(image: str) -> str:
    return (ROOT / image / "requirements.txt").read_text()


def pins(text: str) -> dict[str, str]:
    """Names, as an index compares them, and exact versions."""
    return {plain(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}


def asked(image: str) -> list[Requirement]:
    """What the image needs by name."""
    lines = (ROOT / image / "requirements.in").read_text().splitlines()
    texts = [line.partition("#")[0].strip() for line in lines]
    if image == "gateway":
        texts += PROJECT["project"]["dependencies"]
    return [Requirement(text) for text in texts if text]


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(MACHINE)


@each_image
def test_every_line_of_a_lock_is_an_exact_version_with_its_hashes(image: str) -> None:
    entries = re.sub(r"^#.*\n", "", lock(image), flags=re.M)

    assert re.fullmatch(rf"(?:[\w.-]+==[\w.]+(?:{_HASH})+\n)+", entries)
    assert len(pins(entries)) == entries.count("==")


@each_image
def test_a_lock_has_the_versions_of_every_other_environment(image: str) -> None:
    everywhere = pins((ROOT / "constraints.txt").read_text())
    locked = pins(lock(image))
    built_with = locked.pop("setuptools", None)

    assert locked.items() <= everywhere.items(), "renew it with `make lock`"
    assert (built_with is not None) == (image == "gateway")


@each_image
def test_a_lock_has_what_is_asked_for_in_a_version_that_will_do(image: str) -> None:
    locked = pins(lock(image))
    wanted = asked(image)
    if image == "gateway":
        wanted += [Requirement(text) for text in PROJECT["build-system"]["requires"]]

    assert wanted
    for one in wanted:
        assert one.specifier.contains(locked[plain(one.name)]), f"{one}: renew with `make lock`"


@each_image
def test_a_lock_is_all_that_is_needed_and_nothing_else(image: str) -> None:
    """By what the installed packages say they need."""
    found = {"setuptools"} & pins(lock(image)).keys()
    ahead = [one for one in asked(image) if one.name != "setuptools"]
    while ahead:
        one = ahead.pop()
        if applies(one) and plain(one.name) not in found:
            found.add(plain(one.name))
            ahead += [Requirement(text) for text in requires(one.name) or ()]

    assert pins(lock(image)).keys() == found, "renew it with `make lock`"


@each_image
def test_an_image_takes_nothing_from_an_index_without_a_hash(image: str) -> None:
    text = (ROOT / image / "Dockerfile").read_text().replace("\\\n", "")
    installs = re.findall(r"pip install ([^&\n]*)", text)

    assert installs
    for one in installs:
        hashed = {"--require-hashes", "--only-binary=:all:"} <= set(one.split())
        own = {"--no-index", "--no-deps", "--no-build-isolation"} <= set(one.split())
        assert hashed != own, one
    assert installs[0].split()[-1].endswith("requirements.txt")
    runs = re.findall(r"^(?:RUN|COPY|ADD) .*$", text, re.M)
    assert not re.search(r"curl|wget|apt|https?:|git\b", "".join(runs))


def test_the_image_has_the_command_whose_code_it_has_and_no_other() -> None:
    """The package brings a command for each of its parts, and the image has not all parts."""
    text = (ROOT / "gateway" / "Dockerfile").read_text()
    removed = set(re.findall(r"rm /opt/venv/bin/([\w-]+)", text))
    parts = {name: code.partition(".")[0] for name, code in PROJECT["project"]["scripts"].items()}

    assert removed == {name for name, part in parts.items() if f"COPY {part} " not in text}


@each_image
def test_no_lock_and_no_image_names_an_index(image: str) -> None:
    for name in ("requirements.txt", "requirements.in", "Dockerfile"):
        text = (ROOT / image / name).read_text()

        assert not re.search(r"--(?:extra-)?index-url|--find-links|--trusted-host", text)


def test_the_bill_of_materials_is_made_of_the_locks() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert f"IMAGES := {' '.join(IMAGES)}\n" in makefile
    assert "build/%.cdx.json: %/requirements.txt\n" in makefile
    assert "/.lock/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_locks_are_for_the_python_of_the_images() -> None:
    bases = {
        base
        for image in IMAGES
        for base in re.findall(r"^FROM (\S+)", (ROOT / image / "Dockerfile").read_text(), re.M)
    }
    (version,) = re.findall(r"--python-version (\S+)", (ROOT / "Makefile").read_text())

    assert len(bases) == 1
    assert next(iter(bases)).startswith(f"python:{version}.")
    assert MACHINE["python_version"] == version
