"""What Prometheus is told of the gateway itself: file, processes, certificates, build."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.counting.report import Report
from gateway.machine.usage import Usage

CONTROL = "control"  # the process that serves no clients itself, where there are several


def upkeep(report: Report, version: str, usage: Callable[[int], Usage | None]) -> Iterator[Metric]:
    """All of it; ``version`` is that of the build, ``usage`` what a process with this number takes
    (None: there is none).
    """
    yield from _config(report)
    yield from _processes(report)
    yield from _usage(report, usage)
    yield CounterMetricFamily(
        "canary_spans_dropped",
        "Spans that were not exported: no room for them, or the collector did not take them.",
        value=report.spans_dropped,
    )
    lost = CounterMetricFamily(
        "canary_log_dropped",
        "Lines of prediction and access logs that were lost.",
        labels=["sink", "reason"],
    )
    for (sink, loss), lines in report.lines_dropped.items():
        lost.add_metric([sink.value, loss.value], lines)
    yield lost
    yield from _certificates(report)
    build = GaugeMetricFamily(
        "canary_build_info", "Always 1; version names the build.", labels=["version"]
    )
    build.add_metric([version], 1)
    yield build


def _config(report: Report) -> Iterator[Metric]:
    status = report.state.reloads
    yield GaugeMetricFamily(
        "canary_config_last_reload_successful",
        "1 if routing.yaml as it stands is in force, 0 if it was refused.",
        value=float(status.successful),
    )
    yield GaugeMetricFamily(
        "canary_config_last_reload_success_timestamp_seconds",
        "Unix time, in seconds, at which the file in force was taken.",
        value=report.since,
    )
    reloads = CounterMetricFamily(
        "canary_config_reloads", "Changed contents of routing.yaml seen.", labels=["result"]
    )
    reloads.add_metric(["success"], status.taken)
    reloads.add_metric(["failure"], status.refused)
    yield reloads
    info = GaugeMetricFamily(
        "canary_config_info", "Always 1; hash names the content in force.", labels=["hash"]
    )
    info.add_metric([report.epoch.generation], 1)
    yield info


def _processes(report: Report) -> Iterator[Metric]:
    serving = sum(process.generation is not None for process in report.state.processes)
    yield GaugeMetricFamily(
        "canary_processes", "Processes that serve clients at this moment.", value=float(serving)
    )
    yield CounterMetricFamily(
        "canary_process_restarts",
        "Processes started in place of one that ended without being told to.",
        value=report.state.restarts,
    )


def _usage(report: Report, usage: Callable[[int], Usage | None]) -> Iterator[Metric]:
    cpu = CounterMetricFamily(
        "canary_process_cpu_seconds",
        "CPU time, in seconds, in user and kernel mode since the process began; a successor begins "
        "at 0.",
        labels=["process"],
    )
    memory = GaugeMetricFamily(
        "canary_process_resident_memory_bytes",
        "Memory in RAM, in bytes, what is shared with other processes included.",
        labels=["process"],
    )
    descriptors = GaugeMetricFamily(
        "canary_process_open_fds",
        "Open file descriptors, connections included.",
        labels=["process"],
    )
    pids = {str(one.number): one.pid for one in report.state.processes}
    if os.getpid() not in pids.values():
        pids[CONTROL] = os.getpid()
    for name, pid in sorted(pids.items()):
        used = usage(pid)
        if used is not None:
            cpu.add_metric([name], used.cpu)
            memory.add_metric([name], used.memory)
            descriptors.add_metric([name], used.descriptors)
    return iter((cpu, memory, descriptors))


def _certificates(report: Report) -> Iterator[Metric]:
    expiry = GaugeMetricFamily(
        "canary_tls_certificate_expiry_timestamp_seconds",
        "Unix time, in seconds, at which the certificate in use ends.",
        labels=["port"],
    )
    reloads = CounterMetricFamily(
        "canary_tls_certificate_reloads",
        "Changed certificates or keys seen.",
        labels=["port", "result"],
    )
    for certificate in report.state.certificates:
        expiry.add_metric([certificate.port], certificate.expires)
        reloads.add_metric([certificate.port, "success"], certificate.replaced)
        reloads.add_metric([certificate.port, "failure"], certificate.refused)
    return iter((expiry, reloads))
