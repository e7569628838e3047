"""How what the admin port asks for by name is named in a ledger."""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import Final

from gateway.counting.ledger import Name, Totals
from gateway.model import Endpoint
from gateway.routing.table import Place

DROPPED: Final[Name] = ("spans", "dropped")  # spans that were lost


class Sink(StrEnum):
    """Of what there are lines; the metric label ``sink``."""

    ACCESS = "access"
    PREDICTIONS = "predictions"


class Loss(StrEnum):
    """Why a line was lost; the metric label ``reason`` of ``canary_log_dropped_total``."""

    FULL = "full"  # too many wait: writing is slower than they come
    WRITE = "write"  # the file cannot be written
    ERROR = "error"  # it could not be made: a mistake of ours


def lost_name(sink: Sink, loss: Loss) -> Name:
    """Lines that were lost."""
    return "log", sink.value, loss.value


def lines_lost(totals: Totals) -> dict[tuple[Sink, Loss], int]:
    """Of each kind and for each reason, 0 included."""
    return {
        (sink, loss): sum(totals.counts.get(lost_name(sink, loss), ()))
        for sink, loss in product(Sink, Loss)
    }


def in_flight_name(place: Place, endpoint: Endpoint) -> Name:
    """Requests at it, or waiting for a connection to it."""
    return "in_flight", place.route.name, place.version, endpoint.url


def ejected_name(place: Place, endpoint: Endpoint) -> Name:
    """1 while it is left out for its failures."""
    return "ejected", place.route.name, place.version, endpoint.url


def ready_name(place: Place, endpoint: Endpoint) -> Name:
    """1 while it says that it is ready."""
    return "ready", place.route.name, place.version, endpoint.url
