"""HAProxy: weighted servers, and a stick table that counts labels per server."""

from __future__ import annotations

import re
import socket
import subprocess

from benchmarks.site import CANDIDATE_PERCENT, Command, Peer, Site

# `res.body` needs the whole answer, hence wait-for-body and a buffer larger than it. Idle
# connections to workers are kept. The id is the cheapest there is: a client's own is not looked at.
_CONFIG = """\
global
  nbthread 1
  maxconn 4096
  tune.bufsize 32768
  stats socket {directory}/admin.sock
defaults
  mode http
  timeout connect 3s
  timeout client 75s
  timeout server 3s
  timeout http-request 10s
  option http-keep-alive
  http-reuse always
backend labels
  stick-table type string len 64 size 1k expire 1h store http_req_cnt
frontend clients
  bind 127.0.0.1:{port} backlog 2048{tls}
  option forwardfor
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  default_backend versions
backend versions
  balance roundrobin
  http-response wait-for-body time 3s at-least 32k
  http-response set-var(txn.version) srv_name
  http-response set-var(txn.label) res.body,json_query('$.predictions[0]')
  http-response track-sc0 var(txn.version),concat(/,txn.label) table labels
  http-response set-header X-Model-Version %s
  default-server pool-purge-delay 1h
  server v1 {stable} weight {rest}
  server v2 {candidate} weight {percent}
"""


def _command(site: Site) -> Command:
    stable, candidate = (
        worker if worker.startswith("/") else f"127.0.0.1:{worker}" for worker in site.workers[:2]
    )
    config = _CONFIG.format(
        directory=site.directory,
        port=site.port,
        tls=f" ssl crt {site.certificate.both}" if site.certificate else "",
        stable=stable,
        candidate=candidate,
        percent=CANDIDATE_PERCENT,
        rest=100 - CANDIDATE_PERCENT,
    )
    path = site.write("haproxy.cfg", config)
    return Command(("/usr/sbin/haproxy", "-db", "-f", str(path)))


def _version() -> str:
    said = subprocess.run(["/usr/sbin/haproxy", "-v"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2].partition("-")[0]


def _counted(site: Site) -> int:
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(site.directory / "admin.sock"))
        admin.sendall(b"show table labels\n")
        told = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
    return sum(int(number) for number in re.findall(r"http_req_cnt=(\d+)", told))


LABEL = Peer(
    "HAProxy + label", "label, codes; no histogram, no score", _command, _version, _counted
)
