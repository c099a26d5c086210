"""Runs and blocks that were picked to be compared: which of them are held against which, and what may be said of it.

Unlike :mod:`harness.report.compare_runs` nothing is refused for being different: what differs is told, and where the
arrivals were not the same there is no interval.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.core.errors import Problem, UsageError
from harness.history.run_file import RunFile
from harness.report.bootstrap import as_measured, slices
from harness.report.compare import METRICS, SLICE_LENGTHS_S, Comparison, Difference, Metric, compare_pairs, matched
from harness.report.compare_runs import MOST_RUNS, Differing, differing
from harness.report.metrics import falsified
from harness.report.model import Report, make_report
from harness.report.run_data import BlockData, RunData

LETTERS = "ABCDEFGH"
OF_ARRIVALS = (
    "saga", "scenario", "seed", "rate", "arrivals", "duration", "cannot-pay-share", "out-of-stock-share", "storm",
)  # fmt: skip
"""Fields of :data:`~harness.report.compare_runs.FIELDS` that decide which arrivals there are."""


@dataclass(frozen=True)
class Pick:
    """A run by its name, or one of its blocks, counted from 0."""

    run: str
    block: int | None = None

    def __str__(self) -> str:
        # As people count blocks, and as the page's address has it.
        return self.run if self.block is None else f"{self.run}:{self.block + 1}"


@dataclass(frozen=True)
class Picked:
    """What a pick leads to. ``whole`` is the report of its run, ``report`` that of what was picked."""

    pick: Pick
    letter: str
    whole: Report
    report: Report

    @property
    def run(self) -> RunFile:
        """The run file."""
        return self.report.run

    @property
    def topologies(self) -> list[str]:
        """Those that it has blocks of, or was to have."""
        if self.pick.block is None:
            return list(self.report.topologies)
        return [data.block.topology for data in self.report.data.blocks]


@dataclass(frozen=True)
class Side:
    """One topology of what was picked."""

    picked: Picked
    topology: str

    @property
    def letter(self) -> str:
        """What tables and charts call it; no other side of its group has the same."""
        return self.picked.letter

    @property
    def report(self) -> Report:
        """Of what was picked."""
        return self.picked.report

    @property
    def run(self) -> RunFile:
        """The run file."""
        return self.picked.run

    @cached_property
    def blocks(self) -> list[BlockData]:
        """Those that ran to their end."""
        return self.report.data.complete(self.topology)


@dataclass(frozen=True)
class Group:
    """Sides that are held against the first of them, their base."""

    sides: tuple[Side, ...]

    @property
    def title(self) -> str:
        """The topology, or all of them where a topology is held against another."""
        return " and ".join(dict.fromkeys(side.topology for side in self.sides))

    @property
    def of_one_run(self) -> bool:
        """Whether they are blocks of one run, which took turns."""
        return len({side.run.run_id for side in self.sides}) == 1

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every further side against the base."""
        base, *others = self.sides
        return tuple(_compare(base, other) for other in others)


@dataclass(frozen=True)
class SideBySide:
    """What was picked, in the order in which it was picked."""

    picked: tuple[Picked, ...]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """All in one, where each pick is of one topology; else one for each topology, with the picks that have it."""
        sides = [Side(picked, topology) for picked in self.picked for topology in picked.topologies]
        if len(sides) == len(self.picked):
            return (Group(tuple(sides)),)
        topologies = dict.fromkeys(side.topology for side in sides)
        return tuple(Group(tuple(side for side in sides if side.topology == topology)) for topology in topologies)

    @property
    def runs(self) -> list[RunFile]:
        """Of each pick; of two blocks of one run, twice the same."""
        return [picked.run for picked in self.picked]

    @property
    def of_one_run(self) -> bool:
        """Whether all are of one run."""
        return len({run.run_id for run in self.runs}) == 1

    @cached_property
    def differing(self) -> tuple[Differing, ...]:
        """What is not the same beside code and time, with its value for each pick."""
        return differing(self.runs)


def side_by_side(picks: Sequence[Pick], reports: Mapping[str, Report]) -> SideBySide:
    """``reports`` has the report of every run that is named. Raises ``UsageError`` where a block is not there."""
    missing = [
        Problem("pick", str(pick), f"{len(reports[pick.run].data.blocks)} blocks were run, counted from 1")
        for pick in picks
        if pick.block is not None and pick.block not in _numbers(reports[pick.run])
    ]
    if missing:
        raise UsageError(missing)
    return SideBySide(
        tuple(
            Picked(pick, letter, reports[pick.run], _picked_of(reports[pick.run], pick.block))
            for letter, pick in zip(LETTERS, picks, strict=False)
        )
    )


def parse_picks(texts: Sequence[str], runs: Collection[str]) -> list[Pick]:
    """Picks as ``RUN`` or ``RUN:BLOCK``, of these runs only. Raises ``UsageError`` with everything that is wrong."""
    problems: list[Problem] = []
    if not 2 <= len(texts) <= MOST_RUNS:
        problems.append(Problem("pick", len(texts), f"2 to {MOST_RUNS} runs or blocks, the first is the base"))
    known = frozenset(runs)
    picks = []
    for text in texts:
        pick = _parsed(text, known)
        if pick is None:
            problems.append(Problem("pick", text, "a run that is listed, or RUN:BLOCK, blocks counted from 1"))
        elif pick in picks:
            problems.append(Problem("pick", text, "to be picked once"))
        else:
            picks.append(pick)
    whole = {pick.run for pick in picks if pick.block is None}
    problems += [
        Problem("pick", str(pick), "another run's block, or without its run: it would be held against itself")
        for pick in picks
        if pick.block is not None and pick.run in whole
    ]
    if problems:
        raise UsageError(problems)
    return picks


def _parsed(text: str, runs: frozenset[str]) -> Pick | None:
    if text in runs:
        return Pick(text)
    run, _, block = text.rpartition(":")
    if run in runs and block.isascii() and block.isdecimal() and 0 < len(block) <= 3 and int(block) > 0:
        return Pick(run, int(block) - 1)
    return None


def _numbers(report: Report) -> set[int]:
    return {data.block.block for data in report.data.blocks}


def _picked_of(report: Report, number: int | None) -> Report:
    """A block is reported as if its run had no other, so that every figure is of this block."""
    if number is None:
        return report
    data = RunData(report.run, [data for data in report.data.blocks if data.block.block == number])
    return make_report(data, [audit for audit in report.audits if audit.block == number])


def _compare(base: Side, other: Side) -> Comparison:
    withheld = falsified(base.run) | falsified(other.run)
    pairs = matched(base.blocks, other.blocks)
    if pairs:
        return compare_pairs(base.letter, other.letter, pairs, base.run.settings.seed, withheld, "sides")
    why = _why_not_paired(base, other)
    differences = tuple(
        Difference(metric.name, metric.unit, None, None, why=withheld[metric.path])
        if metric.path in withheld
        else _without_interval(metric, base, other, why)
        for metric in METRICS
    )
    return Comparison(base.letter, other.letter, (), 0, SLICE_LENGTHS_S[0], differences)


def _why_not_paired(base: Side, other: Side) -> str:
    for side in (base, other):
        if not side.blocks:
            return f"no {side.topology} block of {side.letter} ran to its end"
    fields = ", ".join(each.field for each in differing([base.run, other.run]) if each.field in OF_ARRIVALS)
    if fields:
        return f"they did not meet the same arrivals, as they differ in {fields}"
    return "they are of different rounds, which meet different arrivals"


def _without_interval(metric: Metric, base: Side, other: Side, why: str) -> Difference:
    if not base.blocks or not other.blocks:
        return Difference(metric.name, metric.unit, None, None, why=why)
    cut = [slices(side.blocks, SLICE_LENGTHS_S[0]) for side in (base, other)]
    ended = min(len(each.completion_ms) for each in cut)
    if ended < metric.needs:
        told = f"{ended} sagas ended in one of the sides, {metric.needs} are needed"
        return Difference(metric.name, metric.unit, None, None, why=told)
    was, now = (as_measured(each, metric.statistic) for each in cut)
    return Difference(
        metric.name,
        metric.unit,
        was,
        now,
        difference=now - was,
        ratio=None if metric.share or was == 0 else now / was,
        why=why,
    )
