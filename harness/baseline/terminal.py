"""Baselines in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.baseline.compare import FALSE_ALARMS, Change, Compared, Row
from harness.baseline.spread import MIN_RUNS
from harness.baseline.store import Baseline
from harness.report.terminal import STYLES, Sheet, texts
from harness.report.wording import NOT_MEASURED, measured, plain

LIMITS = (
    "Expected: where one more run of the baseline would lie, but for one in "
    f"{1 / FALSE_ALARMS:.0f} times over all figures together. It knows what differed between the runs that were saved, and "
    "no other hour: to tell two builds apart, let them take turns in one job."
)


def print_compared(console: Console, compared: Compared) -> None:
    """A run beside what it was held against."""
    sheet = Sheet(console)
    report, baseline = compared.report, compared.baseline
    verdict = report.judgement.verdict
    title = Text(f"sagastorm baseline compare: {plain(report.run.run_id)} ", style="bold")
    title.append(verdict.value.upper(), style=STYLES[verdict])
    sheet.line(title)
    sheet.line(plain(f"against {baseline.name}: {_runs(baseline)}"))
    for reason in report.judgement.reasons:
        sheet.line(plain(reason), indent=2)
    if compared.advisory:
        sheet.heading("Advisory only: the baseline was made on something else")
        for name, (here, there) in compared.unlike.items():
            sheet.line(plain(f"{name}: here {here}; there {there}"), indent=2)
    for topology in dict.fromkeys(row.topology for row in compared.rows):
        sheet.heading(plain(topology))
        _table(sheet, compared, [row for row in compared.rows if row.topology == topology])
    sheet.line()
    if any(row.interval for row in compared.rows) and not compared.advisory:
        sheet.line(LIMITS)
    for why in dict.fromkeys(row.why for row in compared.rows if row.why and not compared.advisory):
        names = [f"{row.topology} {row.metric.path}" for row in compared.rows if row.why == why]
        which = "every figure" if len(names) == len(compared.rows) else ", ".join(names)
        sheet.line(plain(f"Not known of {which}: {why}."))


def print_baselines(console: Console, baselines: Sequence[Baseline]) -> None:
    """One paragraph each."""
    sheet = Sheet(console)
    for each in baselines:
        settings = each.settings
        few = "" if len(each.runs) >= MIN_RUNS else f"; {MIN_RUNS} are needed to know their spread"
        sheet.line(Text(plain(f"{each.name}: {settings['saga']}, storm {settings['storm']}"), style="bold"))
        sheet.line(plain(f"{_runs(each)}{few}"), indent=2)
        sheet.line(plain(f"blocks {settings['blocks']}, {settings['rate']}/s, seed {settings['seed']}"), indent=2)
        sheet.line(plain(", ".join(each.machine.values())), indent=2)
        sheet.line(plain(each.file), indent=2)


def _runs(baseline: Baseline) -> str:
    days = list(dict.fromkeys(run.started_at[:10] for run in baseline.runs))
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{len(baseline.runs)} run{'s' * (len(baseline.runs) != 1)} of {when}"


def _table(sheet: Sheet, compared: Compared, rows: Sequence[Row]) -> None:
    headings = ("", "this run", "median", "runs", "ratio", *(() if compared.advisory else ("expected", "")))
    table = sheet.table(*headings, left=(0, 6))
    for row in rows:
        unit = row.metric.unit
        cells = [measured(row.observed, unit), measured(row.center, unit), str(row.n), _ratio(row)]
        if not compared.advisory:
            told = "" if row.change is Change.NONE else row.change.value.upper()
            cells += [_expected(row), told]
        table.add_row(*texts([row.metric.path, *cells]))
    sheet.show(table)


def _ratio(row: Row) -> str:
    return NOT_MEASURED if row.ratio is None else f"{row.ratio:.2f}x"


def _expected(row: Row) -> str:
    if row.interval is None:
        return NOT_MEASURED
    unit = row.metric.unit
    low = measured(max(0.0, row.interval.low), unit).removesuffix(unit).rstrip()  # nothing of this kind is below 0
    return f"{low} to {measured(row.interval.high, unit)}"
