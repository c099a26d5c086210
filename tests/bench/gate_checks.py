"""For ``make bench-gates``: many checks from a few measured blocks, and how often each kind of gate spoke up."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist, median

import msgspec

from harness.core.verdict import RunVerdict
from harness.gate.judge import judge_gates
from harness.gate.model import Gates
from harness.report.model import Report, make_report
from harness.report.run_data import RunData
from harness.report.write import read_report

TOPOLOGY, AGAIN, SLOWER = "orchestrated", "orchestrated-again", "orchestrated-slower"
USUAL_TOLERANCE = 1.10
"""Of the usual gate: fail where one run is more than 10 % above a number that another run once left."""
MOST_CHECKS = 100
Judged = Callable[[Sequence[Report], Sequence[Report]], RunVerdict]


@dataclass(frozen=True)
class Round:
    """Three blocks that met the same arrivals one after the other, each as a run of its own."""

    base: Report
    same: Report
    slower: Report


@dataclass(frozen=True)
class Tally:
    """Of how many checks so many failed, and so many could not tell; ``apart`` of them share no block."""

    failed: int
    inconclusive: int
    checks: int
    apart: int

    @property
    def rate(self) -> float:
        """Share that failed."""
        return self.failed / self.checks

    def interval(self) -> tuple[float, float]:
        """95 % for that share, by Wilson, from as many checks as share no block: the others are no further evidence."""
        z, n = NormalDist().inv_cdf(0.975), self.apart
        center = (self.rate + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.rate * (1 - self.rate) / n + z * z / (4 * n * n))
        return max(0.0, center - half), min(1.0, center + half)


def rounds(folder: Path) -> list[Round]:
    """The rounds of one run in which all three were measured."""
    report = read_report(folder)
    found: dict[tuple[int, str], Report] = {}
    for number, data in enumerate(report.data.blocks):
        if data.block.state == "complete":
            found[data.block.round, data.block.topology] = _alone(report, number)
    numbers = sorted({number for number, _ in found})
    return [
        Round(*(found[number, topology] for topology in (TOPOLOGY, AGAIN, SLOWER)))
        for number in numbers
        if all((number, topology) in found for topology in (TOPOLOGY, AGAIN, SLOWER))
    ]


def _alone(report: Report, number: int) -> Report:
    """One block of a run as the only block of a run of the orchestrated topology."""
    data, audit = report.data.blocks[number], report.audits[number]
    settings = msgspec.structs.replace(report.run.settings, topologies=(TOPOLOGY,), interleave="A")
    run = msgspec.structs.replace(report.run, run_id=f"{report.run.run_id}-{number}", settings=settings)
    alone = replace(data, block=msgspec.structs.replace(data.block, block=0, topology=TOPOLOGY))
    return make_report(RunData(run, [alone]), [msgspec.structs.replace(audit, block=0, topology=TOPOLOGY)])


def judged_by(gates: Gates) -> Judged:
    """The verdict of these gates over a check's runs."""
    return lambda own, base: judge_gates(gates, own, base).verdict


def in_pairs(made: Sequence[Round], size: int, judged: Judged, *, slower: bool) -> Tally:
    """Checks of ``size`` rounds each: the base against itself, or against what was made slower."""
    outcomes = [
        judged([each.slower if slower else each.same for each in chosen], [each.base for each in chosen])
        for chosen in _choices(made, size)
    ]
    return tally(outcomes, len(made) // size)


def usual(made: Sequence[Round], *, slower: bool) -> Tally:
    """One block against the stored number of another round's block: another time, other arrivals, as a stored baseline is."""
    outcomes = [
        judged_by_percentage(now.slower if slower else now.same, then.base)
        for then, now in itertools.permutations(made, 2)
    ]
    return tally(outcomes, len(made) // 2)


def judged_by_percentage(own: Report, base: Report) -> RunVerdict:
    """Of the usual gate, on the median completion time."""
    pair = [p50_ms(report) for report in (own, base)]
    if None in pair:
        return RunVerdict.INCONCLUSIVE
    now_ms, then_ms = (value for value in pair if value is not None)
    return RunVerdict.FAIL if now_ms > USUAL_TOLERANCE * then_ms else RunVerdict.PASS


def p50_ms(report: Report) -> float | None:
    """Of a run of one block."""
    return report.blocks[0].p50_ms


def slowness(made: Sequence[Round]) -> float:
    """By what factor the slower blocks are slower: the median over all rounds."""
    ratios = [slow / base for each in made if (slow := p50_ms(each.slower)) and (base := p50_ms(each.base))]
    return median(ratios)


def tally(outcomes: Sequence[RunVerdict], apart: int) -> Tally:
    """Count them."""
    return Tally(outcomes.count(RunVerdict.FAIL), outcomes.count(RunVerdict.INCONCLUSIVE), len(outcomes), apart)


def _choices(made: Sequence[Round], size: int) -> Iterator[tuple[Round, ...]]:
    """Every way to choose that many rounds, or :data:`MOST_CHECKS` of them by lot, always the same."""
    if math.comb(len(made), size) <= MOST_CHECKS:
        yield from itertools.combinations(made, size)
        return
    lots = random.Random(1)
    for _ in range(MOST_CHECKS):
        yield tuple(lots.sample(list(made), size))
