"""From the text of ``routing.yaml`` to a :class:`~gateway.model.RoutingConfig`, or to everything
that is wrong with it, at its place.

``document`` reads the text, ``schema`` says the shape, ``quantities`` and ``addresses`` what a
scalar may be, ``rules`` what one key demands of another, and ``parsing`` brings them together. No
other module of the gateway imports a validation library.
"""

from gateway.config.parsing import parse, warnings
from gateway.config.schema import json_schema

__all__ = ["json_schema", "parse", "warnings"]
