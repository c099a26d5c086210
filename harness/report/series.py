"""Prometheus series as the report reads them: what a counter grew by, what a gauge stood at.

The history stores a sample only when its value changed, so between two samples a series stands still.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.history.records import Sample
from harness.report.quantiles import Floats

STARTED_WITH_THE_BLOCK_S = 2.0
"""A process seen first within this time from the start of the load was there when it started: samples are taken once a
second."""

SAMPLED_EVERY_S = 1.0


@dataclass(frozen=True)
class Track:
    """One series of one process in one block. ``kind`` is the target's first word: ``worker``, ``ingress``, …"""

    target: str
    labels: dict[str, str]
    times_s: Floats
    values: Floats

    @property
    def kind(self) -> str:
        """``worker`` for the target ``worker-3``."""
        return self.target.split("-", 1)[0]

    def value_at(self, t_s: float) -> float | None:
        """The value at that time; ``None`` before the first sample."""
        index = int(np.searchsorted(self.times_s, t_s, side="right")) - 1
        return float(self.values[index]) if index >= 0 else None

    def increase(self, base: float, from_s: float = 0.0, until_s: float = float("inf")) -> float:
        """What a counter that stood at ``base`` at ``from_s`` grew by until ``until_s``.

        A decrease is a reset: what is read after it has been counted from zero.
        """
        inside = (self.times_s > from_s) & (self.times_s <= until_s)
        before = base
        total = 0.0
        for value in self.values[inside].tolist():
            total += value - before if value >= before else value
            before = value
        return total


def tracks(samples: Iterable[Sample]) -> list[Track]:
    """Samples of one metric, sorted into their series."""
    collected: dict[tuple[str, tuple[tuple[str, str], ...]], list[Sample]] = {}
    for sample in samples:
        collected.setdefault((sample.target, tuple(sorted(sample.labels.items()))), []).append(sample)
    return [
        Track(target, dict(labels), np.array([s.t_s for s in group]), np.array([s.value for s in group]))
        for (target, labels), group in collected.items()
    ]


def counted(track: Track) -> float:
    """What one of our own counters grew by in the block.

    Its base is what it read when the load started. A series that was not there then counts from zero: the client
    library shows a labelled counter only once it has been incremented, and a restarted process is a new target.
    """
    return track.increase(track.value_at(0.0) or 0.0)


def growth(track: Track, edges_s: Floats) -> Floats:
    """What one of our own counters grew by between each edge and the next, from the start of the load on.

    Counted as in :func:`counted`. A sample tells of the second before it: what it adds stands in the middle of that.
    """
    inside = track.times_s > 0
    values = np.concatenate([[track.value_at(0.0) or 0.0], track.values[inside]])
    steps = np.diff(values)
    middles_s = np.maximum(track.times_s[inside] - SAMPLED_EVERY_S / 2, 0.0)
    grown, _ = np.histogram(middles_s, edges_s, weights=np.where(steps < 0, values[1:], steps))
    return np.asarray(grown, dtype=float)


def cpu_seconds(track: Track, from_s: float = 0.0, until_s: float = float("inf")) -> float:
    """CPU time that a process used from the start of the load (or ``from_s``) on, drain included.

    Unlike a labelled counter, CPU time is above zero when it is first read: a process that was there at the start
    counts from its first sample, one that came later (a restarted one) from zero, for its start is part of the cost.
    """
    base = track.value_at(from_s)
    if base is None:
        base = float(track.values[0]) if track.times_s[0] < STARTED_WITH_THE_BLOCK_S else 0.0
    return track.increase(base, from_s, until_s)


def span_s(track: Track, until_s: float) -> tuple[float, float] | None:
    """When the samples nearest to the start of the load and to ``until_s`` were taken; ``None`` without two samples."""
    first = max(0, int(np.searchsorted(track.times_s, 0.0, side="right")) - 1)
    last = int(np.searchsorted(track.times_s, until_s, side="right")) - 1
    return (float(track.times_s[first]), float(track.times_s[last])) if last > first else None


def cores_busy(track: Track, until_s: float) -> float | None:
    """How many processors a counter of CPU time kept busy over the load, on average.

    Between the samples nearest to the start of the load and to ``until_s``, by the time that lies between *them*: on a
    busy machine samples come late, and a second too many would make it look busier still. ``None`` without two samples.
    """
    span = span_s(track, until_s)
    if span is None:
        return None
    from_s, to_s = span
    return track.increase(track.value_at(from_s) or 0.0, from_s, to_s) / (to_s - from_s)
