"""What a page sends back: the fields of a form, within bounds, as a person meant them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from gateway.config.quantities import percent

MOST: Final = 64 * 1024  # bytes of a form
MAX_REASON: Final = 1000  # characters
MAX_WHO: Final = 64
CONSOLE: Final = "console"
"""Who acts, in the history, where a visitor gave no name."""


class BadForm(ValueError):
    """It is no form, or too large; the message says so."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field; ``field`` is the id of its input."""

    field: str
    message: str


def fields(body: bytes) -> dict[str, str]:
    """Of ``application/x-www-form-urlencoded``; the last of each name. Raises BadForm."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise BadForm(f"this is no form of this console ({error}); load the page again") from error
    return dict(pairs)


def one_line(text: str) -> str:
    """Without line ends and spaces at its ends."""
    return " ".join(text.split())


def actor(name: str) -> str:
    """Who acts, for the history: ``console:alice``, or ``console`` without a name."""
    name = one_line(name)[:MAX_WHO]
    return f"{CONSOLE}:{name}" if name else CONSOLE


def faults(form: Mapping[str, str], *, reason_needed: bool, weight_needed: bool) -> list[Fault]:
    """Everything that is wrong with what was filled in, in the order of the page."""
    found = []
    if weight_needed:
        try:
            percent(one_line(form.get("weight", "")).replace(",", "."))
        except ValueError as error:
            found.append(Fault("weight", _sentence(form.get("weight", ""), error)))
    reason = one_line(form.get("reason", ""))
    if reason_needed and not reason:
        found.append(Fault("reason", "There is no reason: say why, others will read it"))
    if len(reason) > MAX_REASON:
        message = f"The reason has {len(reason)} characters; write at most {MAX_REASON}"
        found.append(Fault("reason", message))
    if len(one_line(form.get("who", ""))) > MAX_WHO:
        found.append(Fault("who", f"The name is too long; write at most {MAX_WHO} characters"))
    return found


def weight_of(form: Mapping[str, str]) -> int | None:
    """In basis points; None if there is none, or it is no percentage."""
    try:
        return percent(one_line(form.get("weight", "")).replace(",", "."))
    except ValueError:
        return None


def _sentence(text: str, error: ValueError) -> str:
    if not text.strip():
        return "There is no weight: write a number from 0 to 100"
    return f"The weight: {error}"
