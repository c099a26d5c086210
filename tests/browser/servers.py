"""The two servers whose pages are visited, each as its own command starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.browser.visit import ROOT
from tests.load.bench import free_port

START_LIMIT_S = 60.0
SAGASTORM = [sys.executable, "-m", "harness.cli.main"]


@contextmanager
def past_runs(runs: Path) -> Iterator[str]:
    """``sagastorm serve``: its address, without a slash at the end."""
    command = [*SAGASTORM, "serve", "--runs", str(runs), "--ablations", str(runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_environment()) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().decode().split(": ")[1].split("/ ")[0]
        finally:
            server.send_signal(signal.SIGINT)


@contextmanager
def web_ui(folder: Path) -> Iterator[str]:
    """``sagastorm ui``, with its runs in ``folder``: its address. What it leaves running is killed at the end."""
    port = free_port()
    command = [*SAGASTORM, "ui", "--port", str(port), "--runs", str(folder / "runs")]
    with (folder / "log").open("wb") as log:
        locust = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await_answer(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        locust.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            locust.wait(START_LIMIT_S)
        with suppress(ProcessLookupError):
            os.killpg(locust.pid, signal.SIGKILL)
        locust.wait()


def _environment() -> dict[str, str]:
    """Without what others have set for runs of their own."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SAGASTORM_", "LOCUST_"))}
    return ours | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        with suppress(OSError), urllib.request.urlopen(url, timeout=START_LIMIT_S):
            return
        assert time.monotonic() < deadline, f"{url} never answered"
        time.sleep(0.1)
