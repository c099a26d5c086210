"""The charts of a comparison, one line for each side, each with the table that says the same in text."""

from __future__ import annotations

from collections.abc import Sequence

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
from harness.report.comparison_sides import Group, Side
from harness.report.figures import completions
from harness.report.metrics import OF_LAYERS, falsified
from harness.report.quantiles import QUANTILES, Floats
from harness.report.run_data import QUEUE
from harness.report.timeline import TOTAL, amplification, backlog, in_flight, oldest_s, per_second, scheduled_s
from harness.report.wording import measured

GRID_POINTS = 200
"""Of a distribution: about as many as a chart has room to show, however many sagas there are."""
OFFERED = "offered"


def distributions(groups: Sequence[Group]) -> list[Chart]:
    """Share of ended sagas by completion time, all groups over the same times."""
    values = [[np.sort(completions(side.blocks)) for side in group.sides] for group in groups]
    ended = [each for group in values for each in group if len(each)]
    grid = completion_grid(ended, GRID_POINTS) if ended else np.array([])
    return [
        _distribution(index, group, each, grid) for index, (group, each) in enumerate(zip(groups, values, strict=True))
    ]


def _distribution(index: int, group: Group, values: Sequence[Floats], grid: Floats) -> Chart:
    withheld = _withheld(group.sides, [f"completion_ms.{name}" for name in QUANTILES])
    lines = [
        {"label": side.letter, "side": _number(side), "values": rounded(shares(each, grid))}
        for side, each in zip(group.sides, values, strict=True)
        if len(each)
    ]
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
        spec={"kind": "distribution", "offered": False, "x": rounded(grid), "lines": lines},
        headings=("ended by then", *(side.letter for side in group.sides)),
        rows=[*percentile_rows(values), ("sagas", *ends)],
        notes=unknown,
        missing=withheld or (None if lines else "No saga ended."),
    )


def timelines(groups: Sequence[Group]) -> list[Chart]:
    """Goodput, retries and what waits, second by second; each side the mean of its blocks."""
    return [_timeline(index, group) for index, group in enumerate(groups)]


def _timeline(index: int, group: Group) -> Chart:
    sides = [side for side in group.sides if side.blocks]
    seconds = seconds_shown(data for side in sides for data in side.blocks)
    panels = _panels(sides, seconds) if seconds else []
    unseen = {panel.title: why for panel in panels if (why := _unseen(sides, panel))}
    shown = [panel for panel in panels if panel.title not in unseen]
    windows = {tuple((start, end) for _, start, end in side.blocks[0].block.storm_windows) for side in sides}
    loads_s = {round(max(map(load_ended_s, side.blocks)), 0) for side in sides}
    notes = [f"Not drawn: {title}: {why}." for title, why in unseen.items()]
    if len(windows) > 1:
        notes.append("No storm is tinted, as its windows are not the same for all.")
    headings, rows = panel_table(shown, seconds)
    return Chart(
        id=f"timeline-{index}",
        title=group.title,
        summary=f"{group.title}: second by second since the load started, the mean of the blocks of each side.",
        spec={
            "kind": "timeline",
            "offered": any(line.label == OFFERED for panel in shown for line in panel.lines),
            "x": list(range(seconds)),
            "panels": [panel_spec(panel, panel_top(panel)) for panel in shown],
            "windows": [list(window) for window in next(iter(windows))] if len(windows) == 1 else [],
            # Loads end within tenths of a second of each other, unless they were to last differently.
            "load_ended_s": max(loads_s) if loads_s and max(loads_s) - min(loads_s) <= 1 else None,
        },
        headings=headings,
        rows=rows,
        notes=tuple(notes),
        missing=None if shown else "No block ran to its end.",
    )


def _panels(sides: Sequence[Side], seconds: int) -> list[Panel]:
    offered = [mean([per_second(scheduled_s(data), seconds) for data in side.blocks]) for side in sides]
    one_load = all(np.array_equal(each, offered[0]) for each in offered)
    load = [Line(OFFERED, offered[0], {"side": None})] if one_load else []
    read = [(side, [data for data in side.blocks if data.of_kind(QUEUE)]) for side in sides]
    tries = [(side, [amplification(data, seconds).get(TOTAL) for data in side.blocks]) for side in sides]
    counted = [(side, [line for line in lines if line is not None]) for side, lines in tries]
    return [
        Panel(
            "ended per second",
            [*load, *(_line(side, [per_second(data.ended_s, seconds) for data in side.blocks]) for side in sides)],
            ("throughput_per_s",),
        ),
        Panel(
            "tries by first tries",
            [_line(side, lines) for side, lines in counted if lines],
            ("retry_amplification.total", *OF_LAYERS),
            floor=1.0,
            least=1.5,
        ),
        Panel(
            "sagas in flight",
            [_line(side, [in_flight(data, seconds) for data in side.blocks]) for side in sides],
            ("peak_oldest_s",),
        ),
        Panel(
            "messages waiting",
            [_line(side, [backlog(data, seconds) for data in blocks]) for side, blocks in read if blocks],
            ("peak_backlog",),
        ),
        Panel(
            "oldest saga, s",
            [_line(side, [oldest_s(data, seconds) for data in side.blocks]) for side in sides],
            ("peak_oldest_s",),
        ),
    ]


def _line(side: Side, lines: Sequence[Floats]) -> Line:
    return Line(side.letter, mean(lines), {"side": _number(side)})


def _unseen(sides: Sequence[Side], panel: Panel) -> str | None:
    return _withheld(sides, panel.paths) or (None if panel.lines else "there is no such series")


def _withheld(sides: Sequence[Side], paths: Sequence[str]) -> str | None:
    """Why it is not shown, where what it is made of is wrong on the backend of any side."""
    for side in sides:
        wrong = falsified(side.run)
        for path in paths:
            if path in wrong:
                return f"of {side.letter}: {wrong[path]}"
    return None


def _number(side: Side) -> int:
    """By which its color and dashes are chosen: those of its pick, in every chart."""
    return ord(side.letter) - ord("A")
