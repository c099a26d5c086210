"""``sagastorm ui``: Locust's web UI with the right scenario, and the settings as what its start form offers first."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from harness.cli import options
from harness.core.errors import EnvironmentFailure, Problem, UsageError
from harness.run import scenarios
from harness.run.locust import free_port
from harness.settings import RunSettings


def ui(flags: Mapping[str, str | None], port: str, runs: Path) -> NoReturn:
    """Become Locust: nothing is left to do here while it runs.

    Raises :class:`~harness.core.errors.UsageError` with everything that is wrong, and
    :class:`~harness.core.errors.EnvironmentFailure` where the port is taken.
    """
    settings, number = _checked(flags, port)
    _refuse_taken(number)
    texts = options.said(flags, os.environ, Path.cwd())
    os.execve(sys.executable, command(settings, number, flags.get("endpoint-url")), environment(texts, flags, runs))


def command(settings: RunSettings, port: int, endpoint_url: str | None) -> list[str]:
    """Locust, with the scenario of the settings."""
    scenario = scenarios.locate(settings.scenario)
    parts = [sys.executable, "-m", "locust", "-f", str(scenario), "--web-host", "127.0.0.1", "--web-port", str(port)]
    if endpoint_url:
        parts += ["--endpoint-url", endpoint_url]
    if settings.load_processes > 1:
        meeting = str(free_port())
        parts += ["--processes", str(settings.load_processes)]
        parts += ["--master-port", meeting, "--master-bind-port", meeting]
    return parts


def environment(texts: Mapping[str, str], flags: Mapping[str, str | None], runs: Path) -> dict[str, str]:
    """Ours, with what was said of the settings: where the form asks, as its default; for all else, as it is."""
    variables = {option.name: option.variable for option in (*options.OPTIONS, options.BACKEND)}
    said = {variables[name]: text for name, text in texts.items()}
    if backend := flags.get("backend"):
        said[options.BACKEND.variable] = backend
    return {**os.environ, **said, "SAGASTORM_RUNS": str(runs)}


def _checked(flags: Mapping[str, str | None], port: str) -> tuple[RunSettings, int]:
    problems: list[Problem] = []
    settings = RunSettings()
    try:
        settings = options.from_process(flags)
    except UsageError as error:
        problems += error.problems
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65_535):
        problems.append(Problem("--port", port, "a whole number from 1 to 65535"))
    if problems:
        raise UsageError(problems)
    return settings, int(port)


def _refuse_taken(port: int) -> None:
    """Locust would say so only after it has started, and with a traceback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EnvironmentFailure(f"port {port} cannot be had: {error.strerror}; --port takes another") from None
