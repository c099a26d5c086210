"""LocalStack and DynamoDB Local as processes of this one: started, waited for, stopped, and gone when it is gone.

They are sessions of their own, so that a Ctrl-C in the terminal reaches this process alone, and each has a lifeline (see
``localstack_launcher.py``).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psutil

from harness.aws.services import listing_headers
from harness.core.errors import EnvironmentFailure

HOST: Final = "127.0.0.1"

_SERVICES: Final = ("sqs", "stepfunctions", "events")
_LOOK_S: Final = 0.1
_REQUEST_TIMEOUT_S: Final = 5.0
_TERM_TIMEOUT_S: Final = 10.0
_TAIL_LINES: Final = 20
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past any proxy that the environment names."""


def free_port(preferred: int = 0) -> int:
    """A port on which nothing listens on 127.0.0.1: the preferred one if it is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a connection that has just ended holds it
        try:
            probe.bind((HOST, preferred))
        except OSError:
            return free_port()
        port: int = probe.getsockname()[1]
        return port


class _Server:
    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
        self.name = name
        self.process = process
        self.port = port
        self.log_path = log_path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_ready(self) -> bool:
        """Whether it answers for its service, or for all of its services.

        Raises ``EnvironmentFailure`` where another process answers: LocalStack runs on if it cannot have its port.
        """
        if self.name == "dynamodb":
            answers = _json(urllib.request.Request(self.url, b"{}", listing_headers("dynamodb"))) is not None
        else:
            health = _json(urllib.request.Request(self.url + "/_localstack/health"))
            states = (health or {}).get("services", {})
            answers = all(states.get(service) in ("available", "running") for service in _SERVICES)
        if answers and not self._listens():
            raise _taken(self.name, self.port)
        return answers

    def _listens(self) -> bool:
        try:
            sockets = psutil.Process(self.process.pid).net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == self.port for each in sockets)

    def end(self) -> str | None:
        """How it ended, in words; ``None`` while it lives."""
        status = self.process.poll()
        if status is None:
            return None
        how = f"exited with status {status}" if status >= 0 else f"was killed by {signal.Signals(-status).name}"
        return f"{self.name} {how}; {self.tail()}"

    def tail(self) -> str:
        """The end of its log, on lines of its own."""
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n    ".join([f"the end of its log, {self.log_path}:", *lines])


class Servers:
    """The two. A context: at its end they are stopped, and ``scratch``, their folder, is removed."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.scratch = Path(tempfile.mkdtemp(prefix="sagastorm-localstack-"))
        self._servers: list[_Server] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for server in self._servers:
                server.process.terminate()
            deadline_s = time.monotonic() + _TERM_TIMEOUT_S
            for server in self._servers:
                with suppress(subprocess.TimeoutExpired):
                    server.process.wait(max(0.0, deadline_s - time.monotonic()))
        finally:
            for server in self._servers:
                _kill(server.process)
            shutil.rmtree(self.scratch, ignore_errors=True)

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which they are found."""
        urls = {server.name: server.url for server in self._servers}
        return {
            "LOCALSTACK_HOST": urls["localstack"].removeprefix("http://"),
            "AWS_ENDPOINT_URL_DYNAMODB": urls["dynamodb"],
        }

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str], port: int) -> None:
        """Start one that will listen at ``port``. Raises ``EnvironmentFailure`` where somebody else does already."""
        if free_port(port) != port:
            raise _taken(name, port)
        log_path = self.logs / f"{name}.log"
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            with log_path.open("wb") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=self.scratch,
                    env=dict(environ),
                )
        except OSError as error:
            raise EnvironmentFailure(f"{name} did not start: {error}") from error
        self._servers.append(_Server(name, process, port, log_path))

    def wait_until_ready(self, limit_s: float) -> None:
        """Raises ``EnvironmentFailure`` with the end of the log of the one that has ended, or is not ready in time."""
        deadline_s = time.monotonic() + limit_s
        for server in self._servers:
            while not server.is_ready():
                for other in self._servers:
                    if end := other.end():
                        raise EnvironmentFailure(end)
                if time.monotonic() > deadline_s:
                    raise EnvironmentFailure(f"{server.name} was not ready within {limit_s:g} s; {server.tail()}")
                time.sleep(_LOOK_S)

    def died(self) -> str:
        """Wait for one of them to end, and say how it did."""
        while True:
            for server in self._servers:
                if end := server.end():
                    return end
            time.sleep(_LOOK_S)


def _taken(name: str, port: int) -> EnvironmentFailure:
    return EnvironmentFailure(f"{HOST}:{port} is taken: choose another port for {name}")


def _json(request: urllib.request.Request) -> dict[str, Any] | None:
    """What is answered with status 200; ``None`` for everything else."""
    try:
        with _DIRECT.open(request, timeout=_REQUEST_TIMEOUT_S) as response:
            answer = json.load(response)
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever is left of its session
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
