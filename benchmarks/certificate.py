"""The certificate of a run, made by the openssl command: the same for all that speak TLS."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VERSION: Final = "TLSv1.3"
CIPHER: Final = "TLS_AES_256_GCM_SHA384"  # what OpenSSL's clients ask for first; hard to do cheaper
_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_NAME: Final = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
# Read by every OpenSSL, in wrk and in Python alike, for each context it makes.
_CLIENTS: Final = f"""\
openssl_conf = all
[all]
ssl_conf = modules
[modules]
system_default = clients
[clients]
MinProtocol = {VERSION}
Ciphersuites = {CIPHER}
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of one that vouches for itself: certificate, key, and both in one. ``clients`` is
    what OPENSSL_CONF names for the load: one version, one cipher, whoever it speaks to.
    """

    chain: Path
    key: Path
    both: Path
    clients: Path

    def environment(self) -> dict[str, str]:
        """For the load."""
        return {"OPENSSL_CONF": str(self.clients)}

    def trusting(self) -> ssl.SSLContext:
        """For a client that verifies it."""
        return ssl.create_default_context(cafile=self.chain)


def make_certificate(directory: Path) -> Certificate:
    """A new one for 127.0.0.1, ECDSA on P-256, valid for a day."""
    chain, key, both = (directory / name for name in ("tls.crt", "tls.key", "tls.pem"))
    files = ("-keyout", str(key), "-out", str(chain), "-days", "1")
    subprocess.run(
        ["openssl", "req", "-x509", *_KEY, *_NAME, *files], check=True, capture_output=True
    )
    both.write_bytes(chain.read_bytes() + key.read_bytes())
    clients = directory / "openssl.cnf"
    clients.write_text(_CLIENTS)
    return Certificate(chain, key, both, clients)


def check_agreed(name: str, port: int, certificate: Certificate) -> None:
    """Raises RuntimeError unless the load and this target agree on the version and cipher that all
    are measured with.
    """
    words = ["openssl", "s_client", "-brief", "-CAfile", str(certificate.chain)]
    said = subprocess.run(
        [*words, "-verify_return_error", "-connect", f"127.0.0.1:{port}"],
        env=certificate.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    told = said.stdout + said.stderr
    if VERSION not in told or CIPHER not in told or "Verification: OK" not in told:
        raise RuntimeError(f"{name} does not speak {VERSION} with {CIPHER}: {told}")
