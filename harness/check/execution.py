"""Makes the runs of a check in turns, keeps those that are finished, and stops when it knows that the check has failed."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness.ablation.execution import TRIES
from harness.check.budget import Pacing, minutes
from harness.check.plan import Plan, Side, Trial, trials
from harness.core.errors import EnvironmentFailure, RunNotFound, UsageError
from harness.core.verdict import Verdict
from harness.report.costs import machine_load
from harness.report.judge import FOREIGN_DIFFERENCE_LIMIT, MACHINE_BUSY_LIMIT, TIMES_ONLY
from harness.report.model import Report
from harness.report.run_data import CPU
from harness.report.write import SUMMARY, read_report
from harness.run.progress import Teller

DONE, NOT_MEASURED = "done.json", "not-measured.txt"
AGAIN = "-again"
"""Ends the folder of a run that was made once more; the first one stays beside it."""

MakeRun = Callable[[Trial, Teller], None]
"""Makes the run of a trial in its folder and judges it. Raises ``EnvironmentFailure`` where it could not be made, and
``KeyboardInterrupt`` where a person wants no more of it."""
Runs = dict[str, tuple[Trial, Report]]
"""By the names of the trials."""


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
    _failures: dict[str, str] = field(default_factory=dict)

    def carry_out(self) -> Measured:
        """Measure what is not finished yet, repeat by repeat, for as long as the pacing wants more.

        An invariant that is broken, or a run that the environment failed twice, is the end of it. Raises
        :class:`Unusable` where a revision makes no runs that can be read here.
        """
        measured = self.measured
        planned_s = sum(trial.cell.planned_s for trial in trials(self.plan, self.folder, 0))
        wanted = self.pacing.wanted(0, 0.0, planned_s)
        while measured.repeats < wanted:
            repeat = trials(self.plan, self.folder, measured.repeats)
            runs = self._in_turns(repeat, f" of {wanted}")
            if not measured.stopped and len(runs) == len(repeat):
                runs |= self._once_more(runs)
            for trial, report in runs.values():
                measured.add(trial, report)
            measured.missing = [
                (each, self._failures[each.name]) for each in repeat if each.name in self._failures.keys() - runs
            ]
            if measured.stopped:
                return measured
            measured.repeats += 1
            if measured.missing:
                return measured
            wanted = self._replanned()
        return measured

    def _in_turns(self, repeat: Sequence[Trial], told: str) -> Runs:
        """Those that could be made, up to the one in which an invariant broke."""
        runs: Runs = {}
        for trial in repeat:
            done = finished(trial)
            if done is None:
                self.teller.say(f"{trial.name}{told}")
                done = self._made(trial)
            if done is None:
                continue
            self.spent_s += done.took_s
            report = self._read(trial, done)
            runs[trial.name] = trial, report
            self.teller.say(f"  {report.run.run_id}: {report.judgement.verdict}, after {minutes(done.took_s)}")
            if trial.side is Side.HEAD and not trial.cell.reference and (broken := self.judge.broken(report)):
                self.measured.stopped = broken
                self.teller.say(f"Stopped early: {broken}")
                break
        return runs

    def _once_more(self, runs: Runs) -> Runs:
        """Where other programs spoilt the times of a run and nothing else is wrong: it and those that it is held against, made
        anew, as only what takes turns has the same machine. None where not all of them could be made."""
        by_case: dict[tuple[str, str], list[tuple[Trial, Report]]] = defaultdict(list)
        for trial, report in runs.values():
            by_case[trial.cell.flags["saga"], trial.cell.flags["storm"]].append((trial, report))
        anew: Runs = {}
        for together in by_case.values():
            reports = [report for _, report in together]
            if not (all(map(only_times_are_open, reports)) and any(map(crowded_by_others, reports))):
                continue
            again = [
                replace(trial, folder=trial.folder.with_name(f"{trial.folder.name}{AGAIN}")) for trial, _ in together
            ]
            made = self._in_turns(again, ", once more: others had the machine")
            if self.measured.stopped or len(made) == len(again):
                anew |= made
            if self.measured.stopped:
                break
        return anew

    def _made(self, trial: Trial) -> _Done | None:
        began_s = time.monotonic()
        for _ in range(TRIES):
            # Half a run cannot be gone on with: its other half met other arrivals.
            shutil.rmtree(trial.folder, ignore_errors=True)
            trial.folder.mkdir(parents=True)
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
        self.spent_s += time.monotonic() - began_s
        self._failures[trial.name] = failure
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
        try:
            lines = self.judge.buys(self.measured, wanted)
        except UsageError as error:
            raise Unusable(
                f"the runs of the base and of this revision cannot be held against each other: {error}"
            ) from error
        for line in lines:
            self.teller.say(f"  {line}")
        return wanted


def only_times_are_open(report: Report) -> bool:
    """Whether nothing broke, and nothing is unknown but how long things would have taken."""
    return {check.rule for check in report.judgement.checks if check.verdict is not Verdict.VALID} <= TIMES_ONLY


def crowded_by_others(report: Report) -> bool:
    """Whether a block had too little of the machine for what other programs used of it."""
    return any(
        load.busy > MACHINE_BUSY_LIMIT and load.foreign > FOREIGN_DIFFERENCE_LIMIT
        for block in report.data.blocks
        # A backend that is not in sight would pass for others.
        if block.of_kind(CPU, "backend") and (load := machine_load(block, report.data.cores))
    )


def finished(trial: Trial) -> _Done | None:
    """What is told of the trial's run, if it was made with these very flags and judged."""
    try:
        done = msgspec.json.decode((trial.folder / DONE).read_bytes(), type=_Done)
    except (OSError, msgspec.DecodeError):
        return None
    return done if done.flags == trial.flags and (trial.folder / done.run / SUMMARY).is_file() else None
