"""``python -m monitoring.console FILE --gateway URL --socket PATH``: the console without the rest
of the command line. Beside a gateway the environment says where that is, and where to listen.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.admin.hidden_socket import FOLDER, SOCKET_VARIABLE
from gateway.admin.port import AdminConnection, AdminServer, admin_server
from gateway.logs import Log, adopt_others, configure_logs
from gateway.machine.port import Address
from gateway.processes.companion import ADMIN_VARIABLE
from gateway.security.access import is_loopback
from gateway.security.credential import FILE_VARIABLE, TOKEN_VARIABLE, Token, TokenError, find_token
from monitoring.console.app import create_console
from monitoring.console.context import Context
from monitoring.readings.sources import GatewaySources, SourceError

DEFAULT_ADMIN: Final = "http://127.0.0.1:8081"
_STREAMS_END: Final = 0.2  # seconds after we were told to end; short answers are out by then

log = Log()


class Visit(AdminConnection):
    """A stream lasts as long as somebody looks at it."""

    answer_limit = float("inf")


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM. Exit code 1 if the address is taken, 2 for wrong use."""
    options, parent = _options(arguments), os.getppid()
    configure_logs(json=options.json)
    adopt_others()
    try:
        token = find_token(options.admin_token_file, os.environ)
        with GatewaySources([options.gateway], token) as sources, _bound(options, token) as sock:
            asyncio.run(_serve(Context(options.file, sources, token), sock))
    except (TokenError, SourceError, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if options.socket is not None:
            _leave(options.socket, orphaned=os.getppid() != parent)
    return 0


async def _serve(context: Context, sock: socket.socket) -> None:
    server = admin_server(create_console(context), kind=Visit, headers=(), lifespan="on")
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True
        loop.call_later(_STREAMS_END, _hang_up, server)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, end)
    at = sock.getsockname()
    log.info("console", at=at if isinstance(at, str) else str(Address(*at[:2])))
    await server.serve(sockets=[sock])


def _hang_up(server: AdminServer) -> None:
    """On whoever still listens to a stream."""
    for connection in tuple(server.server_state.connections):
        connection.transport.close()


def _bound(options: argparse.Namespace, token: Token | None) -> socket.socket:
    """Where to listen. Raises OSError, and PermissionError if others than this machine could come
    in, and would need no token for it.
    """
    if options.socket is not None:
        path: Path = options.socket
        if path.is_socket():  # of one that was killed
            path.unlink()
        sock = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)  # for this user only
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        return sock
    address = Address(*options.listen)
    if token is None and not is_loopback(address.host):
        raise PermissionError(
            f"the console on {address} can be reached from other machines and needs a token: "
            f"give --admin-token-file ({FILE_VARIABLE}) or {TOKEN_VARIABLE}, "
            "or keep it on 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)


def _leave(path: Path, *, orphaned: bool) -> None:
    """Remove the socket; and its directory, if a gateway made it that is not there to do so."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        if orphaned and path.parent.name.startswith(FOLDER):
            path.parent.rmdir()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring.console", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("routing.yaml"))
    parser.add_argument("--gateway", default=os.environ.get(ADMIN_VARIABLE, DEFAULT_ADMIN))
    parser.add_argument("--socket", type=Path, default=os.environ.get(SOCKET_VARIABLE))
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 8084))
    parser.add_argument("--admin-token-file", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
