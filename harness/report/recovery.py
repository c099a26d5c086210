"""How long a topology takes to be itself again after the storm; or that it was watched, and was not.

The storm ends with its last window. Both of two things must be back in the band in which they were before its first:
the completion times, which takes arrivals and so can be seen while the load runs only, and the backlog, which is watched
through the drain. Of several blocks the slowest counts, for an average would hide it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.report.figures import NO_BLOCK, Figure, Missing
from harness.report.quantiles import nearest_rank
from harness.report.run_data import QUEUE, BlockData
from harness.report.timeline import backlog, storm_span_s, watched_s

RECOVERED_FOR_S = 3
"""Seconds in a row that must be back to normal: one second is good by chance now and then."""
PRE_STORM_SAGAS = 20
"""Least number of sagas before the storm, so that their p95 is not their maximum."""
PRE_STORM_READINGS = 3
"""Least number of readings of the backlog before the storm, one a second."""
LEAST_BAND = 1.0
"""Messages. At a low rate all readings before the storm may be 0, and one message is no backlog."""

NO_STORM = Missing("there was no storm", expected=True)


def recovery_s(blocks: Sequence[BlockData]) -> Figure:
    """Seconds from the end of the storm until completion times *and* backlog are back.

    :class:`Missing` where one of them is; with ``longer_than_s`` where one of them was watched and did not come back.
    """
    return _slowest([part for data in blocks for part in (_completion(data), _backlog(data))])


def completion_recovery_s(blocks: Sequence[BlockData]) -> Figure:
    """Seconds from the end of the storm until completion times are back to what they were before it.

    *Before* is the p95 of the completion times of sagas scheduled before the first window, at least 20 of them. A
    second is *back* if the median completion time of the sagas scheduled in it is no longer than that, where a saga
    without a known end counts as infinitely long and an empty second is not back. They are back at the first of three
    such seconds in a row; seconds are counted from the end of the last window.
    """
    return _slowest([_completion(data) for data in blocks])


def backlog_recovery_s(blocks: Sequence[BlockData]) -> Figure:
    """Seconds from the end of the storm until the backlog is back to what it was before it.

    *Before* is the p95 of the readings before the first window, one a second and at least 3 of them; of fewer than 20
    that is their maximum, and never less than one message. It is back at the first second from which three readings are no
    more than that on average. Queues that ran empty are known to stay so.
    """
    return _slowest([_backlog(data) for data in blocks])


def _slowest(figures: Sequence[Figure]) -> Figure:
    if not figures:
        return NO_BLOCK
    missing = [figure for figure in figures if isinstance(figure, Missing)]
    if missing:
        # That something did not come back says more than that something else was not measured.
        return max(missing, key=lambda each: (each.longer_than_s or 0, not each.expected))
    return max(figure for figure in figures if not isinstance(figure, Missing))


def _completion(data: BlockData) -> Figure:
    span_s = storm_span_s(data)
    if span_s is None:
        return NO_STORM
    began_s, ended_s = span_s
    before = np.array([row.completion_ms for row in data.ended if row.scheduled_s < began_s], dtype=float)
    if len(before) < PRE_STORM_SAGAS:
        return Missing(f"{data.name} has {len(before)} ended sagas before the storm, needs {PRE_STORM_SAGAS}")
    seconds = int(data.block.duration_s - ended_s)
    if seconds < RECOVERED_FOR_S:
        return Missing(
            f"{data.name} goes on for {max(0.0, data.block.duration_s - ended_s):.1f} s after the storm, "
            f"needs {RECOVERED_FOR_S}"
        )
    band_ms = nearest_rank(before, 0.95)
    medians = _median_by_second(data, ended_s, seconds)
    back = [median is not None and median <= band_ms for median in medians]
    for second in range(seconds - RECOVERED_FOR_S + 1):
        if all(back[second : second + RECOVERED_FOR_S]):
            return float(second)
    return Missing(
        f"{data.name} did not get back to {band_ms:.0f} ms within {seconds} s after the storm", longer_than_s=seconds
    )


def _median_by_second(data: BlockData, from_s: float, seconds: int) -> list[float | None]:
    durations: list[list[float]] = [[] for _ in range(seconds)]
    for row in data.sagas:
        second = int((row.scheduled_s - from_s) // 1)
        if row.status != "dropped" and 0 <= second < seconds:
            durations[second].append(float("inf") if row.completion_ms is None else row.completion_ms)
    return [nearest_rank(np.array(values), 0.5) if values else None for values in durations]


def _backlog(data: BlockData) -> Figure:
    span_s = storm_span_s(data)
    if span_s is None:
        return NO_STORM
    began_s, ended_s = span_s
    if not data.of_kind(QUEUE):
        return Missing(f"{data.name} has no readings of its queues")
    readings = int(began_s)
    if readings < PRE_STORM_READINGS:
        return Missing(
            f"{data.name} has {readings} readings of its queues before the storm, needs {PRE_STORM_READINGS}"
        )
    band = max(LEAST_BAND, nearest_rank(backlog(data, readings), 0.95))
    seconds = max(0, math.ceil(watched_s(data) - ended_s))
    after = backlog(data, seconds, ended_s)
    if data.block.drained:
        after = np.concatenate([after, np.zeros(RECOVERED_FOR_S)])  # nothing arrives any more
    if len(after) < RECOVERED_FOR_S:
        return Missing(f"{data.name} was watched for {seconds} s after the storm, needs {RECOVERED_FOR_S}")
    for second in range(len(after) - RECOVERED_FOR_S + 1):
        if after[second : second + RECOVERED_FOR_S].mean() <= band:
            return float(second)
    return Missing(
        f"{data.name} did not get its backlog back to {band:.0f} within {seconds} s after the storm, drain included",
        longer_than_s=seconds,
    )
