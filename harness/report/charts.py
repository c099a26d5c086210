"""The data of the page's charts, each with the table that says the same in text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.report.figures import Missing, completions
from harness.report.metrics import OF_LAYERS, falsified
from harness.report.model import Report
from harness.report.quantiles import Floats, quantile
from harness.report.run_data import QUEUE, BlockData
from harness.report.tables import LAYERS
from harness.report.timeline import (
    TOTAL,
    amplification,
    backlog,
    in_flight,
    oldest_s,
    per_second,
    scheduled_s,
    storm_span_s,
    watched_s,
)
from harness.report.wording import NOT_MEASURED, measured, number, recovered

GRID_POINTS = 180
"""Of the distribution: as many as a chart has room to show."""
PERCENTILES = (0.05, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999)
TABLE_ROWS = 60
"""Most rows of a table over time: of a longer run, every second or third second is listed, and so on."""
HEADROOM = 1.12
"""Of a panel, above its tallest line."""
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


@dataclass(frozen=True)
class Panel:
    """One plot of a chart over time. ``paths``: figures that are wrong where what it draws is; ``least``: what its axis
    shows at least, so that next to nothing does not look like much."""

    title: str
    lines: list[Line]
    paths: tuple[str, ...]
    floor: float = 0.0
    least: float = 1.0


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


def loop(report: Report) -> list[Chart]:
    """Load, retries and what waits, one chart for each topology with its panels below each other, all to one scale.

    What makes a retry storm is seen only together: less gets done than is offered, more is tried, more waits, and that
    goes on when the trouble is over.
    """
    blocks = {topology: report.data.complete(topology) for topology in report.topologies}
    seconds = max((_seconds(each) for each in blocks.values()), default=0)
    panels = {topology: _panels(each, seconds) for topology, each in blocks.items()}
    tallest = [max(map(_top, beside)) for beside in zip(*panels.values(), strict=True)]
    withheld = falsified(report.run)
    charts = []
    for index, (topology, each) in enumerate(panels.items()):
        shown = [(panel, top) for panel, top in zip(each, tallest, strict=True) if not _unseen(panel, withheld)]
        spec = {
            "kind": "loop",
            "topology": index,
            "x": list(range(seconds)),
            "panels": [_panel_spec(panel, top) for panel, top in shown],
            "windows": [[start_s, end_s] for _, start_s, end_s in _windows(blocks[topology])],
            "load_ended_s": max((_load_ended_s(data) for data in blocks[topology]), default=0.0),
            "back": _back(report, topology, blocks[topology]),
        }
        headings, rows = _table([panel for panel, _ in shown], seconds)
        told = [f"Not drawn: {panel.title}: {why}." for panel in each if (why := _unseen(panel, withheld))]
        charts.append(
            Chart(
                id=f"loop-{index}",
                title=topology,
                summary=f"{topology} since the load started, mean of {len(blocks[topology])} blocks.",
                spec=spec,
                headings=headings,
                rows=rows,
                note=" ".join(told) or None,
                missing=None if shown else " ".join(told),
            )
        )
    return charts


def _panels(blocks: Sequence[BlockData], seconds: int) -> list[Panel]:
    offered = [per_second(scheduled_s(data), seconds) for data in blocks]
    ended = [per_second(data.ended_s, seconds) for data in blocks]
    read = [data for data in blocks if data.of_kind(QUEUE)]
    depths = [backlog(data, seconds) for data in read]
    oldest = [oldest_s(data, seconds) for data in blocks]
    under_way = [in_flight(data, seconds) for data in blocks]
    tries = [amplification(data, seconds) for data in blocks]
    names = {TOTAL: "all", **LAYERS}
    layers = [_mean(name, [each[layer] for each in tries if layer in each], layer) for layer, name in names.items()]
    return [
        Panel(
            "sagas per second",
            [*_faint(blocks, ended), *_mean("offered", offered, "offered"), *_mean("ended", ended, "topology")],
            ("throughput_per_s",),
        ),
        Panel(
            "tries by first tries",
            [line for lines in layers for line in lines],
            ("retry_amplification.total", *OF_LAYERS),
            floor=1.0,
            least=1.5,
        ),
        Panel("sagas", [*_faint(blocks, under_way), *_mean("in flight", under_way, "topology")], ("peak_oldest_s",)),
        Panel("messages", [*_faint(read, depths), *_mean("backlog", depths, "topology")], ("peak_backlog",)),
        Panel(
            "seconds",
            [*_faint(blocks, oldest), *_mean("oldest saga under way", oldest, "topology")],
            ("peak_oldest_s",),
        ),
    ]


def _unseen(panel: Panel, withheld: Mapping[str, str]) -> str | None:
    """Why there is nothing to draw."""
    wrong = next((withheld[path] for path in panel.paths if path in withheld), None)
    return wrong or (None if panel.lines else "there is no such series, or no block ran to its end")


def _top(panel: Panel) -> float:
    # Charts side by side are compared by height, whatever their axes say.
    values = [line.values[np.isfinite(line.values)] for line in panel.lines]
    return max([panel.least, *(float(each.max()) for each in values if len(each))])


def _panel_spec(panel: Panel, top: float) -> dict[str, Any]:
    return {
        "unit": panel.title,
        "range": [panel.floor, round(panel.floor + (top - panel.floor) * HEADROOM, 3)],
        "lines": [
            {"label": line.label, "role": line.role, "faint": line.faint, "values": _rounded(line.values)}
            for line in panel.lines
        ],
    }


def _table(panels: Sequence[Panel], seconds: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    told = [(line, f"{line.label}, {panel.title}") for panel in panels for line in panel.lines if not line.faint]
    step = max(1, math.ceil(seconds / TABLE_ROWS))
    rows = [
        (str(second), *(_cell(float(line.values[second])) for line, _ in told)) for second in range(0, seconds, step)
    ]
    return ("second", *(heading for _, heading in told)), rows


def _cell(value: float) -> str:
    return number(value) if math.isfinite(value) else NOT_MEASURED


def _windows(blocks: Sequence[BlockData]) -> list[tuple[str, float, float]]:
    return blocks[0].block.storm_windows if blocks else []


def _back(report: Report, topology: str, blocks: Sequence[BlockData]) -> dict[str, Any] | None:
    """Where in time completion times and backlog were back, and what to write there."""
    figure = report.recovery[topology]["recovery_s"]
    span_s = storm_span_s(blocks[0]) if blocks else None
    if span_s is None or recovered(figure) == NOT_MEASURED:
        return None
    if isinstance(figure, Missing):
        return {"at_s": None, "words": f"not back in {figure.longer_than_s} s"}
    return {"at_s": span_s[1] + figure, "words": f"back after {recovered(figure)}"}


def _faint(blocks: Sequence[BlockData], values: Sequence[Floats]) -> list[Line]:
    if len(blocks) < 2:
        return []
    return [
        Line(f"block {data.block.block + 1}", line, "topology", faint=True)
        for data, line in zip(blocks, values, strict=True)
    ]


def _mean(label: str, values: Sequence[Floats], role: str) -> list[Line]:
    """Of the blocks that have a value in that second."""
    if not values:
        return []
    mean = np.ma.masked_invalid(np.stack(values)).mean(axis=0)
    return [Line(label, np.asarray(np.ma.filled(mean, np.nan), dtype=float), role)]


def _seconds(blocks: Sequence[BlockData]) -> int:
    """How long the charts of a topology go on."""
    return min(MAX_SECONDS, math.ceil(max(map(watched_s, blocks), default=0.0)))


def _load_ended_s(data: BlockData) -> float:
    ended_s = data.block.load_ended_s
    return data.block.duration_s if ended_s is None else ended_s


def windows_in_words(report: Report) -> str:
    """The storm's windows, from the blocks themselves: what strikes at the same time in one breath."""
    windows = next((data.block.storm_windows for data in report.data.blocks if data.block.storm_windows), [])
    together: dict[tuple[float, float], list[str]] = {}
    for fault, start_s, end_s in windows:
        together.setdefault((start_s, end_s), []).append(fault)
    return "; ".join(f"{', '.join(faults)} {start_s:g} to {end_s:g} s" for (start_s, end_s), faults in together.items())


def _rounded(values: Floats) -> list[float | None]:
    return [round(float(value), 3) if math.isfinite(value) else None for value in values]
