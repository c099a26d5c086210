"""How bad the storm got: what was tried, what waited, and what got done while it lasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.report.figures import NO_BLOCK, Figure, Missing
from harness.report.quantiles import Floats
from harness.report.recovery import NO_STORM
from harness.report.run_data import BREAKER_CHANGES, BREAKER_STATE, QUEUE, BlockData
from harness.report.series import counted
from harness.report.timeline import (
    BIN_S,
    MIN_FIRST_TRIES,
    TOTAL,
    amplification,
    backlog,
    scheduled_s,
    storm_span_s,
    under_way_s,
    watched_s,
)

Blocks = Sequence[BlockData]


def goodput_in_storm_per_s(blocks: Blocks) -> Figure:
    """Sagas that ended, however, between the first and the last moment of the storm, by the seconds between them."""
    return _in_storm_per_s(blocks, lambda data: data.ended_s)


def offered_in_storm_per_s(blocks: Blocks) -> Figure:
    """Arrivals that were due in the same time, by the same seconds."""
    return _in_storm_per_s(blocks, scheduled_s)


def _in_storm_per_s(blocks: Blocks, times_s: Callable[[BlockData], Floats]) -> Figure:
    if not blocks:
        return NO_BLOCK
    spans = [(times_s(data), *span_s) for data in blocks if (span_s := storm_span_s(data))]
    seconds = sum(end_s - start_s for _, start_s, end_s in spans)
    if seconds <= 0:
        return NO_STORM
    return sum(int(np.count_nonzero((at_s >= start_s) & (at_s < end_s))) for at_s, start_s, end_s in spans) / seconds


def amplification_peak(blocks: Blocks) -> Figure:
    """The highest total retry amplification of two seconds of the load, of any block.

    Of the load only: in the drain there are no new sagas, and even a few retries are many by first tries.
    """
    if not blocks:
        return NO_BLOCK
    peaks = [peak for data in blocks if (peak := _amplification_peak(data)) is not None]
    return max(peaks) if peaks else Missing(f"no {BIN_S} s of the load had {MIN_FIRST_TRIES} first tries in any layer")


def _amplification_peak(data: BlockData) -> float | None:
    whole_bins_s = int(data.block.duration_s // BIN_S) * BIN_S
    total = amplification(data, whole_bins_s).get(TOTAL, np.array([]))
    known = total[np.isfinite(total)]
    return float(known.max()) if len(known) else None


def peak_backlog(blocks: Blocks) -> Figure:
    """Most messages that waited or were in work in all queues at one reading, of any block, drain included."""
    if not blocks:
        return NO_BLOCK
    for data in blocks:
        if not data.of_kind(QUEUE):
            return Missing(f"{data.name} has no readings of its queues")
    return max(float(backlog(data, int(watched_s(data)) + 1).max()) for data in blocks)


def peak_oldest_s(blocks: Blocks) -> Figure:
    """The greatest age, in seconds, that a saga had while it was under way, of any block.

    That is the longest completion time or, where it is longer, the time for which a saga without a known end was watched.
    """
    if not blocks:
        return NO_BLOCK
    ages = [np.minimum(ends, watched_s(data)) - starts for data in blocks for starts, ends in [under_way_s(data)]]
    return max((float(each.max()) for each in ages if len(each)), default=Missing("no saga was accepted"))


def dead_letters(blocks: Blocks) -> Figure:
    """Messages in the dead-letter queues at the end of the drain."""
    if not blocks:
        return NO_BLOCK
    for data in blocks:
        if data.block.dead_letters is None:
            return Missing(f"the dead-letter queues of {data.name} could not be read")
    return float(sum(data.block.dead_letters or 0 for data in blocks))


def swept(blocks: Blocks, metric: str) -> Figure:
    """What a counter of the sweeper's grew by, in whichever process it ran."""
    tracks = [track for data in blocks for track in data.of_kind(metric)]
    return sum(counted(track) for track in tracks) if tracks else Missing("there was no sweeper", expected=True)


def breaker_openings(blocks: Blocks) -> Figure:
    """How often any circuit breaker opened. The state of one that is there is always shown, a change once there was one."""
    if not any(data.of_kind(BREAKER_STATE) for data in blocks):
        return Missing("there was no circuit breaker", expected=True)
    changes = [track for data in blocks for track in data.of_kind(BREAKER_CHANGES)]
    return sum(counted(track) for track in changes if track.labels.get("state") == "open")
