"""Two topologies side by side: differences with intervals, the spread between blocks, and whether trouble was shared.

The interval is a paired bootstrap. The unit that is drawn is one second of one round's schedule, with all sagas that
arrived in it: both topologies met the same arrivals and the same faults in it, so it is drawn for both at once. Sagas
of one second wait in the same queues; drawn one by one they would pass for independent and the interval be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    slices,
)
from harness.report.quantiles import QUANTILES, Floats, samples_needed
from harness.report.run_data import BlockData, RunData

CONFIDENCE = 0.95
MIN_SLICES = 10
"""With fewer seconds to draw from, resamples repeat each other and the interval says more about them than the run."""

COVERS = (
    f"{CONFIDENCE:.0%} interval of a paired bootstrap over one-second slices of arrivals ({RESAMPLES:,} resamples). "
    "It covers which seconds of this run's load and storm were met. It does not cover what differs between blocks, "
    "machines or seeds, nor queues that last over many seconds; for drift within the run see the figures by block."
)


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

    @property
    def clear(self) -> bool:
        """The interval leaves "no difference" out."""
        return self.difference_interval is not None and not self.difference_interval.holds(0.0)


@dataclass(frozen=True)
class Comparison:
    """All differences of topology ``other`` from topology ``base``."""

    base: str
    other: str
    rounds: tuple[int, ...]
    slices: int
    differences: tuple[Difference, ...]

    def of(self, metric: str) -> Difference:
        """The difference in one metric; ``KeyError`` for one that is not compared."""
        return {difference.metric: difference for difference in self.differences}[metric]


@dataclass(frozen=True)
class Metric:
    """Something that is compared. ``needs``: ended sagas that each topology must have.

    A share (unit ``%``) is told as a difference only: a ratio of two small shares is mostly noise.
    """

    name: str
    unit: str
    statistic: Statistic
    needs: int

    @property
    def share(self) -> bool:
        """Whether it is a share, between 0 and 1."""
        return self.unit == "%"


METRICS = (
    *(Metric(f"completion {name}", "ms", quantile_of(q), samples_needed(q)) for name, q in QUANTILES.items()),
    Metric("compensation rate", "%", compensation_share, samples_needed(0.95)),
    Metric("throughput", "/s", per_second, 1),
)
"""The rate of compensations takes 20 sagas because with fewer its steps are larger than 5 percentage points."""


def compare(data: RunData) -> list[Comparison]:
    """Every further topology against the first one, in the order of the configuration."""
    first, *others = data.topologies
    return [_compare(data, first, other) for other in others]


def matched(data: RunData, base: str, other: str) -> list[tuple[BlockData, BlockData]]:
    """The complete blocks of each round in pairs, where they were offered the same load for the same time."""
    of_other = {block.block.round: block for block in data.complete(other)}
    pairs = [(block, of_other[block.block.round]) for block in data.complete(base) if block.block.round in of_other]
    return [pair for pair in pairs if same_load([data.block for data in pair])]


def same_load(blocks: Sequence[Block]) -> bool:
    """Whether blocks were offered the same arrivals for the same time."""
    return len({(block.load_digest, block.scheduled, block.duration_s) for block in blocks}) <= 1


def _compare(data: RunData, base: str, other: str) -> Comparison:
    blocks = matched(data, base, other)
    rounds = tuple(block.block.round for block, _ in blocks)
    if not rounds:
        why = "no round was completed by both topologies with the same load"
        nothing = tuple(Difference(metric.name, metric.unit, None, None, why=why) for metric in METRICS)
        return Comparison(base, other, rounds, 0, nothing)
    pairs = [(slices([left]), slices([right])) for left, right in blocks]
    whole = slices([left for left, _ in blocks]), slices([right for _, right in blocks])
    drawn = resample(*whole, [metric.statistic for metric in METRICS], data.run.settings.seed)
    differences = tuple(
        _difference(metric, whole, drawn[which], _by_round(metric, pairs)) for which, metric in enumerate(METRICS)
    )
    return Comparison(base, other, rounds, len(whole[0].length_s), differences)


def _difference(
    metric: Metric, whole: tuple[Slices, Slices], drawn: Floats, by_round: tuple[float | None, ...]
) -> Difference:
    ended = min(len(side.completion_ms) for side in whole)
    if ended < metric.needs:
        why = f"{ended} sagas ended in one of the topologies, {metric.needs} are needed"
        return Difference(metric.name, metric.unit, None, None, by_round=by_round, why=why)
    base, other = (as_measured(side, metric.statistic) for side in whole)
    seconds = len(whole[0].length_s)
    with_interval = seconds >= MIN_SLICES
    ratio = None if metric.share or base == 0 else other / base
    return Difference(
        metric.name,
        metric.unit,
        base,
        other,
        difference=other - base,
        difference_interval=_interval(drawn[1] - drawn[0]) if with_interval else None,
        ratio=ratio,
        ratio_interval=None if ratio is None or not with_interval else _interval(divide(drawn[1], drawn[0])),
        by_round=by_round,
        why=None if with_interval else f"{seconds} slices of one second, an interval takes {MIN_SLICES}",
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


def _interval(values: Floats) -> Interval | None:
    values = values[np.isfinite(values)]
    if len(values) < RESAMPLES // 2:
        # More than half of the resamples have no such figure: what is left is no picture of all.
        return None
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
