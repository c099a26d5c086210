"""A journey as lines of text: for the terminal, and wherever else there is no page."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.journeys import Journey, Kind, ended, title
from harness.report.waterfall import MARKS, Row, duration, rows
from harness.report.wording import plain

LEAST_LANE, MOST_LANE = 16, 60
"""Columns that the bars take."""


def lines(journey: Journey, until_ms: float | None = None, width: int = 100) -> list[str]:
    """The waterfall of a journey: a heading, then a line for everything that happened.

    ``until_ms``: where the scale ends, for journeys that are shown beside each other.
    """
    end_ms = journey.end_ms if until_ms is None else until_ms
    heading = f"{title(journey)}: {ended(journey)}; saga {journey.saga_id or 'without an id'}"
    told = rows(journey, end_ms)
    cells = [(row.at, row.took, f"{row.what} {row.whom}".rstrip(), row.told) for row in told]
    head = ("at ms", "took", "what", "")
    widths = [max(len(cell[place]) for cell in [head, *cells]) for place in range(4)]
    lane = max(LEAST_LANE, min(MOST_LANE, width - sum(widths[:3]) - 10))
    scale = f"0 to {duration(end_ms)}"
    return [
        plain(heading),
        f"  {_cells(head, widths)}  {scale:{lane}}",
        *(
            f"  {_cells(cell, widths)}  {_bar(row, lane)}  {row.told}".rstrip()
            for row, cell in zip(told, cells, strict=True)
        ),
    ]


def _cells(cells: Sequence[str], widths: Sequence[int]) -> str:
    at, took, what, _ = cells
    return f"{at:>{widths[0]}}  {took:>{widths[1]}}  {what:{widths[2]}}"


def _bar(row: Row, lane: int) -> str:
    start = min(lane - 1, int(row.left * lane / 100))
    length = max(1, min(lane - start, round(row.width * lane / 100)))
    mark = "|" if row.kind is Kind.CLIENT else MARKS[row.kind]
    return ("\N{MIDDLE DOT}" * start + mark * length).ljust(lane, "\N{MIDDLE DOT}")
