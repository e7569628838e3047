"""Gateways and workers in this process, as over there."""

from tests.sockets.conftest import hire, serve, stack

__all__ = ["hire", "serve", "stack"]
