"""What adds up over a topology's blocks while they run: one record and one sample at a time, in bounded memory.

The same figures as :mod:`harness.report` makes of the saved run. Only the quantiles are a little coarser.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from harness.history.records import Sample
from harness.report.costs import LAYERS
from harness.report.quantiles import samples_needed

RESOLUTION = 0.01
"""Ratio of a bucket's width to its value: a quantile is told to within half of it."""
_STEP = math.log1p(RESOLUTION)
_LEAST_MS = 0.01


class Histogram:
    """Durations in logarithmic buckets: some 2,300 of them lie between 10 µs and a day, however many are counted."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()

    def add(self, ms: float) -> None:
        """Count one duration."""
        self._buckets[round(math.log(max(ms, _LEAST_MS)) / _STEP)] += 1

    def include(self, other: Histogram) -> None:
        """Count what another one has counted."""
        self._buckets.update(other._buckets)

    def quantile(self, q: float) -> float | None:
        """By nearest rank, as the report's; ``None`` where the report has none."""
        total = self._buckets.total()
        if total < samples_needed(q):
            return None
        left = math.ceil(q * total)
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return math.exp(bucket * _STEP)
        return None


class Growth:
    """What counters have grown by since the load started: :func:`harness.report.series.counted`, a sample at a time."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, tuple[str, ...]], float] = {}

    def since(self, sample: Sample) -> int:
        """By how much this series has grown since its last sample; a decrease is a reset."""
        key = (sample.target, sample.metric, tuple(sample.labels.values()))
        before = self._last.get(key, 0.0)
        self._last[key] = sample.value
        if sample.t_s <= 0:
            return 0
        return round(sample.value - before if sample.value >= before else sample.value)


@dataclass
class Tally:
    """Counts of one block, or of several together."""

    scheduled: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """Arrivals by what became of them: ``accepted``, ``dropped``, ``rejected``, ``error``; ``completed``, ``compensated``."""
    in_flight: int = 0
    """Started, not known to have ended, and their clients still ask."""
    took: Histogram = field(default_factory=Histogram)
    attempts: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    suppressed: int = 0
    strikes: Counter[str] = field(default_factory=Counter)
    surged: Counter[str] = field(default_factory=Counter)
    """Strikes that were scheduled, of faults that change the arrivals; they count once one of those is accepted."""
    reached: set[str] = field(default_factory=set)
    """Of those faults, the ones of which an arrival was accepted."""
    applicable: set[str] = field(default_factory=set)

    def include(self, other: Tally) -> None:
        """Add what another block has counted."""
        self.scheduled += other.scheduled
        self.in_flight += other.in_flight
        self.suppressed += other.suppressed
        self.took.include(other.took)
        for mine, theirs in (
            (self.ends, other.ends),
            (self.attempts, other.attempts),
            (self.retries, other.retries),
            (self.strikes, other.strikes),
            (self.surged, other.surged),
        ):
            mine.update(theirs)
        self.reached |= other.reached
        self.applicable |= other.applicable

    @property
    def unresolved(self) -> int:
        """Started, or perhaps started, with no known end, and nobody asks any more."""
        ends = self.ends
        return ends["accepted"] + ends["error"] - ends["completed"] - ends["compensated"] - self.in_flight

    def fired(self, fault: str) -> int | None:
        """Strikes of a fault; ``None`` for one that has nothing to strike. See :func:`harness.report.faults.fired`."""
        if fault not in self.applicable:
            return None
        return self.strikes[fault] + (self.surged[fault] if fault in self.reached or self.strikes[fault] else 0)

    def amplification(self) -> dict[str, float | None]:
        """Attempts / (attempts - retries) by layer, and ``total``, the product of the layers measured."""
        layers = {layer: amplification(self.attempts[layer], self.retries[layer]) for layer in LAYERS}
        measured = [value for value in layers.values() if value is not None]
        return {"total": math.prod(measured) if measured else None, **layers}


def amplification(attempts: int, retries: int) -> float | None:
    """Of one layer; ``None`` where nothing was tried, or nothing but retries."""
    return attempts / (attempts - retries) if attempts > retries else None
