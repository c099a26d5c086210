"""Whole runs, as a user starts them, on the real embedded emulator: short, but with every process and every phase."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

START_LIMIT_S = 60.0
RUN_LIMIT_S = 180.0
ROOT = Path(__file__).resolve().parents[2]


class Sagastorm:
    """One ``sagastorm`` command in a process of its own, with its runs in a folder of its own."""

    def __init__(self, folder: Path, arguments: list[str], environ: dict[str, str]) -> None:
        self.runs = folder / "runs"
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.cli.main", *arguments, "--runs", str(self.runs)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=os.environ | environ,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def folder(self) -> Path:
        """Of the one run that it made."""
        (folder,) = self.runs.iterdir()
        return folder

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "summary.json").read_bytes())

    def judged_fit(self, code: int) -> bool:
        """Pass; or inconclusive for no other reason than that others kept the machine busy, which is not ours to say."""
        if (code, self.summary["verdict"]) == (0, "pass"):
            return True
        crowding = ("of a crowded machine", "other programs used")
        follows = (*crowding, "the load generator sent", " is null")
        reasons = self.summary["reasons"]
        crowded = any(word in reason for word in crowding for reason in reasons)
        excused = all(any(word in reason for word in follows) for reason in reasons)
        return (code, self.summary["verdict"]) == (3, "inconclusive") and crowded and excused

    def wait(self, limit_s: float = RUN_LIMIT_S) -> int:
        """Its exit code."""
        return self.process.wait(limit_s)

    def until(self, happened: Callable[[], Any], what: str) -> Any:
        """Wait for something to be so; fails with the output if the process ends or time runs out before."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if found := happened():
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"never {what}; the command said:\n{self.output}")

    def descendants(self, part: str = "") -> list[psutil.Process]:
        """Its processes whose command line contains ``part``."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if part in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def sagas_ended(self, block: int = 0) -> int:
        """How many sagas the clients have seen ended, from the spools."""
        return sum(
            '"outcome":"' in line
            for spool in self.runs.glob(f"*/spool/{block}/load-*.jsonl")
            for line in spool.read_text(encoding="utf-8").splitlines()
        )


@pytest.fixture
def sagastorm(tmp_path: Path) -> Iterator[Callable[..., Sagastorm]]:
    """Starts commands; whatever is left of them at the end of the test is killed."""
    started: list[Sagastorm] = []

    def start(*arguments: str, **environ: str) -> Sagastorm:
        command = Sagastorm(tmp_path, list(arguments), environ)
        started.append(command)
        return command

    yield start
    for command in started:
        if command.process.poll() is None:
            for process in command.descendants():
                process.send_signal(signal.SIGKILL)
            command.process.kill()
            command.process.wait()
