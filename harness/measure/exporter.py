"""Shows a process's metrics to whoever scrapes: over HTTP on the loopback interface, at a port of the system's choice.

Where to find them is announced in a file of the form that Prometheus calls *file_sd*, so that the run's own sampler
and a Prometheus server beside it look at the same list.
"""

from __future__ import annotations

import atexit
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIServer

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

ADDRESS = "127.0.0.1"
BESIDE_VARIABLE = "SAGASTORM_TARGETS"
"""Folder in which every process of every block is announced as well, for as long as it lives, where this is set.

For a Prometheus server: it takes a wildcard in the name of a file but not of a folder, and each block has folders of its
own. Whoever is killed leaves its file there; the next to come or go in that folder removes it."""

_PROBE_LIMIT_S = 0.2

_beside: set[Path] = set()
"""This process's own files in that folder."""


@dataclass(frozen=True)
class Exporter:
    """One that runs. It ends with its process, or when it is closed: a process that outlives a block shows no more of it."""

    port: int
    _target: Path
    _server: WSGIServer
    _thread: Thread

    def close(self) -> None:
        """Be announced no more, and serve no more; takes up to half a second."""
        self._target.unlink(missing_ok=True)
        if folder := _folder_beside():
            _withdraw(folder / f"{self.port}.json")
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def start_exporter(registry: CollectorRegistry, targets_dir: Path, process: str, namespace: str) -> Exporter:
    """Serve ``registry``, and the CPU time and memory of this process with it, and announce it.

    ``namespace`` is that of the block. Serves from a daemon thread (a greenlet where gevent has patched threads). Call it
    after a fork, never before: the thread would stay behind.
    """
    ProcessCollector(registry=registry)
    server, thread = start_http_server(0, addr=ADDRESS, registry=registry)
    announce(targets_dir, process, server.server_port, namespace)
    return Exporter(server.server_port, targets_dir / f"{process}.json", server, thread)


def announce(targets_dir: Path, process: str, port: int, namespace: str) -> None:
    """Add this process to the targets in ``targets_dir``. Readers see the whole file or none.

    Which run and block it is of stands there, as labels that Prometheus adds to each of its series.
    """
    run, _, block = namespace.removeprefix("ss-").rpartition("-")
    labels = {"process": process, "run": run, "block": block}
    _write(targets_dir / f"{process}.json", port, labels)
    if folder := _folder_beside():
        forget_the_dead()
        path = folder / f"{port}.json"
        _write(path, port, labels)
        _beside.add(path)


@atexit.register
def withdraw() -> None:
    """Be announced no more, for a Prometheus beside; to be called by whoever ends the process without more ado."""
    for path in list(_beside):
        _withdraw(path)
    forget_the_dead()


def forget_the_dead() -> None:
    """Remove what processes that were killed have left for a Prometheus beside."""
    folder = _folder_beside()
    for path in folder.glob("*.json") if folder else ():
        if not path.stem.isdecimal():
            continue  # somebody else's
        with socket.socket() as probe:
            probe.settimeout(_PROBE_LIMIT_S)
            # Only a refusal: who is stopped, or has its hands full, is not dead.
            if probe.connect_ex((ADDRESS, int(path.stem))) == errno.ECONNREFUSED:
                path.unlink(missing_ok=True)


def _folder_beside() -> Path | None:
    named = os.environ.get(BESIDE_VARIABLE)
    return Path(named) if named else None


def _withdraw(path: Path) -> None:
    path.unlink(missing_ok=True)
    _beside.discard(path)


def _write(path: Path, port: int, labels: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    target = [{"targets": [f"{ADDRESS}:{port}"], "labels": labels}]
    # Both Prometheus and the sampler look for *.json only, so the unfinished file has another ending.
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.encode(target))
    part.replace(path)
