"""The comparison of saved runs for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.core.verdict import RunVerdict
from harness.report.backend import backend_name
from harness.report.compare import Comparison, intervals
from harness.report.compare_runs import RunComparison
from harness.report.faults import storm_name
from harness.report.tables import Row, instrument_rows, metric_rows
from harness.report.terminal import STYLES, Sheet, texts
from harness.report.wording import in_units, plain, with_interval

LABEL, FIGURE, DIFFERENCE, UNITS = 24, 15, 25, 30
"""Columns that a row's name, a run's figure and a difference take at most."""
NOT_ALTERNATING = (
    "These runs were made at different times and did not take turns: what else the machine did in between is in every "
    "difference and in no interval. So none is called clear; to tell two versions apart, let them take turns in one job."
)


def print_comparison(console: Console, runs: RunComparison) -> None:
    """Print all of it."""
    sheet = Sheet(console)
    _header(sheet, runs)
    for topology in runs.topologies:
        _topology(sheet, runs, topology)
    _instrument(sheet, runs)
    _limits(sheet, runs)


def _header(sheet: Sheet, runs: RunComparison) -> None:
    base = runs.reports[0].run
    settings = base.settings
    sheet.line(Text(f"sagastorm compare: {len(runs.reports)} runs, A is the base", style="bold"))
    sheet.line(
        plain(
            f"saga {settings.saga}, storm {storm_name(base)}, seed {settings.seed}, blocks {settings.interleave} of "
            f"{settings.duration_s:g} s at {settings.rate_per_s:g}/s ({settings.arrivals})"
        )
    )
    for letter, report in zip(runs.letters, runs.reports, strict=True):
        run, verdict = report.run, report.judgement.verdict
        line = Text(f"{letter}  {plain(run.run_id)}  ")
        line.append(verdict.value.upper(), style=STYLES[verdict])
        commit = f", commit {run.commit[:12]}" if run.commit else ""
        line.append(plain(f"  {backend_name(run)}{commit}, started {run.started_at}"))
        sheet.line(line, indent=2)
    _versions(sheet, runs)
    _differing(sheet, runs)
    unsure = [
        (letter, report)
        for letter, report in zip(runs.letters, runs.reports, strict=True)
        if report.judgement.verdict is not RunVerdict.PASS
    ]
    if unsure:
        sheet.heading("Not every run passed, so its figures may mean something else")
    for letter, report in unsure:
        first, *more = report.judgement.reasons
        further = f" (and {len(more)} more: sagastorm report {report.run.run_id})" if more else ""
        sheet.line(plain(f"{letter} is {report.judgement.verdict.value}: {first}{further}"), indent=2)


def _differing(sheet: Sheet, runs: RunComparison) -> None:
    if runs.differing:
        sheet.heading("They differ in more than code and time, as was allowed")
    for each in runs.differing:
        told = "; ".join(f"{letter} {value}" for letter, value in zip(runs.letters, each.values, strict=True))
        sheet.line(plain(f"{each.field}: {told}"), indent=2)
    if runs.differs("backend"):
        sheet.line(
            "Milliseconds are the backends' own: a difference across backends says which emulator is faster, and "
            "nothing of the saga.",
            indent=2,
        )


def _versions(sheet: Sheet, runs: RunComparison) -> None:
    packages = dict.fromkeys(name for report in runs.reports for name in report.run.versions)
    for name in packages:
        versions = [report.run.versions.get(name, "none") for report in runs.reports]
        if len(set(versions)) > 1:
            told = ", ".join(f"{letter} {version}" for letter, version in zip(runs.letters, versions, strict=True))
            sheet.line(plain(f"version of {name}: {told}"), indent=2)


def _topology(sheet: Sheet, runs: RunComparison, topology: str) -> None:
    comparisons = runs.of[topology]
    rows = metric_rows([(report, topology) for report in runs.reports], comparisons)
    sheet.heading(plain(topology))
    together = LABEL + FIGURE * len(runs.reports) + DIFFERENCE * len(comparisons) <= sheet.width
    _figures(sheet, runs, rows, comparisons if together else ())
    if not together:
        beside = max(1, (sheet.width - LABEL) // DIFFERENCE)
        for start in range(0, len(comparisons), beside):
            sheet.line()
            _differences(sheet, rows, comparisons, range(start, min(start + beside, len(comparisons))))
    for comparison in comparisons:
        for line in _unsaid(comparison, runs, topology):
            sheet.line(plain(line), indent=2)


def _figures(sheet: Sheet, runs: RunComparison, rows: list[Row], comparisons: tuple[Comparison, ...]) -> None:
    used = LABEL + FIGURE * len(runs.reports) + DIFFERENCE * len(comparisons)
    wide = bool(comparisons) and used + UNITS * len(comparisons) <= sheet.width
    names = [f"{each.other} / {each.base}" for each in comparisons]
    table = sheet.table("", *runs.letters, *names, *(f"{each.other} - {each.base}" for each in comparisons if wide))
    for row in rows:
        if row.starts_group:
            table.add_row()
        told = [each for each in row.differences if comparisons]
        cells = ["" if each is None else with_interval(each) for each in told]
        cells += ["" if each is None else in_units(each) for each in told if wide]
        table.add_row(Text(row.label), *texts(row.cells), *texts(cells))
    sheet.show(table)


def _differences(sheet: Sheet, rows: list[Row], comparisons: tuple[Comparison, ...], which: range) -> None:
    table = sheet.table("", *(f"{comparisons[n].other} / {comparisons[n].base}" for n in which))
    for row in rows:
        told = [row.differences[n] for n in which]
        if any(told):
            table.add_row(Text(row.label), *texts([with_interval(each) if each else "" for each in told]))
    sheet.show(table)


def _unsaid(comparison: Comparison, runs: RunComparison, topology: str) -> list[str]:
    """Why there is no difference, or none of some rounds."""
    title = f"{comparison.other} / {comparison.base}"
    lines = []
    for why in dict.fromkeys(each.why for each in comparison.differences if each.why):
        names = ", ".join(each.metric for each in comparison.differences if each.why == why)
        lines.append(f"{title}: {'nothing' if not comparison.rounds else names} compared: {why}.")
    base, other = (
        runs.reports[runs.letters.index(side)].data.complete(topology) for side in (comparison.base, comparison.other)
    )
    most = max(len(base), len(other))
    if comparison.rounds and len(comparison.rounds) < most:
        lines.append(
            f"{title}: over the {len(comparison.rounds)} of {most} rounds that both completed with the same load; the "
            "figures beside are over all."
        )
    return lines


def _instrument(sheet: Sheet, runs: RunComparison) -> None:
    sheet.heading("Instrument: each run's backend by itself, before its load, p50")
    table = sheet.table("", *runs.letters)
    for row in instrument_rows(runs.reports):
        table.add_row(*texts(row))
    sheet.show(table)


def _limits(sheet: Sheet, runs: RunComparison) -> None:
    sheet.line()
    told = [each for comparisons in runs.of.values() for each in comparisons if each.rounds]
    if told:
        sheet.line(
            f"Differences: {intervals(told)} It covers which seconds of the load and storm were met, and nothing that "
            "differs between blocks, machines or seeds.",
            indent=2,
        )
    sheet.line(f"{NOT_ALTERNATING} -: not measured.", indent=2)
