"""``sagastorm up``: the system under test, for a scenario that is run by Locust itself and not by the harness.

The child prints one JSON line when it is ready, ``{"plan": ..., "run": ...}``. The end of its input tells it that the load
is over: it drains, audits, reports and exits. So it ends by itself too where Locust is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from harness.core.errors import EXIT_ENVIRONMENT, EnvironmentFailure, SagastormError

READY_LIMIT_S = 180.0
_TERMINATE_LIMIT_S = 10.0


class Ready(msgspec.Struct, frozen=True):
    """What the child says when it can take load."""

    plan: str
    run: str


class NotStarted(SagastormError):
    """The child ended before it was ready, and has said why on standard error. Carries its exit code."""

    def __init__(self, code: int) -> None:
        self.exit_code = code
        super().__init__(f"the system under test did not start (exit code {code})")


class System:
    """One child. Threads are greenlets where gevent has patched them."""

    def __init__(self, command: Sequence[str]) -> None:
        # In a session of its own: Ctrl-C at the terminal is for Locust, which then lets the child finish its report.
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != "SAGASTORM_LIFELINE"},
        )
        self._first: bytes | None = None
        self._first_line = threading.Event()
        self._output = threading.Thread(target=self._relay, name="system output", daemon=True)
        self._output.start()

    def wait_until_ready(self, limit_s: float = READY_LIMIT_S) -> Path:
        """The path of the plan. Raises :class:`NotStarted` or :class:`~harness.core.errors.EnvironmentFailure`."""
        if not self._first_line.wait(limit_s):
            raise EnvironmentFailure(f"the system under test was not ready after {limit_s:g} s")
        if not self._first:
            raise NotStarted(self.finish(_TERMINATE_LIMIT_S))
        try:
            return Path(msgspec.json.decode(self._first, type=Ready).plan)
        except msgspec.DecodeError as error:
            raise EnvironmentFailure(
                f"the system under test should say where its plan is, and says {self._first!r}: {error}"
            ) from None

    def running(self) -> bool:
        """Whether the child is there."""
        return self._child.poll() is None

    def load_is_over(self) -> None:
        """Say that no more load will come; returns at once."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.close()
        except OSError:
            pass  # It is gone already, and its exit code says why.

    def finish(self, limit_s: float) -> int:
        """Say that the load is over and wait for the end of the child; its exit code, or 4 where it takes too long."""
        self.load_is_over()
        try:
            code = self._child.wait(limit_s)
            self._output.join(_TERMINATE_LIMIT_S)
            return code if code >= 0 else EXIT_ENVIRONMENT
        except subprocess.TimeoutExpired:
            self._child.terminate()
        try:
            self._child.wait(_TERMINATE_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
        return EXIT_ENVIRONMENT

    def _relay(self) -> None:
        output: IO[bytes] | None = self._child.stdout
        assert output is not None
        try:
            self._first = output.readline()
            self._first_line.set()
            for line in output:
                sys.stdout.write(line.decode(errors="replace"))
                sys.stdout.flush()
        finally:
            self._first_line.set()
