"""Makes the runs of a check in turns, keeps those that are finished, and stops when it knows that the check has failed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness.ablation.execution import TRIES
from harness.check.budget import Pacing, minutes
from harness.check.plan import Plan, Side, Trial, trials
from harness.core.errors import EnvironmentFailure, RunNotFound
from harness.core.verdict import Verdict
from harness.report.costs import machine_load
from harness.report.judge import MACHINE_BUSY_LIMIT, TIMES_ONLY
from harness.report.model import Report
from harness.report.write import SUMMARY, read_report
from harness.run.progress import Teller

DONE, NOT_MEASURED, CROWDED = "done.json", "not-measured.txt", "crowded"

MakeRun = Callable[[Trial, Teller], None]
"""Makes the run of a trial in its folder and judges it. Raises ``EnvironmentFailure`` where it could not be made, and
``KeyboardInterrupt`` where a person wants no more of it."""


class Unusable(EnvironmentFailure):
    """A revision makes no runs, or none that can be read here: another try is not going to change that."""


@dataclass
class Measured:
    """What there is to judge."""

    head: list[Report] = field(default_factory=list)
    """This revision's."""
    references: list[Report] = field(default_factory=list)
    """This revision's with a mitigation removed, to be held against."""
    base: list[Report] = field(default_factory=list)
    missing: list[tuple[Trial, str]] = field(default_factory=list)
    """What the environment failed, with why."""
    stopped: str | None = None
    """Which invariant is broken, so that no more was measured."""
    repeats: int = 0
    """Those that are whole."""

    def add(self, trial: Trial, report: Report) -> None:
        """Sort a run in."""
        kind = self.base if trial.side is Side.BASE else self.references if trial.cell.reference else self.head
        kind.append(report)


@dataclass(frozen=True)
class Judge:
    """What is asked of the runs while there are more to come."""

    broken: Callable[[Report], str | None]
    """Which invariant a run of this revision has broken, if any: then nothing that comes can make it pass."""
    buys: Callable[[Measured, int], Sequence[str]]
    """What so many repeats would tell, judging by those that there are; a line for each gate."""


class _Done(msgspec.Struct, frozen=True):
    """That a run is finished; written last."""

    run: str
    took_s: float
    flags: dict[str, str]


@dataclass
class Execution:
    """A check under way."""

    plan: Plan
    folder: Path
    pacing: Pacing
    teller: Teller
    make_run: MakeRun
    judge: Judge
    measured: Measured = field(default_factory=Measured)
    spent_s: float = 0.0
    """By all runs that there are, whenever they were made."""

    def carry_out(self) -> Measured:
        """Measure what is not finished yet, repeat by repeat, for as long as the pacing wants more.

        An invariant that is broken, or a run that the environment failed twice, is the end of it. Raises
        :class:`Unusable` where a revision makes no runs that can be read here.
        """
        measured = self.measured
        planned_s = sum(trial.cell.planned_s for trial in trials(self.plan, self.folder, 0))
        wanted = self.pacing.wanted(0, 0.0, planned_s)
        while measured.repeats < wanted:
            for trial in trials(self.plan, self.folder, measured.repeats):
                self._one(trial, wanted)
                if measured.stopped:
                    return measured
            measured.repeats += 1
            if measured.missing:
                return measured
            wanted = self._replanned()
        return measured

    def _one(self, trial: Trial, wanted: int) -> None:
        """Add the trial's run, made if it is not finished."""
        if first := finished(replace(trial, folder=aside(trial))):
            self.spent_s += first.took_s
        report = self._measured(trial, wanted)
        if report and crowded_by_others(report) and not aside(trial).exists():
            self.teller.say("  others had the machine: measured once more")
            trial.folder.rename(aside(trial))
            report = self._measured(trial, wanted)
        if report is None:
            return
        self.measured.add(trial, report)
        if trial.side is Side.HEAD and not trial.cell.reference and (broken := self.judge.broken(report)):
            self.measured.stopped = broken
            self.teller.say(f"Stopped early: {broken}")

    def _measured(self, trial: Trial, wanted: int) -> Report | None:
        done = finished(trial)
        if done is None:
            self.teller.say(f"{trial.name} of {wanted}")
            done = self._made(trial)
        if done is None:
            return None
        self.spent_s += done.took_s
        report = self._read(trial, done)
        self.teller.say(f"  {report.run.run_id}: {report.judgement.verdict}, after {minutes(done.took_s)}")
        return report

    def _made(self, trial: Trial) -> _Done | None:
        for _ in range(TRIES):
            # Half a run cannot be gone on with: its other half met other arrivals.
            shutil.rmtree(trial.folder, ignore_errors=True)
            trial.folder.mkdir(parents=True)
            began_s = time.monotonic()
            try:
                self.make_run(trial, self.teller)
            except Unusable:
                raise
            except EnvironmentFailure as error:
                failure = str(error)
                self.teller.say(f"  not measured: {failure}")
                continue
            summary = next(trial.folder.glob(f"*/{SUMMARY}"))
            done = _Done(summary.parent.name, round(time.monotonic() - began_s, 1), trial.flags)
            (trial.folder / DONE).write_bytes(msgspec.json.encode(done))
            return done
        (trial.folder / NOT_MEASURED).write_text(f"{failure}\n", encoding="utf-8")
        self.measured.missing.append((trial, failure))
        return None

    def _read(self, trial: Trial, done: _Done) -> Report:
        try:
            return read_report(trial.folder / done.run)
        except RunNotFound as error:
            whose = "the base" if trial.side is Side.BASE else "this revision"
            raise Unusable(f"this version cannot read what {whose} has left: {error}") from error

    def _replanned(self) -> int:
        """How many repeats there are to be, now that it is known how long one takes; tells it, and what they buy."""
        done = self.measured.repeats
        repeat_s = self.spent_s / done
        wanted = self.pacing.wanted(done, self.spent_s, repeat_s)
        fits = f", which is what fits into {minutes(self.pacing.budget_s)}" if self.pacing.budget_s else ""
        self.teller.say(f"{done} of {wanted} repeats{fits}; each takes {minutes(repeat_s)}")
        for line in self.judge.buys(self.measured, wanted):
            self.teller.say(f"  {line}")
        return wanted


def aside(trial: Trial) -> Path:
    """Where the trial's first run is kept if it had to be made once more."""
    return trial.folder.with_name(f"{trial.folder.name}-{CROWDED}")


def crowded_by_others(report: Report) -> bool:
    """Whether other programs spoilt a run's times, and nothing else is wrong with it.

    Asked of both sides alike. What broke on a crowded machine broke all the same, and such a run is kept.
    """
    open_questions = {check.rule for check in report.judgement.checks if check.verdict is not Verdict.VALID}
    if not open_questions or open_questions - TIMES_ONLY:
        return False
    loads = (machine_load(block, report.data.cores) for block in report.data.blocks)
    return any(load.ours <= MACHINE_BUSY_LIMIT < load.busy for load in loads if load)


def finished(trial: Trial) -> _Done | None:
    """What is told of the trial's run, if it was made with these very flags and judged."""
    try:
        done = msgspec.json.decode((trial.folder / DONE).read_bytes(), type=_Done)
    except (OSError, msgspec.DecodeError):
        return None
    return done if done.flags == trial.flags and (trial.folder / done.run / SUMMARY).is_file() else None
