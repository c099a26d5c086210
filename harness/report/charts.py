"""The data of the page's charts, each with the table that says the same in text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.report.chart_parts import (
    Chart,
    Line,
    Panel,
    completion_grid,
    load_ended_s,
    mean,
    panel_spec,
    panel_table,
    panel_top,
    percentile_rows,
    rounded,
    seconds_shown,
    shares,
)
from harness.report.figures import Missing, completions
from harness.report.metrics import OF_LAYERS, falsified
from harness.report.model import Report
from harness.report.quantiles import Floats
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
)
from harness.report.wording import NOT_MEASURED, recovered

GRID_POINTS = 180
"""Of the distribution: as many as a chart has room to show."""


def distribution(report: Report) -> Chart:
    """Share of ended sagas by completion time, all topologies on one axis."""
    values = {topology: np.sort(completions(report.data.complete(topology))) for topology in report.topologies}
    ended = [durations for durations in values.values() if len(durations)]
    spec: dict[str, Any] = {"kind": "distribution", "x": [], "lines": []}
    if ended:
        grid = completion_grid(ended, GRID_POINTS)
        spec["x"] = rounded(grid)
        spec["lines"] = [
            {"label": topology, "topology": index, "values": rounded(shares(durations, grid))}
            for index, (topology, durations) in enumerate(values.items())
        ]
    return Chart(
        id="distribution",
        title="Completion time, from the scheduled start",
        summary="Share of ended sagas, in per cent, that had ended by each completion time (logarithmic scale).",
        spec=spec,
        headings=("ended by then", *values),
        rows=percentile_rows(values.values()),
        notes=_not_in_it(report),
        missing=None if ended else "No saga ended.",
    )


def _not_in_it(report: Report) -> tuple[str, ...]:
    told = [
        f"{counts.unresolved} {topology} sagas have no known end and are not in it"
        for topology, counts in report.outcomes.items()
        if counts is not None and counts.unresolved
    ]
    return (f"{'; '.join(told)}.",) if told else ()


def loop(report: Report) -> list[Chart]:
    """Load, retries and what waits, one chart for each topology with its panels below each other, all to one scale.

    What makes a retry storm is seen only together: less gets done than is offered, more is tried, more waits, and that
    goes on when the trouble is over.
    """
    blocks = {topology: report.data.complete(topology) for topology in report.topologies}
    seconds = max((seconds_shown(each) for each in blocks.values()), default=0)
    panels = {topology: _panels(each, seconds) for topology, each in blocks.items()}
    # Charts side by side are compared by height, whatever their axes say.
    tallest = [max(map(panel_top, beside)) for beside in zip(*panels.values(), strict=True)]
    withheld = falsified(report.run)
    charts = []
    for index, (topology, each) in enumerate(panels.items()):
        shown = [(panel, top) for panel, top in zip(each, tallest, strict=True) if not _unseen(panel, withheld)]
        spec = {
            "kind": "loop",
            "topology": index,
            "x": list(range(seconds)),
            "panels": [panel_spec(panel, top) for panel, top in shown],
            "windows": [[start_s, end_s] for _, start_s, end_s in _windows(blocks[topology])],
            "load_ended_s": max((load_ended_s(data) for data in blocks[topology]), default=0.0),
            "back": _back(report, topology, blocks[topology]),
        }
        headings, rows = panel_table([panel for panel, _ in shown], seconds)
        told = [f"Not drawn: {panel.title}: {why}." for panel in each if (why := _unseen(panel, withheld))]
        charts.append(
            Chart(
                id=f"loop-{index}",
                title=topology,
                summary=f"{topology} since the load started, mean of {len(blocks[topology])} blocks.",
                spec=spec,
                headings=headings,
                rows=rows,
                notes=tuple(told),
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
        Line(f"block {data.block.block + 1}", line, {"role": "topology", "faint": True}, told=False)
        for data, line in zip(blocks, values, strict=True)
    ]


def _mean(label: str, values: Sequence[Floats], role: str) -> list[Line]:
    return [Line(label, mean(values), {"role": role, "faint": False})] if values else []


def windows_in_words(report: Report) -> str:
    """The storm's windows, from the blocks themselves: what strikes at the same time in one breath."""
    windows = next((data.block.storm_windows for data in report.data.blocks if data.block.storm_windows), [])
    together: dict[tuple[float, float], list[str]] = {}
    for fault, start_s, end_s in windows:
        together.setdefault((start_s, end_s), []).append(fault)
    return "; ".join(f"{', '.join(faults)} {start_s:g} to {end_s:g} s" for (start_s, end_s), faults in together.items())
