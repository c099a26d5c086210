"""A report for a terminal, 80 columns and wider; plain text where there is no terminal or no color is wanted.

All text from the run goes through :func:`.wording.plain` and into ``Text``, never into markup: a saga id may hold
brackets.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from harness.core.verdict import RunVerdict
from harness.report.backend import backend_lines, backend_name
from harness.report.compare import UNCLEAR, covers
from harness.report.faults import storm_name
from harness.report.mitigations import mitigation_line
from harness.report.model import Report
from harness.report.tables import (
    BLOCK_HEADINGS,
    AnomalyRow,
    Row,
    again,
    anomaly_rows,
    block_rows,
    collateral_lines,
    comparison_rows,
    conclusion,
    fault_rows,
    headlines,
    hop_rows,
    machine_line,
    no_anomaly_line,
    round_lines,
    spread_line,
)
from harness.report.wording import in_units, measured, plain, told

WIDE = 110
"""From here on differences are told in their own unit too."""
MAX_WIDTH = 140
"""Wider lines are harder to read, not easier."""
STYLES = {RunVerdict.PASS: "bold green", RunVerdict.FAIL: "bold red", RunVerdict.INCONCLUSIVE: "bold yellow"}
"""Always beside the word: color alone tells nothing to some readers and to no log."""


def print_report(console: Console, report: Report, page: str | None = None) -> None:
    """Print all of it. ``page`` is where the HTML report lies."""
    sheet = Sheet(console)
    _header(sheet, report)
    _conclusions(sheet, report)
    _reasons(sheet, report)
    _backend(sheet, report)
    _instrument(sheet, report)
    _comparison(sheet, report)
    _blocks(sheet, report)
    _faults(sheet, report)
    _anomalies(sheet, report)
    _footer(sheet, report, page)


class Sheet:
    """A console, and what its abilities make of tables and headings."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = console.no_color or not console.is_terminal
        self.width = min(console.width, MAX_WIDTH)

    def line(self, text: str | Text = "", indent: int = 0) -> None:
        """One paragraph, wrapped."""
        self._show(text if isinstance(text, Text) else Text(text), indent)

    def heading(self, text: str) -> None:
        """A heading with an empty line before it."""
        self.line()
        self.line(Text(text, style="bold"))

    def table(self, *headings: str, left: Sequence[int] = (0,)) -> Table:
        """An empty table: numbers to the right, the columns in ``left`` to the left."""
        table = Table(
            box=None if self._plain else box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 2 if self._plain else 1, 0, 0),  # the box has a column of its own between two of ours
            header_style="dim",
        )
        for index, heading in enumerate(headings):
            table.add_column(Text(plain(heading)), justify="left" if index in left else "right", overflow="fold")
        return table

    def show(self, table: Table) -> None:
        """Print a table, two columns in."""
        self._show(table, indent=2)

    def _show(self, what: Text | Table, indent: int) -> None:
        """Print without the spaces with which rich fills lines up: logs and golden files keep what they are given."""
        options = self._console.options.update(width=self.width - indent, highlight=False)
        for line in self._console.render_lines(what, options, pad=False):
            while line and not line[-1].text.rstrip():
                line.pop()
            if line:
                line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
                line.insert(0, Segment(" " * indent))
            self._console.print(Segments([*line, Segment.line()]), end="", soft_wrap=True)


def _header(sheet: Sheet, report: Report) -> None:
    run, settings = report.run, report.run.settings
    verdict = report.judgement.verdict
    title = Text("sagastorm run ")
    title.append(plain(run.run_id), style="bold")
    title.append("   ")
    title.append(verdict.value.upper(), style=STYLES[verdict])
    sheet.line(title)
    sheet.line(
        plain(
            f"saga {settings.saga}, storm {storm_name(run)}, seed {settings.seed}, blocks {settings.interleave} of "
            f"{settings.duration_s:g} s at {settings.rate_per_s:g}/s ({settings.arrivals})"
        )
    )
    commit = f", commit {run.commit[:12]}" if run.commit else ""
    sheet.line(plain(f"backend {backend_name(run)}{commit}, started {run.started_at}"))
    sheet.line(plain(f"mitigations {mitigation_line(report.data)}"))


def _conclusions(sheet: Sheet, report: Report) -> None:
    for comparison in report.comparisons:
        sheet.heading(plain(f"{comparison.other} against {comparison.base}"))
        for headline in headlines(comparison):
            sheet.line(plain(conclusion(headline)), indent=2)


def _reasons(sheet: Sheet, report: Report) -> None:
    if report.judgement.reasons:
        sheet.heading(f"Why the verdict is {report.judgement.verdict.value}")
        for reason in report.judgement.reasons:
            sheet.line(plain(reason), indent=2)
    notes = [*report.figure_notes, *report.judgement.remarks]
    if notes:
        sheet.heading("Notes")
        for note in notes:
            sheet.line(plain(note), indent=2)


def _backend(sheet: Sheet, report: Report) -> None:
    lines = backend_lines(report.run)
    if lines:
        sheet.heading(plain(f"Backend {backend_name(report.run)}"))
    for line in lines:
        sheet.line(plain(line), indent=2)


def _instrument(sheet: Sheet, report: Report) -> None:
    sheet.heading("Instrument: the backend by itself, before the load")
    instrument = report.run.instrument
    if instrument is None:
        sheet.line("not measured", indent=2)
        return
    table = sheet.table("hop", "p50", "p95", "samples")
    for row in hop_rows(report):
        table.add_row(*texts(row))
    sheet.show(table)
    sheet.line(f"CPU of our process for one bare AWS call: {measured(instrument.call_cpu_ms, 'ms')}", indent=2)


def _comparison(sheet: Sheet, report: Report) -> None:
    sheet.heading("Comparison")
    wide = sheet.width >= WIDE
    # A name for each difference is needed only where there are several; the heading above names the one.
    differences = [
        "difference" if len(report.comparisons) == 1 else f"{comparison.other} / {comparison.base}"
        for comparison in report.comparisons
    ]
    units = [f"{name} in units" if len(differences) > 1 else "in units" for name in differences] if wide else []
    table = sheet.table("", *report.topologies, *differences, *units)
    for row in comparison_rows(report):
        if row.starts_group:
            table.add_row()
        table.add_row(Text(row.label), *texts(row.cells), *_difference_cells(row, wide=wide))
    sheet.show(table)
    if report.comparisons:
        sheet.line()
        sheet.line(f"Differences: {covers(report.comparisons)} ~: {UNCLEAR}. -: not measured.", indent=2)


def _difference_cells(row: Row, *, wide: bool) -> list[Text]:
    cells = [
        Text("" if difference is None else told(difference), style="bold" if difference and difference.clear else "")
        for difference in row.differences
    ]
    return cells + [Text("" if d is None else in_units(d)) for d in row.differences] if wide else cells


def _blocks(sheet: Sheet, report: Report) -> None:
    sheet.heading("By block")
    table = sheet.table(*BLOCK_HEADINGS, left=(0, 1, 2))
    for row in block_rows(report):
        table.add_row(*texts(row))
    sheet.show(table)
    for line in [machine_line(report), spread_line(report), *round_lines(report)]:
        if line:
            sheet.line(plain(line), indent=2)


def _faults(sheet: Sheet, report: Report) -> None:
    sheet.heading("Faults: strikes, and sagas struck")
    rows = fault_rows(report)
    if not rows:
        sheet.line("The storm has no faults.", indent=2)
        return
    table = sheet.table("fault", *report.topologies, "same sagas", left=(0, len(report.topologies) + 1))
    for fault, fired, common in rows:
        table.add_row(*texts([fault, *fired, common]))
    sheet.show(table)
    for line in collateral_lines(report):
        sheet.line(plain(line), indent=2)


def _anomalies(sheet: Sheet, report: Report) -> None:
    sheet.heading("Anomalies")
    rows = anomaly_rows(report)
    if not rows:
        sheet.line(no_anomaly_line(report), indent=2)
    for row in rows:
        _anomaly(sheet, row)


def _anomaly(sheet: Sheet, row: AnomalyRow) -> None:
    title = Text(f"{row.count} x ")
    title.append(row.name, style="bold red")
    title.append(f"  {row.where}")
    sheet.line(title, indent=2)
    sheet.line(row.witness, indent=4)


def _footer(sheet: Sheet, report: Report, page: str | None) -> None:
    sheet.heading("Run it again")
    for command in again(report):
        sheet.line(plain(command), indent=2)
    if page is not None:
        sheet.line()
        sheet.line(plain(f"Report: {page}"))


def texts(cells: Sequence[str]) -> list[Text]:
    return [Text(plain(cell)) for cell in cells]
