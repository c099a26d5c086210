"""``make bench-storms``: every shipped storm once, with all mitigations, in both topologies.

One line a topology: what the run came to, what the audit found, and how long after the storm it was itself again. Storms
can be named (``python -m tests.bench.storms poison crashes``); the runs stay in ``runs/``, with their reports.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos.storm import shipped
from harness.report.model import Report
from harness.report.wording import recovered
from harness.report.write import read_report, write_files
from harness.run.locust import locust_load
from harness.run.progress import PlainTeller
from harness.run.run import execute, prepare
from harness.settings import RunSettings
from tests.bench.overhead import verdict

RATE_PER_S = 10.0
"""Low enough that a storm finds a system with room to spare, on two cores."""
DURATION_S = 30.0
"""The last quarter of it has no storm: long enough to see three seconds in a row that are as before."""
RUNS = Path("runs")
COLUMNS = ("storm", "topology", "anomalies", "unresolved", "dead letters", "recovered after", "verdict of the run")


def weather(storm: str, runs: Path) -> Report:
    """One run."""
    settings = RunSettings(storm=storm, interleave="AB", rate_per_s=RATE_PER_S, duration_s=DURATION_S)
    quiet = PlainTeller(Console(quiet=True))
    run = prepare(settings, runs, quiet, "make bench-storms")
    uvloop.run(execute(run, locust_load))
    if run.failure:
        raise run.failure
    report = read_report(run.folder)
    write_files(run.folder, report)
    return report


def row(report: Report, topology: str) -> list[str]:
    """One line of the table."""
    figures = report.summary.topologies[topology]
    anomalies = ", ".join(f"{name} {count}" for name, count in figures.anomalies.items()) or "none"
    counts = ("-" if count is None else str(count) for count in (figures.unresolved, figures.dead_letters))
    back = recovered(report.recovery[topology]["recovery_s"])
    return [report.summary.storm, topology, anomalies, *counts, back, verdict(report.judgement)]


def main() -> None:
    """Print a line for each run as it begins, and the table at the end."""
    console = Console(width=max(160, Console().width))
    table = Table(*COLUMNS, box=None)
    for storm in sys.argv[1:] or shipped():
        console.print(f"{storm} ...", highlight=False)
        report = weather(storm, RUNS)
        for topology in report.summary.topologies:
            table.add_row(*map(Text, row(report, topology)))
    console.print(table)


if __name__ == "__main__":
    main()
