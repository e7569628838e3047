"""How what the admin port asks for by name is named in a ledger."""

from __future__ import annotations

from typing import Final

from gateway.ledger import Name
from gateway.model import Endpoint
from gateway.table import Place

DROPPED: Final[Name] = ("spans", "dropped")  # spans that were lost


def in_flight_name(place: Place, endpoint: Endpoint) -> Name:
    """Requests at it, or waiting for a connection to it."""
    return "in_flight", place.route.name, place.version, endpoint.url


def ejected_name(place: Place, endpoint: Endpoint) -> Name:
    """1 while it is left out for its failures."""
    return "ejected", place.route.name, place.version, endpoint.url


def ready_name(place: Place, endpoint: Endpoint) -> Name:
    """1 while it says that it is ready."""
    return "ready", place.route.name, place.version, endpoint.url
