"""Figures made from what clients saw. Each is a number, or :class:`Missing` with the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.report.quantiles import Floats, nearest_rank, quantile, samples_needed
from harness.report.run_data import BlockData

RECOVERED_FOR_S = 3
"""Seconds in a row that must be back to normal: the median of one second is good by chance now and then."""
PRE_STORM_SAGAS = 20
"""Least number of sagas before the storm, so that their p95 is not their maximum."""


@dataclass(frozen=True)
class Missing:
    """No number, and why.

    ``expected``: it is in the nature of the run, so nobody needs to be told. ``longer_than_s``: it was looked for this
    long and not seen; that is more than not being measured.
    """

    why: str
    expected: bool = False
    longer_than_s: int | None = None


Figure = float | Missing

NO_BLOCK = Missing("no block of this topology ran to its end")
NO_END = Missing("no saga ended")


@dataclass(frozen=True)
class Outcomes:
    """What became of a topology's arrivals."""

    scheduled: int
    dropped: int
    rejected: int
    errors: int
    """No answer from the ingress: the saga may or may not have started."""
    accepted: int
    completed: int
    compensated: int
    unresolved: int


def outcomes(blocks: Sequence[BlockData]) -> Outcomes | None:
    """Sums over the blocks; ``None`` where there is no block."""
    if not blocks:
        return None
    statuses = [row.status for data in blocks for row in data.sagas]
    ends = [row.outcome for data in blocks for row in data.ended]
    return Outcomes(
        scheduled=sum(data.block.scheduled for data in blocks),
        dropped=statuses.count("dropped"),
        rejected=statuses.count("rejected"),
        errors=statuses.count("error"),
        accepted=statuses.count("accepted"),
        completed=ends.count("completed"),
        compensated=ends.count("compensated"),
        unresolved=sum(len(data.unresolved) for data in blocks),
    )


def completions(blocks: Sequence[BlockData]) -> Floats:
    """Completion times in milliseconds of all ended sagas, pooled over the blocks."""
    return np.concatenate([data.completion_ms for data in blocks]) if blocks else np.array([], dtype=float)


def completion_quantile(blocks: Sequence[BlockData], name: str, q: float) -> Figure:
    """An exact quantile of the completion times of all blocks together, in milliseconds."""
    if not blocks:
        return NO_BLOCK
    values = completions(blocks)
    value = quantile(values, q)
    return Missing(f"{len(values)} sagas ended, {name} needs {samples_needed(q)}") if value is None else value


def ended_in_load(data: BlockData) -> int:
    """Sagas that ended while the block's load ran."""
    return int(np.count_nonzero(data.ended_s <= data.block.duration_s))


def throughput_per_s(blocks: Sequence[BlockData]) -> Figure:
    """Sagas that ended while the load ran, by the seconds that it ran."""
    seconds = sum(data.block.duration_s for data in blocks)
    return sum(ended_in_load(data) for data in blocks) / seconds if seconds > 0 else NO_BLOCK


def compensation_rate(blocks: Sequence[BlockData]) -> Figure:
    """Compensated sagas by ended sagas."""
    counts = outcomes(blocks)
    if counts is None:
        return NO_BLOCK
    ended = counts.completed + counts.compensated
    return counts.compensated / ended if ended else NO_END


def recovery_s(blocks: Sequence[BlockData]) -> Figure:
    """Seconds from the end of the last storm window until completion times are back to what they were before it.

    *Before* is the p95 of the completion times of sagas scheduled before the first window, at least 20 of them. A
    second is *back* if the median completion time of the sagas scheduled in it is no longer than that, where a saga
    without a known end counts as infinitely long and an empty second is not back. The topology has recovered at the
    first of three such seconds in a row; seconds are counted from the end of the last window. Of several blocks the
    slowest counts, for an average would hide it, and one that never recovered makes the figure null.
    """
    if not blocks:
        return NO_BLOCK
    figures = [_recovery_of_block(data) for data in blocks]
    missing = [figure for figure in figures if isinstance(figure, Missing)]
    if missing:
        return max(missing, key=lambda each: (each.longer_than_s or 0, not each.expected))
    return max(figure for figure in figures if not isinstance(figure, Missing))


def _recovery_of_block(data: BlockData) -> Figure:
    windows = data.block.storm_windows
    if not windows:
        return Missing("there was no storm", expected=True)
    began_s = min(start for _, start, _ in windows)
    ended_s = max(end for _, _, end in windows)
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
