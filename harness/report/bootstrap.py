"""A paired bootstrap over slices of arrivals, vectorised: resamples are weights on slices, never copies of sagas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.report.quantiles import Floats
from harness.report.run_data import BlockData

RESAMPLES = 2_000
_CELLS = 4_000_000
"""Upper bound for resamples x sagas worked on at once: some tens of megabytes, however long the run was."""

Weights = NDArray[np.int32]


@dataclass(frozen=True)
class Slices:
    """One topology's ended sagas by slice. The arrays of sagas are in order of completion time."""

    completion_ms: Floats
    slice_of: NDArray[np.int64]
    ended: Floats
    """Sagas of each slice that ended."""
    compensated: Floats
    ended_in_load: Floats
    length_s: Floats
    """Seconds of each slice; the last one of a block may be short."""


@dataclass(frozen=True)
class Drawn:
    """One topology's slices, drawn as often as each row of weights says."""

    data: Slices
    weights: Weights

    @cached_property
    def cumulated(self) -> Weights:
        """How many sagas are drawn that took no longer than each, row by row."""
        return np.cumsum(self.weights[:, self.data.slice_of], axis=1, dtype=np.int32)

    def sum(self, amounts: Floats) -> Floats:
        """Of an amount that each slice has, row by row."""
        return np.asarray(self.weights @ amounts, dtype=float)


Statistic = Callable[[Drawn], Floats]
"""One number for every row of weights."""


def slice_count(duration_s: float, slice_s: float) -> int:
    """How many slices a block of this duration has; the last one may be short."""
    return int(np.ceil(duration_s / slice_s))


def slices(blocks: Sequence[BlockData], slice_s: float) -> Slices:
    """Cut the sagas of blocks into slices of their schedule, block after block."""
    counts = [slice_count(data.block.duration_s, slice_s) for data in blocks]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    where, compensated, in_load = [], [], []
    for data, count, offset in zip(blocks, counts, offsets[:-1].tolist(), strict=True):
        scheduled = np.array([row.scheduled_s for row in data.ended], dtype=float)
        where.append(np.clip((scheduled // slice_s).astype(np.int64), 0, count - 1) + offset)
        compensated.append(np.array([row.outcome == "compensated" for row in data.ended], dtype=bool))
        in_load.append(data.ended_s <= data.block.duration_s)
    slice_of = np.concatenate(where)
    completion_ms = np.concatenate([data.completion_ms for data in blocks])
    order = np.argsort(completion_ms, kind="stable")
    lengths = [
        min(slice_s, data.block.duration_s - number * slice_s)
        for data, count in zip(blocks, counts, strict=True)
        for number in range(count)
    ]
    return Slices(
        completion_ms=completion_ms[order],
        slice_of=slice_of[order],
        ended=np.bincount(slice_of, minlength=total).astype(float),
        compensated=np.bincount(slice_of[np.concatenate(compensated)], minlength=total).astype(float),
        ended_in_load=np.bincount(slice_of[np.concatenate(in_load)], minlength=total).astype(float),
        length_s=np.array(lengths, dtype=float),
    )


def quantile_of(q: float) -> Statistic:
    """The nearest-rank quantile of completion times, of every resample."""

    def statistic(drawn: Drawn) -> Floats:
        cumulated, completion_ms = drawn.cumulated, drawn.data.completion_ms
        found = np.full(len(cumulated), np.nan)
        if not len(completion_ms):
            return found
        # A rank is a whole number: 0.95 x 20 must be 19 and not a hair above it.
        ranks = np.ceil(np.round(q * cumulated[:, -1], 9)).astype(np.int32)
        for row in np.flatnonzero(cumulated[:, -1]).tolist():
            found[row] = completion_ms[np.searchsorted(cumulated[row], ranks[row])]
        return found

    return statistic


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Element by element; nan where the denominator is 0."""
    out: Floats = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def compensation_share(drawn: Drawn) -> Floats:
    """Compensated by ended sagas, of every resample."""
    return divide(drawn.sum(drawn.data.compensated), drawn.sum(drawn.data.ended))


def per_second(drawn: Drawn) -> Floats:
    """Sagas that ended while the load ran, by second, of every resample."""
    return divide(drawn.sum(drawn.data.ended_in_load), drawn.sum(drawn.data.length_s))


def resample(base: Slices, other: Slices, statistics: Sequence[Statistic], seed: int) -> NDArray[np.float64]:
    """Statistics x {base, other} x resamples; every resample draws the same slices for both topologies.

    The same seed gives the same numbers, whatever is asked for.
    """
    count = len(base.length_s)
    # The legacy generator, because its stream is frozen: a run that is reported again next year, with another numpy,
    # must show the same interval.
    rng = np.random.RandomState(seed % 2**32)
    results = np.empty((len(statistics), 2, RESAMPLES))
    step = max(1, min(RESAMPLES, _CELLS // max(1, len(base.completion_ms), len(other.completion_ms))))
    for start in range(0, RESAMPLES, step):
        weights = rng.multinomial(count, np.full(count, 1 / count), size=min(step, RESAMPLES - start))
        for side, data in enumerate((base, other)):
            drawn = Drawn(data, weights.astype(np.int32))
            for which, statistic in enumerate(statistics):
                results[which, side, start : start + len(weights)] = statistic(drawn)
    return results


def as_measured(data: Slices, statistic: Statistic) -> float:
    """The statistic of the run itself: every slice once."""
    return float(statistic(Drawn(data, np.ones((1, len(data.length_s)), dtype=np.int32)))[0])
