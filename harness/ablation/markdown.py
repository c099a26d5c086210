"""The table of an ablation as Markdown, for the document and for pull requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.ablation.table import Table
from harness.ablation.wording import (
    CHANGE_HEADINGS,
    FIGURE_HEADINGS,
    changes,
    figure_cells,
    headline,
    made_on,
    notes,
    outcome_lines,
    untold,
)
from harness.report.markdown import escaped


def render(table: Table) -> str:
    """A file of its own."""
    lines = [
        f"# Ablation {escaped(table.ablation_id)}",
        "",
        *body(table, 2),
        *(f"- {escaped(each)}" for each in notes(table)),
    ]
    return "\n".join(lines) + "\n"


def body(table: Table, level: int) -> list[str]:
    """What was asked and measured, below a heading; the headings in it are of this level."""
    heading = "#" * level
    lines = [f"{escaped(headline(table))}; {escaped(made_on(table))}.", ""]
    for topology, rows in table.topologies.items():
        lines += [f"{heading} {escaped(topology)}", ""]
        lines += grid(FIGURE_HEADINGS, map(figure_cells, rows), left=2)
        lines += grid(CHANGE_HEADINGS, changes(table, topology), left=3)
        if rest := untold(table, topology):
            lines += [*(f"- {escaped(line)}" for line in rest), ""]
    if told := outcome_lines(table):
        lines += ["Runs that did not pass:", "", *(f"- {escaped(line)}" for line in told), ""]
    return lines


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> list[str]:
    """A table whose first ``left`` columns are text."""
    lines = [_line(headings), _line([":--" if index < left else "--:" for index, _ in enumerate(headings)])]
    return [*lines, *(_line([escaped(cell) for cell in row]) for row in rows), ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
