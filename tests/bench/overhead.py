"""``make bench-overhead``: what sagastorm costs, and the highest rate that each topology sustains on this machine.

For each topology the arrival rate climbs, without a storm, until the p99 of the completion time passes 1 s or
something is dropped, twice in a row: a shared machine has bad moments. Of two tries the better one is shown. Every figure of a row comes from that row's own run, the CPU of a bare AWS call included, which is
measured just before its load. The ratio is CPU of all our processes per saga ÷ (AWS calls per saga × CPU of one bare
call): 1.0 would mean that everything but the SDK is free.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

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
    "topology", "offered/s", "ended/s", "dropped", "p50 ms", "p99 ms", "calls/saga", "CPU ms/saga", "bare call ms", "ratio",
)  # fmt: skip


def measure(topology: str, rate_per_s: float, runs: Path) -> tuple[TopologySummary, float]:
    """One run; its figures, and the CPU of a bare call in milliseconds."""
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
    assert instrument is not None
    return report.summary.topologies[topology], instrument.call_cpu_ms


def row(topology: str, rate_per_s: float, found: TopologySummary, call_cpu_ms: float) -> list[str]:
    """One line of the table."""
    calls, cpu_ms = found.aws_calls_per_saga, found.cpu_ms_per_saga
    ratio = cpu_ms / (calls * call_cpu_ms) if calls and cpu_ms else None

    def text(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:,.{digits}f}"

    return [
        topology, f"{rate_per_s:g}", text(found.throughput_per_s, 1), text(found.dropped, 0),
        text(found.completion_ms.p50, 0), text(found.completion_ms.p99, 0), text(calls, 1), text(cpu_ms, 1),
        text(call_cpu_ms, 2), text(ratio, 2),
    ]  # fmt: skip


def sustained(found: TopologySummary) -> bool:
    """Nothing dropped, nothing unresolved, p99 under the limit."""
    p99_ms = found.completion_ms.p99
    return not found.dropped and not found.unresolved and p99_ms is not None and p99_ms < P99_LIMIT_MS


def main() -> None:
    """Print a line for each run as it ends, then the highest rates."""
    console = Console(width=max(120, Console().width))
    table = Table(*COLUMNS, box=None)
    highest: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="sagastorm-overhead-") as folder:
        for topology in sys.argv[1:] or ("choreographed", "orchestrated"):
            for rate_per_s in RATES_PER_S:
                console.print(f"{topology} at {rate_per_s}/s ...", highlight=False)
                found, call_cpu_ms = measure(topology, rate_per_s, Path(folder))
                if not sustained(found):
                    again, again_call_cpu_ms = measure(topology, rate_per_s, Path(folder))
                    if (again.completion_ms.p99 or math.inf) < (found.completion_ms.p99 or math.inf):
                        found, call_cpu_ms = again, again_call_cpu_ms
                table.add_row(*row(topology, rate_per_s, found, call_cpu_ms))
                if not sustained(found):
                    break
                highest[topology] = rate_per_s
    console.print(table)
    for topology, rate_per_s in highest.items():
        console.print(f"{topology}: sustains {rate_per_s}/s with p99 under {P99_LIMIT_MS / 1000:g} s", highlight=False)


if __name__ == "__main__":
    main()
