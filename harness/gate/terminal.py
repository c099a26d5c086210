"""Findings in the terminal: what is no pass in full, what passed in a line each."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.core.verdict import RunVerdict
from harness.gate.model import Finding, GateReport
from harness.gate.wording import WORST_FIRST, headline, passed_rows, runs_told, witness
from harness.report.wording import plain

STYLES = {RunVerdict.PASS: "green", RunVerdict.FAIL: "bold red", RunVerdict.INCONCLUSIVE: "yellow"}


def print_gates(console: Console, report: GateReport) -> None:
    """The verdict first."""
    console.print(Text(f"sagastorm gate   {plain(headline(report))}", STYLES[report.verdict]))
    console.print(Text(plain(f"gates {report.source}; runs {runs_told(report)}")))
    for outcome in WORST_FIRST[:2]:
        for finding in report.of(outcome):
            _print_finding(console, finding)
    if rows := passed_rows(report):
        console.print()
        console.print(_table(rows))
    if report.left_out:
        console.print()
        console.print(Text(plain(f"Left out by name: {', '.join(report.left_out)}")))


def _print_finding(console: Console, finding: Finding) -> None:
    console.print()
    title = f"{finding.outcome.value.upper()}  {finding.gate.name}  ({finding.case.told})"
    console.print(Text(plain(title), STYLES[finding.outcome]))
    for line in (finding.why, witness(finding)):
        if line:
            console.print(Padding(Text(plain(line)), (0, 0, 0, 2)))


def _table(rows: list[tuple[str, str, str, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("passed", "of"):
        table.add_column(column)
    table.add_column("observed", justify="right")
    table.add_column("limit")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table
