"""``python -m gateway [routing.yaml]``: the gateway without the rest of the command line.

``canary serve`` becomes this once it has understood its options: the same process, without the
megabytes of a command line nobody types into any more.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from gateway.admin.app import Mount
from gateway.admin.hidden_socket import SOCKET_VARIABLE, private_socket
from gateway.admin.relay import Relays
from gateway.app import Certificates, Telling, serve
from gateway.config.quantities import percent
from gateway.errors import CertificateRefused, ConfigError, TracesRefused
from gateway.files.changes import Authors, nobody_knows
from gateway.logs import adopt_others, configure_logs
from gateway.machine.port import Address
from gateway.model import FULL_WEIGHT
from gateway.processes.companion import Companion
from gateway.security.certificate import Certificate
from gateway.security.credential import TokenError, find_token
from gateway.writing.scribe import STDOUT, AccessLog


def main(
    arguments: list[str], mounts: Sequence[Mount] = (), authors: Authors = nobody_knows
) -> int:
    """Exit code 0 after a drain, 1 if a port is taken, 2 for a refused file, certificate or admin
    port, and for traces that cannot be exported. ``mounts`` are what others serve on the admin
    port, ``authors`` who changed the file.
    """
    options = _options(arguments)
    configure_logs(json=options.json)
    adopt_others()
    try:
        with ExitStack() as stack:
            telling = Telling(options.traces, _access(options), authors)
            uvloop.run(_serving(options, mounts, telling, stack))
    except TokenError as error:
        return _complain(f"error: {error}", [str(error)], 2, as_json=options.json)
    except ConfigError as error:
        problems = [problem.render(options.file.name) for problem in error.problems]
        return _complain("\n".join(problems), problems, 2, as_json=options.json)
    except (CertificateRefused, TracesRefused) as error:
        return _complain(f"error: {error}", [str(error)], 2, as_json=options.json)
    except OSError as error:
        remedy = "; choose another address" if error.errno == errno.EADDRINUSE else ""
        said = f"{error}{remedy}"
        return _complain(f"error: {said}", [said], 1, as_json=options.json)
    return 0


def _serving(
    options: argparse.Namespace, mounts: Sequence[Mount], telling: Telling, stack: ExitStack
) -> Coroutine[Any, Any, None]:
    """The gateway's life, not begun. What it needs on disk goes with the ``stack``."""
    companions, relays = [], None
    # Of what is ours a companion gets the token, too, which nobody else does.
    if options.companion is not None:
        companions.append(Companion(options.companion, os.environ))
    if options.console is not None:
        path = stack.enter_context(private_socket())
        relays = Relays(path)
        environment = {**os.environ, SOCKET_VARIABLE: str(path)}
        companions.append(Companion(options.console, environment, name="console"))
    return serve(
        options.file,
        Address(*options.listen),
        Address(*options.admin),
        processes=options.processes,
        token=find_token(options.admin_token_file, os.environ),
        certificates=Certificates(
            _certificate("data", options.tls_cert, options.tls_key),
            _certificate("admin", options.admin_tls_cert, options.admin_tls_key),
        ),
        companions=companions,
        mounts=mounts,
        telling=telling,
        relays=relays,
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("routing.yaml"))
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 8080))
    parser.add_argument("--admin", type=_address, default=("127.0.0.1", 8081))
    parser.add_argument("--admin-token-file", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    for name in ("--tls-cert", "--tls-key", "--admin-tls-cert", "--admin-tls-key"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--companion", type=_command, metavar='["PROGRAM", "ARGUMENT", ...]')
    parser.add_argument("--console", type=_command, metavar="the same")
    parser.add_argument("--traces", action="store_true")
    parser.add_argument("--access-log", metavar="PATH|-")
    parser.add_argument("--access-log-sample", type=percent, default=FULL_WEIGHT)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def _access(options: argparse.Namespace) -> AccessLog | None:
    path, sample = options.access_log, options.access_log_sample
    if path is None or not sample:
        return None
    return AccessLog(path if path == STDOUT else os.path.abspath(path), sample)


def _certificate(port: str, certificate: Path | None, key: Path | None) -> Certificate | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise CertificateRefused(f"the {port} port has a certificate or a key alone; give both")
    return Certificate(port, certificate, key)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _command(text: str) -> list[str]:
    """A program and its arguments as a JSON array. Raises ValueError."""
    command = json.loads(text)
    if not isinstance(command, list) or not command or not all(type(one) is str for one in command):
        raise ValueError
    return command


def _complain(text: str, problems: list[str], code: int, *, as_json: bool) -> int:
    """On stderr for people; as JSON on stdout for programs that asked for it, as `canary` does."""
    if as_json:
        print(json.dumps({"ok": False, "errors": problems}, indent=2))
    else:
        print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
