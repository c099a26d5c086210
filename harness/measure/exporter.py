"""Shows a process's metrics to whoever scrapes: over HTTP on the loopback interface, at a port of the system's choice.

Where to find them is announced in a file of the form that Prometheus calls *file_sd*, so that the run's own sampler
and a Prometheus server beside it look at the same list.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

ADDRESS = "127.0.0.1"


def start_exporter(registry: CollectorRegistry, targets_dir: Path, process: str) -> int:
    """Serve ``registry``, and the CPU time and memory of this process with it, and announce it; returns the port.

    Serves from a daemon thread (a greenlet where gevent has patched threads) until the process ends. Call it after
    a fork, never before: the thread would stay behind.
    """
    ProcessCollector(registry=registry)
    server, _thread = start_http_server(0, addr=ADDRESS, registry=registry)
    announce(targets_dir, process, server.server_port)
    return server.server_port


def announce(targets_dir: Path, process: str, port: int) -> None:
    """Add this process to the targets in ``targets_dir``. Readers see the whole file or none."""
    targets_dir.mkdir(parents=True, exist_ok=True)
    target = [{"targets": [f"{ADDRESS}:{port}"], "labels": {"process": process}}]
    # Both Prometheus and the sampler look for *.json only, so the unfinished file has another ending.
    part = targets_dir / f"{process}.json.part"
    part.write_bytes(msgspec.json.encode(target))
    part.replace(targets_dir / f"{process}.json")
