"""``summary.md``: a report that fits into a pull request's comment or a job summary."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.backend import backend_lines, backend_name
from harness.report.compare import UNCLEAR, covers
from harness.report.faults import storm_name
from harness.report.mitigations import mitigation_line
from harness.report.model import Report
from harness.report.tables import (
    again,
    anomaly_rows,
    collateral_lines,
    comparison_rows,
    conclusion,
    fault_rows,
    headlines,
    no_anomaly_line,
)
from harness.report.wording import plain, told

_SHOWN = {"&": "&amp;", "<": "&lt;", "@": "&#64;", **{char: f"\\{char}" for char in "\\`*_[]|#~"}}


def render_markdown(report: Report) -> str:
    """The whole file."""
    run = report.run
    subject = f"{escaped(run.settings.saga)} under {escaped(storm_name(run))}"
    lines = [
        f"# sagastorm: {subject}: {report.judgement.verdict.value}",
        "",
        (
            f"Run {escaped(run.run_id)}, seed {run.settings.seed}, backend {escaped(backend_name(run))}, "
            f"mitigations {escaped(mitigation_line(report.data))}."
        ),
        "",
    ]
    if report.judgement.reasons:
        lines += ["## Why", "", *(f"- {escaped(reason)}" for reason in report.judgement.reasons), ""]
    for comparison in report.comparisons:
        lines += [f"## {escaped(comparison.other)} against {escaped(comparison.base)}", ""]
        lines += [f"- {escaped(conclusion(headline))}" for headline in headlines(comparison)] + [""]
    lines += _comparison(report)
    lines += _faults(report)
    lines += _anomalies(report)
    if told := backend_lines(run):
        lines += ["## Backend", "", *(f"- {escaped(line)}" for line in told), ""]
    notes = [*report.figure_notes, *report.judgement.remarks]
    if notes:
        lines += ["## Notes", "", *(f"- {escaped(note)}" for note in notes), ""]
    lines += ["## Run it again", "", *(line for command in again(report) for line in _code(command))]
    return "\n".join(lines) + "\n"


def _comparison(report: Report) -> list[str]:
    several = len(report.comparisons) > 1
    differences = [f"{each.other} / {each.base}" if several else "difference" for each in report.comparisons]
    rows = [
        (
            row.label.strip(),
            *row.cells,
            *("" if difference is None else told(difference) for difference in row.differences),
        )
        for row in comparison_rows(report)
    ]
    table = _table(("", *report.topologies, *differences), rows)
    return [*table, "", f"{covers(report.comparisons)} `~`: {UNCLEAR}. `-`: not measured.", ""]


def _faults(report: Report) -> list[str]:
    rows = [(fault, *fired, common) for fault, fired, common in fault_rows(report)]
    if not rows:
        return []
    more = [f"- {escaped(line)}" for line in collateral_lines(report)]
    table = _table(("fault", *report.topologies, "same sagas"), rows)
    return ["## Faults", "", *table, "", *([*more, ""] if more else [])]


def _anomalies(report: Report) -> list[str]:
    found = [
        f"- {row.count} x **{escaped(row.name)}** ({escaped(row.where)}): {escaped(row.witness)}"
        for row in anomaly_rows(report)
    ]
    return ["## Anomalies", "", *(found or [no_anomaly_line(report)]), ""]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    marks = ["---", *("---:" for _ in headings[1:])]
    return [_line(headings), _line(marks), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if set(cell) <= set('-:') else escaped(cell) for cell in cells)} |"


def _code(text: str) -> list[str]:
    # An indented block ends only with its indentation: no fence in the text could close it.
    return [f"    {plain(text)}"]


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: a saga id could hold markup, a mention, or end a table's cell."""
    return "".join(_SHOWN.get(char, char) for char in plain(text))
