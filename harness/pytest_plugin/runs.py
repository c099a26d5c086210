"""The runs of a pytest session: each made once, one at a time, whatever process of the session asks first.

A run is ``sagastorm run`` in processes of its own, so that neither its event loop nor its signals meet pytest's; what it
says is captured like the output of the test that waits for it. Runs on one machine disturb each other, so a lock on the
folder of the runs makes workers of pytest-xdist, and other sessions that use the folder, take turns.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS, EnvironmentFailure
from harness.pytest_plugin.asked import Asked
from harness.pytest_plugin.child import PATIENCE_S, STOP_LIMIT_S
from harness.report.model import Report
from harness.report.write import read_report

JUDGED = (EXIT_PASS, EXIT_FAIL, EXIT_INCONCLUSIVE)
LINES_TOLD = 15
"""Of what a run said that could not be made."""


@dataclass(frozen=True)
class Ended:
    """A command that came to its end, and the last lines that it said."""

    code: int
    said: str


class Made(msgspec.Struct, frozen=True):
    """What became of a run that was asked for: its folder, or why there is none to read."""

    folder: str | None = None
    failure: str | None = None


class Runs:
    """Of one session. ``shared`` is a folder that all its processes see."""

    def __init__(self, root: Path, folder: Path, shared: Path) -> None:
        self._root = root
        self._folder = folder
        self._shared = shared
        self._read: dict[str, tuple[Path, Report]] = {}

    def of(self, asked: Asked) -> tuple[Path, Report]:
        """The run's folder and its report.

        Raises :class:`~harness.core.errors.EnvironmentFailure` where it could not be made, at once where that is known.
        """
        if asked.key not in self._read:
            made = self._made(asked)
            if made.folder is None:
                raise EnvironmentFailure(made.failure or "for no known reason")
            folder = Path(made.folder)
            self._read[asked.key] = (folder, read_report(folder))
        return self._read[asked.key]

    def _made(self, asked: Asked) -> Made:
        known = self._shared / f"{asked.key}.json"
        runs = self._root / self._folder
        for folder in (runs, self._shared):
            folder.mkdir(parents=True, exist_ok=True)
        with _alone(runs):
            if known.exists():  # another process made it while we waited
                return msgspec.json.decode(known.read_bytes(), type=Made)
            made = self._make(asked, runs)
            known.write_bytes(msgspec.json.encode(made))
        return made

    def _make(self, asked: Asked, runs: Path) -> Made:
        before = set(runs.iterdir())
        ended = make_run([*asked.arguments, "--runs", str(self._folder)], self._root)
        new = [folder for folder in runs.iterdir() if folder not in before]
        if ended.code in JUDGED and len(new) == 1:
            return Made(folder=str(new[0]))
        where = "".join(f"\nwhat it left is in {folder}" for folder in new)
        return Made(failure=f"`sagastorm {' '.join(asked.arguments)}` ended with {ended.code}:\n{ended.said}{where}")


def make_run(arguments: Sequence[str], root: Path) -> Ended:
    """Run ``sagastorm`` in ``root``, and let it outlive nothing: not this call, nor this process."""
    process = subprocess.Popen(
        # -P: a project may have a folder called harness or chaos of its own.
        [sys.executable, "-P", "-m", "harness.pytest_plugin.child", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=root,
        start_new_session=True,  # a Ctrl-C in the terminal is for pytest, which passes it on in its own way
    )
    assert process.stdin is not None
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=LINES_TOLD)
    try:
        for line in process.stdout:
            print(line, end="")
            last.append(line)
        return Ended(process.wait(), "".join(last).rstrip())
    finally:
        process.stdin.close()
        process.stdout.close()
        _wait(process)


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(PATIENCE_S + 2 * STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else makes a run in this folder. The kernel lets go of the lock however its holder ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
