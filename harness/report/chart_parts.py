"""What the charts of a report and of a comparison have in common, so that they are drawn and told alike."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.report.quantiles import Floats, quantile
from harness.report.run_data import BlockData
from harness.report.timeline import watched_s
from harness.report.wording import NOT_MEASURED, measured, number

PERCENTILES = (0.05, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999)
TABLE_ROWS = 60
"""Most rows of a table over time: of a longer run, every second or third second is listed, and so on."""
HEADROOM = 1.12
"""Of a panel, above its tallest line."""
MAX_SECONDS = 7_200
"""Two hours: what a chart over time shows at most, so that a page stays one that can be opened."""


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

    @property
    def note(self) -> str:
        """All notes as one paragraph."""
        return " ".join(self.notes)


@dataclass(frozen=True)
class Line:
    """One line of a panel: a value for each second. ``look``: how the script draws it; ``told``: in the table too."""

    label: str
    values: Floats
    look: Mapping[str, Any]
    told: bool = True


@dataclass(frozen=True)
class Panel:
    """One plot of a chart over time. ``paths``: figures that are wrong where what it draws is; ``least``: what its axis
    shows at least, so that next to nothing does not look like much."""

    title: str
    lines: list[Line]
    paths: tuple[str, ...]
    floor: float = 0.0
    least: float = 1.0


def panel_top(panel: Panel) -> float:
    """The highest value that its axis must show."""
    values = [line.values[np.isfinite(line.values)] for line in panel.lines]
    return max([panel.least, *(float(each.max()) for each in values if len(each))])


def panel_spec(panel: Panel, top: float) -> dict[str, Any]:
    """What the script draws the panel from, with room for values up to ``top``."""
    return {
        "unit": panel.title,
        "range": [panel.floor, round(panel.floor + (top - panel.floor) * HEADROOM, 3)],
        "lines": [{"label": line.label, **line.look, "values": rounded(line.values)} for line in panel.lines],
    }


def panel_table(panels: Sequence[Panel], seconds: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows."""
    told = [(line, f"{line.label}, {panel.title}") for panel in panels for line in panel.lines if line.told]
    step = max(1, math.ceil(seconds / TABLE_ROWS))
    rows = [
        (str(second), *(_cell(float(line.values[second])) for line, _ in told)) for second in range(0, seconds, step)
    ]
    return ("second", *(heading for _, heading in told)), rows


def _cell(value: float) -> str:
    return number(value) if math.isfinite(value) else NOT_MEASURED


def completion_grid(ended_ms: Collection[Floats], points: int) -> Floats:
    """Times from the shortest to the longest of these sorted completion times, none of them empty."""
    low, high = min(float(each[0]) for each in ended_ms), max(float(each[-1]) for each in ended_ms)
    return np.asarray(np.geomspace(max(low, 0.1) / 1.02, max(high, low, 0.1) * 1.02, points), dtype=float)


def shares(completion_ms: Floats, grid_ms: Floats) -> Floats:
    """Per cent of the sorted completion times up to each time of the grid; NaN where there are none."""
    if not len(completion_ms):
        return np.full(len(grid_ms), np.nan)
    return np.asarray(100 * np.searchsorted(completion_ms, grid_ms, side="right") / len(completion_ms), dtype=float)


def percentile_rows(completion_ms: Collection[Floats]) -> list[tuple[str, ...]]:
    """By when which share of the sagas had ended, a column for each of these sorted completion times."""
    rows = [(f"{100 * q:g} %", *(measured(quantile(each, q), "ms") for each in completion_ms)) for q in PERCENTILES]
    slowest = [measured(float(each[-1]) if len(each) else None, "ms") for each in completion_ms]
    return [*rows, ("all", *slowest)]


def mean(lines: Sequence[Floats]) -> Floats:
    """Of those that have a value in that second."""
    found = np.ma.masked_invalid(np.stack(lines)).mean(axis=0)
    return np.asarray(np.ma.filled(found, np.nan), dtype=float)


def seconds_shown(blocks: Iterable[BlockData]) -> int:
    """How long a chart over time of these blocks goes on."""
    return min(MAX_SECONDS, math.ceil(max(map(watched_s, blocks), default=0.0)))


def load_ended_s(data: BlockData) -> float:
    """As recorded, or else as planned."""
    ended_s = data.block.load_ended_s
    return data.block.duration_s if ended_s is None else ended_s


def rounded(values: Floats) -> list[float | None]:
    """For the script, to which a gap is ``null``."""
    return [round(float(value), 3) if math.isfinite(value) else None for value in values]
