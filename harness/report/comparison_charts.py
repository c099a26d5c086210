"""The charts of a comparison, one line for each side, each with the table that says the same in text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.report.comparison_sides import Group, Side
from harness.report.figures import completions
from harness.report.metrics import OF_LAYERS, falsified
from harness.report.quantiles import QUANTILES, Floats, quantile
from harness.report.run_data import QUEUE, BlockData
from harness.report.timeline import (
    TOTAL,
    amplification,
    backlog,
    in_flight,
    oldest_s,
    per_second,
    scheduled_s,
    watched_s,
)
from harness.report.wording import NOT_MEASURED, measured, number

GRID_POINTS = 200
"""Of a distribution: about as many as a chart has room to show, however many sagas there are."""
PERCENTILES = (0.05, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999)
TABLE_ROWS = 60
"""Most rows of a table over time: of a longer load every second or third second is listed, and so on."""
MAX_SECONDS = 7_200
"""Two hours: what a chart over time shows at most, so that a page stays one that can be opened."""
HEADROOM = 1.12
OFFERED = "offered"


@dataclass(frozen=True)
class Chart:
    """What the script draws from (``spec``) and what is read without it; ``missing``: why there is nothing to draw."""

    id: str
    title: str
    summary: str
    spec: dict[str, Any]
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    missing: str | None = None


@dataclass(frozen=True)
class _Panel:
    """One plot over time. ``paths``: figures that are wrong where what it draws is; ``least``: what its axis shows at
    least, so that next to nothing does not look like much."""

    title: str
    lines: list[tuple[str, Floats]]
    paths: tuple[str, ...]
    floor: float = 0.0
    least: float = 1.0


def distributions(groups: Sequence[Group]) -> list[Chart]:
    """Share of ended sagas by completion time, all groups over the same times."""
    values = [[np.sort(completions(side.blocks)) for side in group.sides] for group in groups]
    ended = [each for group in values for each in group if len(each)]
    grid = _grid(ended) if ended else np.array([])
    return [
        _distribution(index, group, each, grid) for index, (group, each) in enumerate(zip(groups, values, strict=True))
    ]


def _grid(ended: Sequence[Floats]) -> Floats:
    low, high = min(float(each[0]) for each in ended), max(float(each[-1]) for each in ended)
    return np.asarray(np.geomspace(max(low, 0.1) / 1.02, max(high, low, 0.1) * 1.02, GRID_POINTS), dtype=float)


def _distribution(index: int, group: Group, values: Sequence[Floats], grid: Floats) -> Chart:
    withheld = _withheld(group.sides, [f"completion_ms.{name}" for name in QUANTILES])
    lines = [
        {"label": side.letter, "side": _number(side), "values": _rounded(_shares(each, grid))}
        for side, each in zip(group.sides, values, strict=True)
        if len(each)
    ]
    rows = [(f"{100 * q:g} %", *(measured(quantile(each, q), "ms") for each in values)) for q in PERCENTILES]
    slowest = [measured(float(each[-1]) if len(each) else None, "ms") for each in values]
    ends = [measured(len(each), "") for each in values]
    unknown = tuple(
        f"{counts.unresolved} sagas of {side.letter} have no known end and are not in it."
        for side in group.sides
        if (counts := side.report.outcomes.get(side.topology)) is not None and counts.unresolved
    )
    return Chart(
        id=f"distribution-{index}",
        title=group.title,
        summary=f"{group.title}: share of ended sagas that had ended by each completion time, logarithmic scale.",
        spec={"kind": "distribution", "offered": False, "x": _rounded(grid), "lines": lines},
        headings=("ended by then", *(side.letter for side in group.sides)),
        rows=[*rows, ("all", *slowest), ("sagas", *ends)],
        notes=unknown,
        missing=withheld or (None if lines else "No saga ended."),
    )


def timelines(groups: Sequence[Group]) -> list[Chart]:
    """Goodput, retries and what waits, second by second; each side the mean of its blocks."""
    return [_timeline(index, group) for index, group in enumerate(groups)]


def _timeline(index: int, group: Group) -> Chart:
    sides = [side for side in group.sides if side.blocks]
    seconds = min(MAX_SECONDS, math.ceil(max((watched_s(data) for side in sides for data in side.blocks), default=0.0)))
    panels = _panels(sides, seconds) if seconds else []
    unseen = {panel.title: why for panel in panels if (why := _unseen(sides, panel))}
    shown = [panel for panel in panels if panel.title not in unseen]
    windows = {tuple((start, end) for _, start, end in side.blocks[0].block.storm_windows) for side in sides}
    loads_s = {round(max(map(_load_ended_s, side.blocks)), 0) for side in sides}
    notes = [f"Not drawn: {title}: {why}." for title, why in unseen.items()]
    if len(windows) > 1:
        notes.append("No storm is tinted, as its windows are not the same for all.")
    headings, rows = _table(shown, seconds)
    return Chart(
        id=f"timeline-{index}",
        title=group.title,
        summary=f"{group.title}: second by second since the load started, the mean of the blocks of each side.",
        spec={
            "kind": "timeline",
            "offered": any(label == OFFERED for panel in shown for label, _ in panel.lines),
            "x": list(range(seconds)),
            "panels": [_panel_spec(panel, sides) for panel in shown],
            "windows": [list(window) for window in next(iter(windows))] if len(windows) == 1 else [],
            # Loads end within tenths of a second of each other, unless they were to last differently.
            "load_ended_s": max(loads_s) if loads_s and max(loads_s) - min(loads_s) <= 1 else None,
        },
        headings=headings,
        rows=rows,
        notes=tuple(notes),
        missing=None if shown else "No block ran to its end.",
    )


def _panels(sides: Sequence[Side], seconds: int) -> list[_Panel]:
    offered = [_mean([per_second(scheduled_s(data), seconds) for data in side.blocks]) for side in sides]
    one_load = all(np.array_equal(each, offered[0]) for each in offered)
    load = [(OFFERED, offered[0])] if one_load else []
    read = [(side, [data for data in side.blocks if data.of_kind(QUEUE)]) for side in sides]
    tries = [(side, [amplification(data, seconds).get(TOTAL) for data in side.blocks]) for side in sides]
    counted = [(side, [line for line in lines if line is not None]) for side, lines in tries]
    return [
        _Panel(
            "ended per second",
            [
                *load,
                *((side.letter, _mean([per_second(data.ended_s, seconds) for data in side.blocks])) for side in sides),
            ],
            ("throughput_per_s",),
        ),
        _Panel(
            "tries by first tries",
            [(side.letter, _mean(lines)) for side, lines in counted if lines],
            ("retry_amplification.total", *OF_LAYERS),
            floor=1.0,
            least=1.5,
        ),
        _Panel(
            "sagas in flight",
            [(side.letter, _mean([in_flight(data, seconds) for data in side.blocks])) for side in sides],
            ("peak_oldest_s",),
        ),
        _Panel(
            "messages waiting",
            [(side.letter, _mean([backlog(data, seconds) for data in blocks])) for side, blocks in read if blocks],
            ("peak_backlog",),
        ),
        _Panel(
            "oldest saga, s",
            [(side.letter, _mean([oldest_s(data, seconds) for data in side.blocks])) for side in sides],
            ("peak_oldest_s",),
        ),
    ]


def _unseen(sides: Sequence[Side], panel: _Panel) -> str | None:
    return _withheld(sides, panel.paths) or (None if panel.lines else "there is no such series")


def _withheld(sides: Sequence[Side], paths: Sequence[str]) -> str | None:
    """Why it is not shown, where what it is made of is wrong on the backend of any side."""
    for side in sides:
        wrong = falsified(side.run)
        for path in paths:
            if path in wrong:
                return f"of {side.letter}: {wrong[path]}"
    return None


def _panel_spec(panel: _Panel, sides: Sequence[Side]) -> dict[str, Any]:
    known = [line[np.isfinite(line)] for _, line in panel.lines]
    top = max([panel.least, *(float(line.max()) for line in known if len(line))])
    numbers = {side.letter: _number(side) for side in sides}
    return {
        "unit": panel.title,
        "range": [panel.floor, round(panel.floor + (top - panel.floor) * HEADROOM, 3)],
        "lines": [
            {"label": label, "side": numbers.get(label), "values": _rounded(line)} for label, line in panel.lines
        ],
    }


def _table(panels: Sequence[_Panel], seconds: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    told = [(f"{label}, {panel.title}", line) for panel in panels for label, line in panel.lines]
    step = max(1, math.ceil(seconds / TABLE_ROWS))
    rows = [(str(second), *(_cell(float(line[second])) for _, line in told)) for second in range(0, seconds, step)]
    return ("second", *(heading for heading, _ in told)), rows


def _cell(value: float) -> str:
    return number(value) if math.isfinite(value) else NOT_MEASURED


def _number(side: Side) -> int:
    """By which its color and dashes are chosen: those of its pick, in every chart."""
    return ord(side.letter) - ord("A")


def _load_ended_s(data: BlockData) -> float:
    ended_s = data.block.load_ended_s
    return data.block.duration_s if ended_s is None else ended_s


def _mean(lines: Sequence[Floats]) -> Floats:
    """Of those that have a value in that second."""
    mean = np.ma.masked_invalid(np.stack(lines)).mean(axis=0)
    return np.asarray(np.ma.filled(mean, np.nan), dtype=float)


def _shares(durations: Floats, grid: Floats) -> Floats:
    return np.asarray(100 * np.searchsorted(durations, grid, side="right") / len(durations), dtype=float)


def _rounded(values: Floats) -> list[float | None]:
    return [round(float(value), 3) if math.isfinite(value) else None for value in values]
