"""A block second by second: what was offered and got done, what waited, how often things were tried.

The value of a second stands at its index: of what happens, how much happened in it; of what waits, how it stood at its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from harness.report.costs import LAYERS
from harness.report.quantiles import Floats
from harness.report.run_data import ATTEMPTS, QUEUE, RETRIES, BlockData
from harness.report.series import Track, growth

TOTAL = "total"
IN_BACKLOG = ("visible", "in_flight")
"""States of messages that wait or are in work; one that is tried again later is in flight. A *delayed* one is held back by
the storm itself, and one that was given up to a dead-letter queue waits for nobody."""
BIN_S = 2
"""Counters are read once a second, a little early or late: what lies between two readings is told in two seconds."""
MIN_FIRST_TRIES = 10
"""In a bin, for an amplification: with fewer one retry more or less decides, and with none, as when only retries are left in
the drain, there is nothing to divide by."""


def watched_s(data: BlockData) -> float:
    """Until when the block was looked at: drained, or given up draining, and every known end is in."""
    block = data.block
    return max(block.drained_s or 0.0, block.duration_s, float(np.max(data.ended_s, initial=0.0)))


def storm_span_s(data: BlockData) -> tuple[float, float] | None:
    """From the first to the last moment of any fault's window; ``None`` without a storm.

    What lasts for the whole load is not the storm but the state of things in which it breaks, unless there is nothing else.
    """
    block = data.block
    windows = [
        window for window in block.storm_windows if window[1] > 0 or window[2] < block.duration_s
    ] or block.storm_windows
    return (min(start for _, start, _ in windows), max(end for _, _, end in windows)) if windows else None


def scheduled_s(data: BlockData) -> Floats:
    """When each arrival was due, whatever became of it."""
    return np.array([row.scheduled_s for row in data.sagas], dtype=float)


def per_second(times_s: Floats, seconds: int) -> Floats:
    """How many of these moments lie in each second."""
    inside = times_s[(times_s >= 0) & (times_s < seconds)].astype(np.int64)
    return np.bincount(inside, minlength=seconds)[:seconds].astype(float)


def backlog(data: BlockData, seconds: int, from_s: float = 0.0) -> Floats:
    """Messages in all queues together, of each queue and state as last read, of ``seconds`` seconds from ``from_s`` on.

    Two processes that read one queue do not make it deeper.
    """
    deepest: dict[tuple[str, str], Floats] = {}
    for track in data.of_kind(QUEUE):
        key = (track.labels.get("queue", ""), track.labels.get("state", ""))
        if key[1] in IN_BACKLOG:
            line = np.array([track.value_at(from_s + second + 1) or 0.0 for second in range(seconds)])
            deepest[key] = np.maximum(deepest.get(key, line), line)
    return np.asarray(sum(deepest.values(), start=np.zeros(seconds)), dtype=float)


def under_way_s(data: BlockData) -> tuple[Floats, Floats]:
    """When each saga was due that is known to have started, and when it ended; one without a known end goes on for ever."""
    rows = [row for row in data.sagas if row.status == "accepted" or row.completion_ms is not None]
    starts = np.array([row.scheduled_s for row in rows], dtype=float)
    took_s = [np.inf if row.completion_ms is None else row.completion_ms / 1000 for row in rows]
    return starts, starts + np.array(took_s, dtype=float)


def in_flight(data: BlockData, seconds: int) -> Floats:
    """Sagas under way at the end of each second, those without a known end for as long as anybody looks."""
    starts, ends = (np.sort(times) for times in under_way_s(data))
    now_s = np.arange(1, seconds + 1)
    begun = np.searchsorted(starts, now_s, side="right") - np.searchsorted(ends, now_s, side="right")
    return np.where(now_s <= math.ceil(watched_s(data)), begun, 0).astype(float)


def oldest_s(data: BlockData, seconds: int) -> Floats:
    """Age of the oldest saga under way, from its scheduled start; 0 where none is.

    It stands for the age of the oldest waiting message, which SQS tells to CloudWatch only: wherever its message waits,
    or its next try in the orchestrator, the saga waits with it. A zombie ages as long as anybody looks.
    """
    starts, ends = under_way_s(data)
    by_age = np.argsort(starts, kind="stable")
    starts, ends = starts[by_age], ends[by_age]
    until_s = watched_s(data)
    ages = np.zeros(seconds)
    oldest = 0
    for second in range(seconds):
        now_s = min(second + 1.0, until_s)
        while oldest < len(ends) and ends[oldest] <= now_s:
            oldest += 1
        if oldest < len(ends):
            ages[second] = max(0.0, now_s - starts[oldest])  # below 0: not due yet, and nobody after it is
    return ages


def amplification(data: BlockData, seconds: int) -> dict[str, Floats]:
    """Attempts / (attempts - retries) by layer that has a series, and :data:`TOTAL`, their product.

    Made in bins of :data:`BIN_S`, whose value stands at each of their seconds. NaN where a layer had fewer than
    :data:`MIN_FIRST_TRIES` first tries; the total leaves out a layer in which nothing happened, and is NaN where one was
    busy with retries alone.
    """
    if seconds <= 0:
        return {}
    edges_s = np.arange(0, seconds + BIN_S, BIN_S, dtype=float)
    lines: dict[str, Floats] = {}
    total, known = np.ones(len(edges_s) - 1), np.zeros(len(edges_s) - 1, dtype=bool)
    for layer in LAYERS:
        attempts = _grown(_of_layer(data, ATTEMPTS, layer), edges_s)
        if not attempts.any():
            continue
        first = attempts - _grown(_of_layer(data, RETRIES, layer), edges_s)
        told = first >= MIN_FIRST_TRIES
        lines[layer] = np.where(told, attempts / np.maximum(first, 1), np.nan)
        total *= np.where(told, lines[layer], np.where(attempts < MIN_FIRST_TRIES, 1.0, np.nan))
        known |= told
    if lines:
        lines = {TOTAL: np.where(known, total, np.nan), **lines}
    return {layer: np.repeat(values, BIN_S)[:seconds] for layer, values in lines.items()}


def _of_layer(data: BlockData, metric: str, layer: str) -> list[Track]:
    # The harness makes AWS calls of its own (it watches the queues); they are no saga's.
    return [track for track in data.of_kind(metric, "worker", "ingress") if track.labels.get("layer") == layer]


def _grown(tracks: Iterable[Track], edges_s: Floats) -> Floats:
    return np.asarray(sum((growth(track, edges_s) for track in tracks), start=np.zeros(len(edges_s) - 1)), dtype=float)
