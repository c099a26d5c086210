"""Shows a process's metrics to whoever scrapes: over HTTP on the loopback interface, at a port of the system's choice.

Where to find them is announced in a file of the form that Prometheus calls *file_sd*, so that the run's own sampler
and a Prometheus server beside it look at the same list.
"""

from __future__ import annotations

import atexit
import errno
import os
import socket
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

ADDRESS = "127.0.0.1"
BESIDE_VARIABLE = "SAGASTORM_TARGETS"
"""Folder in which every process of every block is announced as well, for as long as it lives, where this is set.

For a Prometheus server: it takes a wildcard in the name of a file but not of a folder, and each block has folders of its
own. Whoever is killed leaves its file there, until the next process announces itself."""

_PROBE_LIMIT_S = 0.2


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
    _write(targets_dir / f"{process}.json", process, port)
    if beside := os.environ.get(BESIDE_VARIABLE):
        _forget_the_dead(Path(beside))
        path = Path(beside) / f"{port}.json"
        _write(path, process, port)
        atexit.register(path.unlink, missing_ok=True)


def _forget_the_dead(beside: Path) -> None:
    for path in beside.glob("*.json"):
        with socket.socket() as probe:
            probe.settimeout(_PROBE_LIMIT_S)
            # Only a refusal: who is stopped, or has its hands full, is not dead.
            if probe.connect_ex((ADDRESS, int(path.stem))) == errno.ECONNREFUSED:
                path.unlink(missing_ok=True)


def _write(path: Path, process: str, port: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    target = [{"targets": [f"{ADDRESS}:{port}"], "labels": {"process": process}}]
    # Both Prometheus and the sampler look for *.json only, so the unfinished file has another ending.
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.encode(target))
    part.replace(path)
