"""The table of an ablation for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.ablation.change import Mark
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
from harness.report.terminal import Sheet, texts
from harness.report.wording import plain

HALF = 5
"""How many columns of the figures are shown first: what became of the sagas. Then how they got there."""
STYLES = {Mark.WORSE: "bold red", Mark.NEW: "bold red", Mark.BETTER: "bold green", Mark.GONE: "bold green"}


def print_table(console: Console, table: Table) -> None:
    """Print all of it."""
    sheet = Sheet(console)
    sheet.line(Text.assemble("sagastorm ablation ", (plain(table.ablation_id), "bold")))
    sheet.line(headline(table))
    sheet.line(made_on(table))
    if lines := outcome_lines(table):
        sheet.heading("Runs that did not pass; without a mitigation that may be just what it was for")
        for line in lines:
            sheet.line(line, indent=2)
    for topology in table.topologies:
        _figures(sheet, table, topology)
        _changes(sheet, table, topology)
    sheet.line()
    for note in notes(table):
        sheet.line(note, indent=2)


def _figures(sheet: Sheet, table: Table, topology: str) -> None:
    sheet.heading(f"{plain(topology)}: figures")
    rows = [figure_cells(row) for row in table.topologies[topology]]
    columns = range(1, len(FIGURE_HEADINGS))
    for part in (columns[:HALF], columns[HALF:]):
        shown = sheet.table("", *(FIGURE_HEADINGS[index] for index in part), left=(0, 1) if 1 in part else (0,))
        for row in rows:
            shown.add_row(*texts([row[0], *(row[index] for index in part)]))
        sheet.show(shown)
        sheet.line()


def _changes(sheet: Sheet, table: Table, topology: str) -> None:
    sheet.heading(f"{plain(topology)}: what got worse")
    shown = sheet.table(*CHANGE_HEADINGS, left=(0, 1, 2))
    for name, mark, *cells in changes(table, topology):
        shown.add_row(Text(name), Text(mark, style=STYLES.get(Mark(mark), "") if mark else ""), *texts(cells))
    sheet.show(shown)
    for line in untold(table, topology):
        sheet.line(line, indent=2)
