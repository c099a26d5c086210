"""How a cell differs from everything on in one measure, and what that amounts to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean, stdev
from typing import Literal

import msgspec
import numpy as np

from harness.report.bootstrap import RESAMPLES, slice_count
from harness.report.compare import MIN_SLICES, Difference, Interval, Pair, bounds, slice_length_s
from harness.report.figures import Figure, Missing
from harness.report.quantiles import Floats

NEVER: Literal["never"] = "never"
"""It was watched for until the drain limit and did not come."""
Value = float | Literal["never"] | None
"""Of a measure; ``None`` where it was not measured."""
ONE_ROUND = "one round, so no interval"
NO_SPREAD = "all rounds differ by exactly the same, which leaves no spread to draw an interval from"
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
"""Of Student's distribution, by degrees of freedom from 1; from the last one on it falls by less than a tenth."""


class Mark(StrEnum):
    """What a difference from everything on amounts to.

    ``new`` and ``gone``: none in any block of the one, some in every block of the other. That is a fact and no estimate.
    ``worse`` and ``better``: the interval leaves no difference out. ``unclear``: it does not.
    """

    WORSE = "worse"
    BETTER = "better"
    NEW = "new"
    GONE = "gone"
    UNCLEAR = "unclear"
    NO_INTERVAL = "no interval"
    SAME = "same"
    NOT_COMPARED = "not compared"

    @property
    def told(self) -> bool:
        """Whether it says that there is a difference."""
        return self in (Mark.WORSE, Mark.BETTER, Mark.NEW, Mark.GONE)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of a cell against everything on, over the blocks of both that met the same load.

    ``amount`` is other / base where ``is_ratio``, else other - base; ``low`` and ``high`` are its 95 % interval. ``why``
    tells why something of this is missing.
    """

    mark: Mark
    base: Value = None
    other: Value = None
    is_ratio: bool = False
    amount: float | None = None
    low: float | None = None
    high: float | None = None
    why: str | None = None

    @property
    def direction(self) -> int:
        """1 where there is clearly more of it than with everything on, -1 for less, 0 where that cannot be said."""
        if not self.mark.told:
            return 0
        if NEVER in (self.base, self.other):
            return 1 if self.other == NEVER else -1
        above = (self.amount or 0.0) - (1.0 if self.is_ratio else 0.0)
        return (above > 0) - (above < 0)


def value_of(figure: Figure) -> Value:
    """A figure without the reason why it is missing."""
    if isinstance(figure, Missing):
        return None if figure.longer_than_s is None else NEVER
    return figure


def of_blocks(pairs: Sequence[tuple[Value, Value]], *, less_is_worse: bool = False, is_fact: bool = False) -> Change:
    """Between the values of blocks in pairs: what they differ by on average, with Student's interval.

    ``is_fact``: it counts what should not be there at all.
    """
    known = [(base, other) for base, other in pairs if base is not None and other is not None]
    if not known:
        return Change(mark=Mark.NOT_COMPARED, why="not measured in any round of both")
    base, other = mean([base for base, _ in known]), mean([other for _, other in known])
    differences = [other - base for base, other in known if base != NEVER and other != NEVER]
    if len(differences) < len(known):
        return Change(mark=_with_nevers(known), base=base, other=other)
    interval = student(differences)
    why = None if interval else ONE_ROUND
    if interval and interval.low == interval.high != 0 and not is_fact:
        # What is counted by the saga or the message agrees by chance: two rounds are not certain because of it.
        interval, why = None, NO_SPREAD
    return Change(
        mark=(_fact(known) if is_fact else None) or mark_of(fmean(differences), interval, less_is_worse=less_is_worse),
        base=base,
        other=other,
        amount=fmean(differences),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        why=why,
    )


def of_sagas(found: Difference, *, less_is_worse: bool = False) -> Change:
    """Between the sagas of such blocks, as they were compared slice by slice."""
    if found.difference is None:
        return Change(mark=Mark.NOT_COMPARED, why=found.why)
    is_ratio = found.ratio is not None
    interval = found.ratio_interval if is_ratio else found.difference_interval
    mark = mark_of(found.difference, found.difference_interval, less_is_worse=less_is_worse)
    return Change(
        # Slices alone are marked too easily where rounds disagree, or where it is a tail's.
        mark=Mark.UNCLEAR if mark.told and not found.clear else mark,
        base=found.base,
        other=found.other,
        is_ratio=is_ratio,
        amount=found.ratio if is_ratio else found.difference,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        why=found.why,
    )


def of_unresolved(pairs: Sequence[Pair], seed: int) -> Change:
    """As :func:`of_blocks` of the unresolved sagas, with the interval of the paired bootstrap over slices of arrivals."""
    counts = [(float(len(base.unresolved)), float(len(other.unresolved))) for base, other in pairs]
    plain = of_blocks(counts, is_fact=True)
    interval = _drawn([_by_slice(pair) for pair in pairs], seed) if pairs else None
    if plain.amount is None or interval is None:
        return plain
    disagree = len({other > base for base, other in counts}) > 1
    mark = plain.mark if plain.mark in (Mark.NEW, Mark.GONE) else mark_of(plain.amount, interval)
    return msgspec.structs.replace(
        plain, mark=Mark.UNCLEAR if mark.told and disagree else mark, low=interval.low, high=interval.high, why=None
    )


def mark_of(difference: float, interval: Interval | None, *, less_is_worse: bool = False) -> Mark:
    """Of a difference that is no fact by itself."""
    if difference == 0 and (interval is None or interval.low == interval.high):
        return Mark.SAME
    if interval is None:
        return Mark.NO_INTERVAL
    if interval.holds(0.0):
        return Mark.UNCLEAR
    return Mark.WORSE if (difference > 0) != less_is_worse else Mark.BETTER


def mean(values: Sequence[Value]) -> Value:
    """Of those that were measured; never, if one of them is."""
    if NEVER in values:
        return NEVER
    numbers = [value for value in values if value is not None and value != NEVER]
    return fmean(numbers) if numbers else None


def student(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of their mean; ``None`` for fewer than two."""
    if len(values) < 2:
        return None
    half = T_975[min(len(values) - 1, len(T_975)) - 1] * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values) - half, fmean(values) + half)


def _with_nevers(known: Sequence[tuple[Value, Value]]) -> Mark:
    bases, others = ({pair[side] == NEVER for pair in known} for side in (0, 1))
    if bases == others == {True}:
        return Mark.SAME
    if bases == {False} and others == {True}:
        return Mark.NEW
    return Mark.GONE if bases == {True} and others == {False} else Mark.UNCLEAR


def _fact(known: Sequence[tuple[Value, Value]]) -> Mark | None:
    bases, others = ({bool(pair[side]) for pair in known} for side in (0, 1))
    if bases == {False} and others == {True}:
        return Mark.NEW
    return Mark.GONE if bases == {True} and others == {False} else None


def _by_slice(pair: Pair) -> Floats:
    """How many more unresolved sagas the other block has, by slice of arrivals."""
    duration_s = pair[0].block.duration_s
    slice_s = slice_length_s([duration_s])
    count = slice_count(duration_s, slice_s)
    base, other = (
        np.bincount(
            np.array([min(count - 1, row.scheduled_s // slice_s) for row in data.unresolved], dtype=np.int64),
            minlength=count,
        )
        for data in pair
    )
    return np.asarray(other - base, dtype=float)


def _drawn(by_pair: Sequence[Floats], seed: int) -> Interval | None:
    slices = np.concatenate(by_pair)
    count = len(slices)
    if count < MIN_SLICES:
        return None
    # As in harness.report.bootstrap: the stream of the legacy generator is frozen.
    weights = np.random.RandomState(seed % 2**32).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return bounds(np.asarray(weights @ slices, dtype=float) / len(by_pair), count)
