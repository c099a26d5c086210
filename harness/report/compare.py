"""Two topologies side by side: differences with intervals, the spread between blocks, and whether trouble was shared.

The interval is a paired bootstrap. The unit that is drawn is a slice of a few seconds of one round's schedule, with all
sagas that arrived in it: both topologies met the same arrivals and the same faults in it, so it is drawn for both at
once. Sagas of one moment wait in the same queues, and so do those of the next seconds while a backlog lasts; drawn one
by one they would pass for independent and the interval be too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from harness.history.records import Block
from harness.report.bootstrap import (
    RESAMPLES,
    Slices,
    Statistic,
    as_measured,
    compensation_share,
    divide,
    per_second,
    quantile_of,
    resample,
    slice_count,
    slices,
)
from harness.report.metrics import falsified
from harness.report.quantiles import QUANTILES, Floats, samples_needed
from harness.report.run_data import BlockData, RunData

Pair = tuple[BlockData, BlockData]
"""A block of each side, of one round."""
CONFIDENCE = 0.95
MIN_SLICES = 10
"""With fewer slices to draw from, resamples repeat each other and the interval says more about them than the run."""
SLICE_LENGTHS_S = (5.0, 2.0, 1.0)
"""The longest that gives enough slices is used. Five seconds are about as long as the backlog of an overload takes to
be worked off: between slices shorter than that, what is slow in one is slow in the next."""
TAIL_ROUNDS = 4
"""Rounds without which a difference in a tail (p95, p99) is never called clear. In simulated pairs of *equal* systems
under an overload, two rounds of 25 s called about 30 % of p95 differences clear, four about 10 %."""
UNCLEAR = (
    "the interval leaves room for no difference, or a round by itself does not show it, or it is a tail's and there "
    f"are fewer than {TAIL_ROUNDS} rounds"
)
"""What the mark of a difference that is not clear means."""


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high``."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value lies within, ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """One figure of two topologies, over the rounds that both completed.

    ``difference`` is other - base, ``ratio`` other / base. Where one is ``None``, ``why`` tells. ``by_round`` is the
    ratio (the difference, for a metric that is a share) in each round by itself: they should tell one story.
    """

    metric: str
    unit: str
    base: float | None
    other: float | None
    difference: float | None = None
    difference_interval: Interval | None = None
    ratio: float | None = None
    ratio_interval: Interval | None = None
    by_round: tuple[float | None, ...] = ()
    why: str | None = None
    rounds_needed: int = 1

    @property
    def clear(self) -> bool:
        """The interval leaves "no difference" out, every round shows the same sign, and there are rounds enough.

        With a few slices, and topologies that take turns, chance alone passes the first condition too often.
        """
        if len(self.by_round) < self.rounds_needed:
            return False
        if self.difference is None or self.difference_interval is None or self.difference_interval.holds(0.0):
            return False
        none = 0.0 if self.share else 1.0
        told = [value for value in self.by_round if value is not None]
        return all(value > none if self.difference > 0 else value < none for value in told)

    @property
    def share(self) -> bool:
        """Whether it is of a share, between 0 and 1."""
        return self.unit == "%"


@dataclass(frozen=True)
class Comparison:
    """All differences of ``other`` (a topology, or a run) from ``base``, by ``slices`` of ``slice_s`` seconds."""

    base: str
    other: str
    rounds: tuple[int, ...]
    slices: int
    slice_s: float
    differences: tuple[Difference, ...]

    def of(self, metric: str) -> Difference:
        """The difference in one metric; ``KeyError`` for one that is not compared."""
        return {difference.metric: difference for difference in self.differences}[metric]


@dataclass(frozen=True)
class Metric:
    """Something that is compared. ``path``: in ``summary.json``; ``needs``: ended sagas that each topology must have;
    ``rounds``: of the run, before a difference may be called clear.

    A share (unit ``%``) is told as a difference only: a ratio of two small shares is mostly noise.
    """

    name: str
    path: str
    unit: str
    statistic: Statistic
    needs: int
    rounds: int = 1

    @property
    def share(self) -> bool:
        """Whether it is a share, between 0 and 1."""
        return self.unit == "%"


METRICS = (
    *(
        Metric(
            f"completion {name}",
            f"completion_ms.{name}",
            "ms",
            quantile_of(q),
            samples_needed(q),
            TAIL_ROUNDS if q > 0.5 else 1,
        )
        for name, q in QUANTILES.items()
    ),
    Metric("compensation rate", "compensation_rate", "%", compensation_share, samples_needed(0.95)),
    Metric("throughput", "throughput_per_s", "/s", per_second, 1),
)
"""The rate of compensations takes 20 sagas because with fewer its steps are larger than 5 percentage points."""


def compare(data: RunData) -> list[Comparison]:
    """Every further topology against the first one, in the order of the configuration."""
    first, *others = data.topologies
    seed, withheld = data.run.settings.seed, falsified(data.run)
    return [
        compare_pairs(first, other, matched(data.complete(first), data.complete(other)), seed, withheld)
        for other in others
    ]


def matched(base: Sequence[BlockData], other: Sequence[BlockData]) -> list[Pair]:
    """The blocks of each round in pairs, where they were offered the same load for the same time."""
    of_other = {block.block.round: block for block in other}
    pairs = [(block, of_other[block.block.round]) for block in base if block.block.round in of_other]
    return [pair for pair in pairs if same_load([data.block for data in pair])]


def same_load(blocks: Sequence[Block]) -> bool:
    """Whether blocks were offered the same arrivals for the same time."""
    return len({(block.load_digest, block.scheduled, block.duration_s) for block in blocks}) <= 1


def covers(comparisons: Sequence[Comparison]) -> str:
    """What the intervals are, and what they say nothing about."""
    return (
        f"{intervals(comparisons)} It covers which seconds of this run's load and storm were met. It does not cover "
        "what differs between blocks, machines or seeds, nor queues that last longer than a slice; for drift within "
        "the run see the figures by block."
    )


def intervals(comparisons: Sequence[Comparison]) -> str:
    """How the intervals are made, in one sentence."""
    used_s = sorted({each.slice_s for each in comparisons}, reverse=True) or [SLICE_LENGTHS_S[0]]
    lengths = " and ".join(f"{slice_s:g}-second" for slice_s in used_s)
    longest_s = SLICE_LENGTHS_S[0]
    short = "" if used_s == [longest_s] else f"; too short for {MIN_SLICES} slices of {longest_s:g} s"
    return (
        f"{CONFIDENCE:.0%} interval of a paired bootstrap over {lengths} slices of arrivals ({RESAMPLES:,} "
        f"resamples{short})."
    )


def slice_length_s(durations_s: Sequence[float]) -> float:
    """The longest of :data:`SLICE_LENGTHS_S` that cuts blocks of these durations into enough slices."""
    for slice_s in SLICE_LENGTHS_S:
        if sum(slice_count(duration_s, slice_s) for duration_s in durations_s) >= MIN_SLICES:
            return slice_s
    return SLICE_LENGTHS_S[-1]


def compare_pairs(
    base: str, other: str, blocks: Sequence[Pair], seed: int, withheld: Mapping[str, str], sides: str = "topologies"
) -> Comparison:
    """All metrics over pairs of blocks that were offered the same load, but those that are ``withheld``, with why.

    ``base`` and ``other`` name the sides, ``sides`` what they are.
    """
    rounds = tuple(block.block.round for block, _ in blocks)
    if not rounds:
        why = f"no round was completed by both {sides} with the same load"
        nothing = tuple(Difference(metric.name, metric.unit, None, None, why=why) for metric in METRICS)
        return Comparison(base, other, rounds, 0, SLICE_LENGTHS_S[0], nothing)
    slice_s = slice_length_s([left.block.duration_s for left, _ in blocks])
    pairs = [(slices([left], slice_s), slices([right], slice_s)) for left, right in blocks]
    whole = slices([left for left, _ in blocks], slice_s), slices([right for _, right in blocks], slice_s)
    drawn = resample(*whole, [metric.statistic for metric in METRICS], seed)
    differences = tuple(
        Difference(metric.name, metric.unit, None, None, why=withheld[metric.path])
        if metric.path in withheld
        else _difference(metric, whole, drawn[which], _by_round(metric, pairs), sides)
        for which, metric in enumerate(METRICS)
    )
    return Comparison(base, other, rounds, len(whole[0].length_s), slice_s, differences)


def _difference(
    metric: Metric, whole: tuple[Slices, Slices], drawn: Floats, by_round: tuple[float | None, ...], sides: str
) -> Difference:
    ended = min(len(side.completion_ms) for side in whole)
    if ended < metric.needs:
        why = f"{ended} sagas ended in one of the {sides}, {metric.needs} are needed"
        return Difference(metric.name, metric.unit, None, None, by_round=by_round, why=why)
    base, other = (as_measured(side, metric.statistic) for side in whole)
    count = len(whole[0].length_s)
    with_interval = count >= MIN_SLICES
    ratio = None if metric.share or base == 0 else other / base
    return Difference(
        metric.name,
        metric.unit,
        base,
        other,
        difference=other - base,
        difference_interval=bounds(drawn[1] - drawn[0], count) if with_interval else None,
        ratio=ratio,
        ratio_interval=None if ratio is None or not with_interval else bounds(divide(drawn[1], drawn[0]), count),
        by_round=by_round,
        rounds_needed=metric.rounds,
        why=None if with_interval else f"{count} slices of {SLICE_LENGTHS_S[-1]:g} s, an interval takes {MIN_SLICES}",
    )


def _by_round(metric: Metric, pairs: Sequence[tuple[Slices, Slices]]) -> tuple[float | None, ...]:
    figures: list[float | None] = []
    for base, other in pairs:
        if min(len(base.completion_ms), len(other.completion_ms)) < metric.needs:
            figures.append(None)
            continue
        before, after = as_measured(base, metric.statistic), as_measured(other, metric.statistic)
        if metric.share:
            figures.append(after - before)
        else:
            figures.append(after / before if before else None)
    return tuple(figures)


def bounds(values: Floats, slices: int) -> Interval | None:
    """What holds :data:`CONFIDENCE` of the resamples of so many slices, made as wide as so few of them make it."""
    values = values[np.isfinite(values)]
    if len(values) < RESAMPLES // 2:
        # More than half of the resamples have no such figure: what is left is no picture of all.
        return None
    tail = _tail(slices)
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _tail(slices: int) -> float:
    """Share of the resamples to leave out at each end: less than 2.5 % for few slices, as a t interval is wider.

    Resamples of n slices spread too little, by sqrt(1 - 1/n), and know nothing of how uncertain their own spread is.
    Both are put right as in Hesterberg, "What teachers should know about the bootstrap" (2015), section 5.3. The
    quantile of the t distribution is Cornish and Fisher's expansion, right to 0.1 % from 9 degrees of freedom on.
    """
    normal = NormalDist()
    z, free = normal.inv_cdf((1 + CONFIDENCE) / 2), slices - 1
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return normal.cdf(-t * math.sqrt(slices / free))
