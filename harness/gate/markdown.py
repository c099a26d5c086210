"""Findings for a job summary and for a comment of a pull request, under the limits that GitHub sets."""

from __future__ import annotations

from harness.core.verdict import RunVerdict
from harness.gate.model import Finding, GateReport
from harness.gate.wording import WORST_FIRST, headline, passed_rows, runs_told, witness
from harness.report.markdown import escaped

SUMMARY_BYTES = 1 << 20
"""Of a step's summary; GitHub drops what is longer, all of it."""
COMMENT_BYTES = 65_536
"""GitHub counts characters, of which no more fit into so many bytes."""
MARKER = "<!-- sagastorm-gate -->"
"""First line of a comment, by which the next one finds it and takes its place."""
MOST_NAMED = 2_000
"""Characters of the names of all runs, and of all that was left out."""
_REST_BYTES = 200
"""Kept for the sentence on what was cut."""


def render_markdown(report: GateReport, most_bytes: int) -> str:
    """What matters most comes first: what does not fit is cut from the end, and said to be."""
    head = [MARKER, f"## sagastorm: {escaped(headline(report))}", ""]
    end = _end(report)
    left = most_bytes - _REST_BYTES - _size("\n".join([*head, *end]))
    parts = _parts(report)
    shown: list[str] = []
    for number, part in enumerate(parts):
        left -= sum(_size(line) + 1 for line in part)
        if left < 0:
            shown += ["", f"And {len(parts) - number} more, in `gates.json`."]
            break
        shown += part
    return "\n".join([*head, *shown, *end]) + "\n"


def _parts(report: GateReport) -> list[list[str]]:
    """The lines of each finding: what is no pass as an item, the others as rows of one table."""
    items = [_item(finding) for outcome in WORST_FIRST[:2] for finding in report.of(outcome)]
    rows = [[f"| {' | '.join(map(escaped, row))} |"] for row in passed_rows(report)]
    if rows:
        rows[0] = ["", "| passed | of | observed | limit |", "| --- | --- | ---: | --- |", *rows[0]]
    return [*items, *rows]


def _item(finding: Finding) -> list[str]:
    mark = "FAIL" if finding.outcome is RunVerdict.FAIL else "INCONCLUSIVE"
    lines = [f"- **{mark} {escaped(finding.gate.name)}** ({escaped(finding.case.told)}): {escaped(finding.why)}"]
    if found := witness(finding):
        lines.append(f"  - {escaped(found)}")
    return lines


def _end(report: GateReport) -> list[str]:
    lines = ["", f"Gates: {escaped(report.source)}. Runs: {escaped(_bounded(runs_told(report)))}."]
    if report.left_out:
        lines[-1] += f" Left out by name: {escaped(_bounded(', '.join(report.left_out)))}."
    return lines


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_NAMED else f"{text[:MOST_NAMED]}…"


def _size(text: str) -> int:
    return len(text.encode())
