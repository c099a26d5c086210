"""Figures made from what clients saw. Each is a number, or :class:`Missing` with the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.report.quantiles import Floats, quantile, samples_needed
from harness.report.run_data import BlockData


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
