"""``make bench-overhead``: what sagastorm costs, and the highest rate that each topology sustains on this machine.

For each topology the arrival rate climbs, without a storm, until the p99 of the completion time passes 1 s or
something is dropped or rejected, twice in a row: a shared machine has bad moments. Of two tries the better one is
shown. Every figure of a row comes from that row's own run, the CPU of a bare AWS call included, which is measured just
before its load. The ratio is CPU of all our processes per saga ÷ (AWS calls per saga × CPU of one bare call): 1.0 would
mean that everything but the SDK is free. The verdict is that of the row's run: figures of one that did not pass are
there to see where a topology gives way, not to be quoted.
"""

from __future__ import annotations

import math
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.judge import Judgement
from harness.report.summary import TopologySummary
from harness.report.write import read_report, write_files
from harness.run.locust import locust_load
from harness.run.progress import PlainTeller
from harness.run.run import execute, prepare
from harness.settings import RunSettings

RATES_PER_S = (25, 50, 75, 100, 125, 150, 200)
DURATION_S = 12.0
P99_LIMIT_MS = 1_000.0
COLUMNS = (
    "topology", "offered/s", "ended/s", "dropped", "rejected", "p50 ms", "p99 ms", "calls/saga", "CPU ms/saga",
    "bare call ms", "ratio", "verdict",
)  # fmt: skip
REASON_WIDTH = 60
"""Most characters of a reason that a row has room for."""


@dataclass(frozen=True)
class Measured:
    """One run of one topology."""

    figures: TopologySummary
    rejected: int
    call_cpu_ms: float
    """CPU of a bare AWS call."""
    verdict: str
    """The word, and the beginning of the first reason where it did not pass."""

    @property
    def p99_ms(self) -> float:
        """Of the completion time; infinite where it is not known."""
        p99_ms = self.figures.completion_ms.p99
        return math.inf if p99_ms is None else p99_ms

    @property
    def sustained(self) -> bool:
        """Nothing dropped, rejected or unresolved, p99 under the limit."""
        lost = self.figures.dropped or self.rejected or self.figures.unresolved
        return not lost and self.p99_ms < P99_LIMIT_MS


def measure(topology: str, rate_per_s: float, runs: Path) -> Measured:
    """One run."""
    settings = RunSettings(
        topologies=(topology,), interleave="A", storm="calm", rate_per_s=rate_per_s, duration_s=DURATION_S
    )
    quiet = PlainTeller(Console(quiet=True))
    run = prepare(settings, runs, quiet, "make bench-overhead")
    uvloop.run(execute(run, locust_load))
    if run.failure:
        raise run.failure
    report = read_report(run.folder)
    write_files(run.folder, report)
    instrument = run.file.instrument
    counts = report.outcomes[topology]
    assert instrument is not None
    return Measured(
        report.topologies[topology], counts.rejected if counts else 0, instrument.call_cpu_ms, verdict(report.judgement)
    )


def verdict(judgement: Judgement) -> str:
    """``pass``, or ``inconclusive: the machine's 2 cores were ...``."""
    first = textwrap.shorten(next(iter(judgement.reasons), ""), REASON_WIDTH, placeholder=" ...")
    return f"{judgement.verdict.value}: {first}" if first else judgement.verdict.value


def row(topology: str, rate_per_s: float, found: Measured) -> list[str]:
    """One line of the table."""
    figures, call_cpu_ms = found.figures, found.call_cpu_ms
    calls, cpu_ms = figures.aws_calls_per_saga, figures.cpu_ms_per_saga
    ratio = cpu_ms / (calls * call_cpu_ms) if calls and cpu_ms else None

    def text(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:,.{digits}f}"

    return [
        topology, f"{rate_per_s:g}", text(figures.throughput_per_s, 1), text(figures.dropped, 0),
        text(found.rejected, 0), text(figures.completion_ms.p50, 0), text(figures.completion_ms.p99, 0),
        text(calls, 1), text(cpu_ms, 1), text(call_cpu_ms, 2), text(ratio, 2), found.verdict,
    ]  # fmt: skip


def main() -> None:
    """Print a line for each run as it ends, then the highest rates."""
    console = Console(width=max(200, Console().width))
    table = Table(*COLUMNS, box=None)
    highest: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="sagastorm-overhead-") as folder:
        for topology in sys.argv[1:] or ("choreographed", "orchestrated"):
            for rate_per_s in RATES_PER_S:
                console.print(f"{topology} at {rate_per_s}/s ...", highlight=False)
                found = measure(topology, rate_per_s, Path(folder))
                if not found.sustained:
                    again = measure(topology, rate_per_s, Path(folder))
                    # One that turned sagas away may well have the shorter p99.
                    found = max(again, found, key=lambda each: (each.sustained, -each.p99_ms))
                table.add_row(*map(Text, row(topology, rate_per_s, found)))
                if not found.sustained:
                    break
                highest[topology] = rate_per_s
    console.print(table)
    for topology, highest_per_s in highest.items():
        console.print(
            f"{topology}: sustains {highest_per_s}/s with p99 under {P99_LIMIT_MS / 1000:g} s", highlight=False
        )


if __name__ == "__main__":
    main()
