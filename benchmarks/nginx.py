"""nginx: splitting only, and with Lua doing the gateway's work."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.counted import http_get, summed
from benchmarks.site import Command, Peer, Site

_LUA = Path(__file__).parent / "counts.lua"

_DRAW = '"$connection:$connection_requests"'

# Timeouts and buffers as installed; keep-alive is never ended by a count of requests, and more idle
# connections are kept per version than the load has. A draw per request without the price of
# $request_id (16 bytes of OpenSSL's random numbers) where no id is asked for.
_CONFIG = """\
daemon off;
user {user};
worker_processes {processes};
pid {directory}/nginx.pid;
error_log stderr warn;
{modules}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_body_buffer_size 32k;
  client_max_body_size 1m;
  {upstreams}
  split_clients {draw} $version {{ {split} * v1; }}
  {http}
  server {{
    listen 127.0.0.1:{port} backlog=2048{listen};
    {tls}
    location / {{
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 3s;
      add_header X-Model-Version $version always;
      {location}
      proxy_pass http://$version;
    }}
    {server}
  }}
}}
"""


def _command(site: Site, **parts: str) -> Command:
    versions = site.shape.versions
    percent = site.shape.candidate_percent
    upstreams = [
        f"upstream v{i} {{ server {_address(worker)}; keepalive 256; "
        "keepalive_requests 1000000000; }"
        for i, worker in enumerate(site.workers[:versions], 1)
    ]
    config = _CONFIG.format(
        user="root" if os.getuid() == 0 else "nobody",
        directory=site.directory,
        port=site.port,
        draw=_DRAW,
        processes=site.shape.processes,
        listen=(" reuseport" if site.shape.processes > 1 else "")
        + (" ssl" if site.certificate else ""),
        upstreams="\n  ".join(upstreams),
        tls=_tls(site),
        split=" ".join(f"{percent:.2f}% v{i};" for i in range(2, versions + 1)),
        **{"modules": "", "http": "", "location": "", "server": "", **parts},
    )
    path = site.write("nginx.conf", config)
    return Command(("/usr/sbin/nginx", "-p", str(site.directory), "-c", str(path)))


def _tls(site: Site) -> str:
    """As installed, but for the versions: 1.22 does not speak 1.3 unless it is told to."""
    if site.certificate is None:
        return ""
    files = f"ssl_certificate {site.certificate.chain}; ssl_certificate_key {site.certificate.key};"
    return f"{files} ssl_protocols TLSv1.2 TLSv1.3;"


def _address(worker: str) -> str:
    return f"unix:{worker}" if worker.startswith("/") else f"127.0.0.1:{worker}"


def _with_lua(site: Site) -> Command:
    modules = "/usr/lib/nginx/modules"
    return _command(
        site,
        modules=f"load_module {modules}/ndk_http_module.so; "
        f"load_module {modules}/ngx_http_lua_module.so;",
        http=f'lua_package_path "{_LUA.parent}/?.lua;;"; init_by_lua_block {{ require "counts" }} '
        'map $http_x_request_id $id { "" $request_id; default $http_x_request_id; }',
        location="proxy_set_header X-Request-Id $id; add_header X-Request-Id $id always; "
        'body_filter_by_lua_block { require("counts").keep() } '
        'log_by_lua_block { require("counts").observe() }',
        server='location = /metrics { content_by_lua_block { require("counts").show() } }',
    )


def _version() -> str:
    said = subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True, check=True)
    return said.stderr.strip().rpartition("/")[2]


SPLIT = Peer("nginx", "split only", _command, _version)


def _counted(site: Site) -> int:
    return summed(http_get(site.port, "/metrics"), "labels")


LUA = Peer("nginx + Lua", "same work", _with_lua, _version, _counted)
