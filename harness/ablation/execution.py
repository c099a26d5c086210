"""Measures the cells of an ablation, one run after the other; those that are finished are not run again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from harness.ablation.plan import Plan, Trial, trials
from harness.core.errors import EnvironmentFailure, RunNotFound
from harness.history import run_file
from harness.report.write import SUMMARY, write_report
from harness.run.locust import locust_load
from harness.run.progress import Teller
from harness.run.run import execute, prepare
from harness.settings import RunSettings

TRIES = 2
"""How often a cell is run whose environment fails: once more is fair, on and on would hide it."""

MakeRun = Callable[[RunSettings, dict[str, object], Path, Teller], str]
"""Makes one run in a folder and judges it; the verdict. Raises :class:`~harness.core.errors.EnvironmentFailure` where
it could not be made, and ``KeyboardInterrupt`` where a person wants no more of it."""


def finished(trial: Trial) -> Path | None:
    """The folder of the trial's run, if it was made with these very settings and judged."""
    for summary in trial.folder.glob(f"*/{SUMMARY}"):
        try:
            if run_file.load(summary.parent).settings == trial.settings:
                return summary.parent
        except RunNotFound:
            continue
    return None


def carry_out(plan: Plan, folder: Path, teller: Teller, make_run: MakeRun) -> None:
    """Measure what is not finished yet. One that cannot be measured leaves the reason where its run would be."""
    every = trials(plan, folder)
    left = [trial for trial in every if not finished(trial)]
    if len(left) < len(every):
        teller.say(f"{len(every) - len(left)} of {len(every)} runs are finished already")
    took_s: list[float] = []
    for number, trial in enumerate(left):
        position = f"Run {len(every) - len(left) + number + 1} of {len(every)}"
        remaining = time_left(took_s, len(left) - number)
        round_ = f", round {trial.round + 1} of {plan.rounds}" if plan.rounds > 1 else ""
        teller.say(f"{position}: {trial.cell.name}{round_} ({remaining})")
        began_s = time.monotonic()
        _measured(trial, plan.storm, _Within(teller, f"{position}, {remaining}"), make_run)
        took_s.append(time.monotonic() - began_s)


def _measured(trial: Trial, storm: dict[str, object], teller: Teller, make_run: MakeRun) -> None:
    for attempt in range(1, TRIES + 1):
        # Half a run cannot be gone on with: its other half met other arrivals.
        shutil.rmtree(trial.folder, ignore_errors=True)
        try:
            verdict = make_run(trial.settings, storm, trial.folder, teller)
        except EnvironmentFailure as failure:
            teller.say(f"not measured: {failure}{'; once more' if attempt < TRIES else ''}")
            trial.folder.mkdir(parents=True, exist_ok=True)
            trial.failure_path.write_text(f"{failure}\n", encoding="utf-8")
        else:
            teller.say(f"verdict {verdict}")
            return


def time_left(took_s: list[float], runs: int) -> str:
    """``about 12 min left``, by the runs that were made; of the first one nobody knows."""
    if not took_s:
        return f"{runs} to go"
    minutes = sum(took_s) / len(took_s) * runs / 60
    return f"about {minutes:.0f} min left" if minutes >= 1.5 else f"about {60 * minutes:.0f} s left"


def ordinary_run(command: str) -> MakeRun:
    """Runs as ``sagastorm run`` would make them; ``command`` is what they say they were started by."""

    def make_run(settings: RunSettings, storm: dict[str, object], folder: Path, teller: Teller) -> str:
        run = prepare(settings, folder, teller, command, storm)
        uvloop.run(execute(run, locust_load))
        # Without a judgement it is not finished, and will be run again.
        if run.interrupted:
            raise KeyboardInterrupt
        if run.failure:
            raise run.failure
        return write_report(run.folder).judgement.verdict.value

    return make_run


@dataclass(frozen=True)
class _Within:
    """What a run tells, as a part of something longer."""

    teller: Teller
    where: str

    def say(self, text: str) -> None:
        self.teller.say(f"  {text}")

    def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
        self.teller.at(f"{self.where}: {label}", done_s, total_s, counts)
