"""The data of the page's charts, each with the table that says the same in text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.report.figures import completions
from harness.report.model import Report
from harness.report.quantiles import Floats, quantile
from harness.report.run_data import QUEUE, BlockData
from harness.report.wording import measured, number

GRID_POINTS = 180
"""Of the distribution: as many as a chart has room to show."""
PERCENTILES = (0.05, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999)
TABLE_ROWS = 60
"""Most rows of a table over time: of a longer run, every second or third second is listed, and so on."""
WAITING = ("visible", "in_flight", "delayed")
"""States of messages that somebody still has to handle; those given up to a dead-letter queue are not in the depth."""
MAX_SECONDS = 7_200
"""Two hours: what a chart over time shows at most, so that a page stays one that can be opened."""


@dataclass(frozen=True)
class Chart:
    """One chart: what the script draws from (``spec``), and what is read without it."""

    id: str
    title: str
    summary: str
    spec: dict[str, Any]
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str | None = None
    missing: str | None = None
    """Why there is nothing to draw."""


@dataclass(frozen=True)
class Line:
    """One line of a chart over time: a value for each second. ``faint``: one block's, behind the mean of all."""

    label: str
    values: Floats
    role: str
    faint: bool = False


def distribution(report: Report) -> Chart:
    """Share of ended sagas by completion time, all topologies on one axis."""
    values = {topology: np.sort(completions(report.data.complete(topology))) for topology in report.topologies}
    ended = [durations for durations in values.values() if len(durations)]
    spec: dict[str, Any] = {"kind": "distribution", "x": [], "lines": []}
    if ended:
        low, high = min(float(each[0]) for each in ended), max(float(each[-1]) for each in ended)
        grid = np.geomspace(max(low, 0.1) / 1.02, max(high, low, 0.1) * 1.02, GRID_POINTS)
        spec["x"] = _rounded(grid)
        spec["lines"] = [
            {"label": topology, "topology": index, "values": _rounded(_shares(durations, grid))}
            for index, (topology, durations) in enumerate(values.items())
        ]
    rows = [
        (f"{100 * q:g} %", *(measured(quantile(durations, q), "ms") for durations in values.values()))
        for q in PERCENTILES
    ]
    slowest = [measured(float(durations[-1]) if len(durations) else None, "ms") for durations in values.values()]
    return Chart(
        id="distribution",
        title="Completion time, from the scheduled start",
        summary="Share of ended sagas, in per cent, that had ended by each completion time (logarithmic scale).",
        spec=spec,
        headings=("ended by then", *values),
        rows=[*rows, ("all", *slowest)],
        note=_not_in_it(report),
        missing=None if ended else "No saga ended.",
    )


def _not_in_it(report: Report) -> str | None:
    told = [
        f"{counts.unresolved} {topology} sagas have no known end and are not in it"
        for topology, counts in report.outcomes.items()
        if counts is not None and counts.unresolved
    ]
    return f"{'; '.join(told)}." if told else None


def _shares(durations: Floats, grid: Floats) -> Floats:
    if not len(durations):
        return np.full(len(grid), np.nan)
    return np.asarray(100 * np.searchsorted(durations, grid, side="right") / len(durations), dtype=float)


def throughput(report: Report) -> list[Chart]:
    """Offered and ended sagas per second, one chart for each topology, to one scale."""
    charts = []
    for index, topology in enumerate(report.topologies):
        blocks = report.data.complete(topology)
        seconds = _seconds(blocks)
        offered = [_per_second(np.array([row.scheduled_s for row in data.sagas]), seconds) for data in blocks]
        ended = [_per_second(data.ended_s, seconds) for data in blocks]
        lines = [
            *_faint(blocks, ended),
            *_mean("offered", offered, "offered"),
            *_mean("ended", ended, "topology"),
        ]
        charts.append(_over_time("throughput", index, topology, "sagas per second", blocks, lines))
    return _to_one_scale(charts)


def queue_depth(report: Report) -> list[Chart]:
    """Messages in all queues of a topology together, one chart for each topology, to one scale."""
    charts = []
    for index, topology in enumerate(report.topologies):
        blocks = [data for data in report.data.complete(topology) if data.of_kind(QUEUE)]
        depths = [_depth(data, _seconds(blocks)) for data in blocks]
        lines = [*_faint(blocks, depths), *_mean("all queues", depths, "topology")]
        charts.append(_over_time("queues", index, topology, "messages", blocks, lines))
    return _to_one_scale(charts)


def _over_time(
    what: str, index: int, topology: str, unit: str, blocks: Sequence[BlockData], lines: Sequence[Line]
) -> Chart:
    seconds = _seconds(blocks)
    spec = {
        "kind": "time",
        "unit": unit,
        "topology": index,
        "x": list(range(seconds)),
        "lines": [
            {"label": line.label, "role": line.role, "faint": line.faint, "values": _rounded(line.values)}
            for line in lines
        ],
        "windows": [[start_s, end_s] for _, start_s, end_s in (blocks[0].block.storm_windows if blocks else [])],
        "load_ended_s": max((_load_ended_s(data) for data in blocks), default=0.0),
    }
    told = [line for line in lines if not line.faint]
    step = max(1, math.ceil(seconds / TABLE_ROWS))
    return Chart(
        id=f"{what}-{index}",
        title=topology,
        summary=f"{unit.capitalize()} of {topology} since the load started, mean of {len(blocks)} blocks.",
        spec=spec,
        headings=("second", *(line.label for line in told)),
        rows=[
            (str(second), *(number(float(line.values[second])) for line in told)) for second in range(0, seconds, step)
        ],
        missing=None if told else "Not measured: there is no such series, or no block ran to its end.",
    )


def _to_one_scale(charts: list[Chart]) -> list[Chart]:
    """Charts side by side are compared by height, whatever their axes say."""
    tallest = max((max(line["values"], default=0.0) for c in charts for line in c.spec["lines"]), default=0.0)
    for chart in charts:
        chart.spec["y_max"] = tallest
    return charts


def _faint(blocks: Sequence[BlockData], values: Sequence[Floats]) -> list[Line]:
    if len(blocks) < 2:
        return []
    return [
        Line(f"block {data.block.block + 1}", line, "topology", faint=True)
        for data, line in zip(blocks, values, strict=True)
    ]


def _mean(label: str, values: Sequence[Floats], role: str) -> list[Line]:
    return [Line(label, np.mean(np.stack(values), axis=0), role)] if values else []


def _seconds(blocks: Sequence[BlockData]) -> int:
    """How long the charts of a topology go on: until its last block was drained, and every known end is in."""
    ends = [
        max(data.block.drained_s or 0.0, data.block.duration_s, float(np.max(data.ended_s, initial=0.0)))
        for data in blocks
    ]
    return min(MAX_SECONDS, math.ceil(max(ends, default=0.0)))


def _per_second(times_s: Floats, seconds: int) -> Floats:
    inside = times_s[(times_s >= 0) & (times_s < seconds)].astype(np.int64)
    return np.bincount(inside, minlength=seconds)[:seconds].astype(float)


def _depth(data: BlockData, seconds: int) -> Floats:
    """Of each queue and state what was last read, summed; two processes that read one queue do not make it deeper."""
    deepest: dict[tuple[str, str], Floats] = {}
    for track in data.of_kind(QUEUE):
        key = (track.labels.get("queue", ""), track.labels.get("state", ""))
        if key[1] in WAITING:
            line = np.array([track.value_at(second + 1) or 0.0 for second in range(seconds)])
            deepest[key] = np.maximum(deepest.get(key, line), line)
    return np.asarray(sum(deepest.values(), start=np.zeros(seconds)), dtype=float)


def _load_ended_s(data: BlockData) -> float:
    ended_s = data.block.load_ended_s
    return data.block.duration_s if ended_s is None else ended_s


def windows_in_words(report: Report) -> str:
    """The storm's windows, from the blocks themselves."""
    windows = next((data.block.storm_windows for data in report.data.blocks if data.block.storm_windows), [])
    return ", ".join(f"{fault} {start_s:g} to {end_s:g} s" for fault, start_s, end_s in windows)


def _rounded(values: Floats) -> list[float | None]:
    return [round(float(value), 3) if math.isfinite(value) else None for value in values]
