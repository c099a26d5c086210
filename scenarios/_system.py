"""``sagastorm up``: the system under test, for a scenario that is run by Locust itself and not by the harness.

The child prints a JSON line for each block that is ready for load, ``{"plan": ..., "run": ..., "block": ..., "of": ...}``.
``over`` on its input tells it that the load of the block is over, the end of its input that no more will come: it drains,
audits, reports and exits. So it ends by itself too where Locust is killed.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from harness.core.errors import EXIT_ENVIRONMENT, EnvironmentFailure, SagastormError
from scenarios._options import environment_of_up

READY_LIMIT_S = 180.0
"""For a block to be announced, beyond what the drain of the one before may take."""
_TERMINATE_LIMIT_S = 10.0
_LOOK_EVERY_S = 0.2


class Announced(msgspec.Struct, frozen=True):
    """What the child says when a block can take load."""

    plan: str
    run: str
    block: int = 0
    of: int = 1
    topology: str = ""

    @property
    def is_last(self) -> bool:
        """No other block comes after it."""
        return self.block + 1 >= self.of


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
            env=environment_of_up(),
        )
        self.announced: Announced | None = None
        """The block that was told of last."""
        self._lines: queue.Queue[Announced | bytes | None] = queue.Queue()
        """Announcements, a line that should have been one, and none for the end of the child's output."""
        self._output = threading.Thread(target=self._relay, name="system output", daemon=True)
        self._output.start()

    def next_block(self, limit_s: float = READY_LIMIT_S, *, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Wait until a block is :attr:`announced`; false where none comes any more, or it is not ``wanted`` any more.

        Raises :class:`NotStarted` where there was no block at all, or :class:`~harness.core.errors.EnvironmentFailure`.
        """
        deadline_s = time.monotonic() + limit_s
        while wanted():
            try:
                said = self._lines.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                if time.monotonic() > deadline_s:
                    raise EnvironmentFailure(f"the system under test was not ready after {limit_s:g} s") from None
                continue
            if isinstance(said, bytes):
                raise EnvironmentFailure(f"the system under test should say where its plan is, and says {said!r}")
            if said is None and self.announced is None:
                raise NotStarted(self.finish(_TERMINATE_LIMIT_S))
            self.announced = said or self.announced
            return said is not None
        return False

    def running(self) -> bool:
        """Whether the child is there."""
        return self._child.poll() is None

    def block_is_over(self) -> None:
        """Say that this block gets no more load, and the next one may come."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(b"over\n")
            self._child.stdin.flush()
        except OSError:
            pass  # It is gone already, and its exit code says why.

    def load_is_over(self) -> None:
        """Say that no more load will come; returns at once."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.close()
        except OSError:
            pass

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
        heard = False
        try:
            for line in output:
                announced = _announced(line)
                if announced is not None or not heard:
                    heard = True
                    self._lines.put(announced or line)
                else:
                    sys.stdout.write(line.decode(errors="replace"))
                    sys.stdout.flush()
        finally:
            self._lines.put(None)


def check(command: Sequence[str]) -> str | None:
    """What is wrong with the input of a command that would start a system; asks that command, which starts nothing.

    In a process of its own, as the system: what it takes to check is more than a load process should carry.
    """
    asked = subprocess.run(
        [*command, "--check"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment_of_up(),
        check=False,
        timeout=READY_LIMIT_S,
    )
    if asked.returncode == 0:
        return None
    _heading, *problems = asked.stderr.decode(errors="replace").strip().splitlines() or [""]
    return (
        "; ".join(problem.strip() for problem in problems) or f"the input is not usable (exit code {asked.returncode})"
    )


def _announced(line: bytes) -> Announced | None:
    try:
        return msgspec.json.decode(line, type=Announced)
    except msgspec.DecodeError:
        return None
