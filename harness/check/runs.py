"""Makes the runs of a check: each is a ``sagastorm run`` of its revision, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from types import FrameType

from chaos.storm import shipped
from harness.check.base import Revision
from harness.check.budget import minutes
from harness.check.execution import MakeRun, Unusable
from harness.check.plan import Side, Trial
from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_USAGE, EnvironmentFailure
from harness.report.write import SUMMARY
from harness.run.progress import Teller

OUTPUT = "output.txt"
JUDGED = (EXIT_PASS, EXIT_FAIL, EXIT_INCONCLUSIVE)
LIMIT_FACTOR = 10.0
"""A run that takes so many times what it should is stopped: nobody waits for a CI job that hangs."""
WIND_UP_S = 120.0
"""How long a run that is interrupted may take to drain and be judged; then it is killed."""
TAIL_LINES = 12


def ordinary_runs(revisions: Mapping[Side, Revision]) -> MakeRun:
    """Each a ``sagastorm run`` of its revision, in a process of its own."""

    def make_run(trial: Trial, teller: Teller) -> None:
        revision = revisions[trial.side]
        flags = [part for name, value in _told(trial).items() for part in (f"--{name}", value)]
        output = trial.folder / OUTPUT
        with output.open("wb") as log:
            # In a session of its own: a Ctrl-C in the terminal is for us, who tell it once and then wait.
            process = subprocess.Popen(
                [*revision.command, "run", *flags, "--runs", str(trial.folder)],
                cwd=revision.folder, env=revision.environ(os.environ), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
            code = _ended(process, trial, teller)
        if code not in JUDGED or not any(trial.folder.glob(f"*/{SUMMARY}")):
            said = "\n".join(output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL_LINES:])
            kind = Unusable if code == EXIT_USAGE else EnvironmentFailure
            raise kind(f"sagastorm run of {revision.name} exited with {code}:\n{said}")

    return make_run


def _told(trial: Trial) -> dict[str, str]:
    """A base meets the storm as it is in this revision, whatever its own file of that name says."""
    flags = trial.flags
    if trial.side is Side.BASE:
        name = flags["storm"]
        ours = str(files("chaos").joinpath("storms", f"{name}.toml")) if name in shipped() else name
        flags["storm"] = str(Path(ours).absolute())
    return flags


def _ended(process: subprocess.Popen[bytes], trial: Trial, teller: Teller) -> int:
    """The exit code. A run that hangs is killed; one that nobody wants any more is let drain."""
    began_s = time.monotonic()
    try:
        while (passed_s := time.monotonic() - began_s) < trial.cell.planned_s * LIMIT_FACTOR:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(1.0)
            teller.at(trial.name, passed_s, trial.cell.planned_s, "under way")
        raise EnvironmentFailure(f"it was not done after {minutes(passed_s)}")
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(WIND_UP_S)
        raise
    finally:
        process.kill()  # nothing, where it has ended; its own children end with it
        process.wait()


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM, by which CI systems cancel a job, is a Ctrl-C: what was built beside our tree is removed."""

    def interrupt(_sign: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
