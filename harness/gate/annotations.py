"""What GitHub Actions shows beside a run: annotations on standard output, and the step's summary.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.core.verdict import RunVerdict
from harness.gate.markdown import SUMMARY_BYTES, render_markdown
from harness.gate.model import Finding, GateReport
from harness.gate.wording import witness

MOST = 10
"""Of each kind that GitHub keeps of one step."""
_KINDS = {RunVerdict.FAIL: "error", RunVerdict.INCONCLUSIVE: "warning"}


def annotated(report: GateReport) -> list[str]:
    """A line for each finding that is no pass; the last of too many says how many are left."""
    lines: list[str] = []
    for outcome, kind in _KINDS.items():
        findings = report.of(outcome)
        shown = findings if len(findings) <= MOST else findings[: MOST - 1]
        lines += [_line(kind, finding) for finding in shown]
        if rest := len(findings) - len(shown):
            lines.append(f"::{kind} title=sagastorm::And {rest} more, in gates.json.")
    return lines


@contextmanager
def no_commands(environment: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, Actions takes nothing that is printed for a command: a saga's id, say, that begins with two colons."""
    if environment.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}")
    try:
        yield
    finally:
        print(f"::{token}::")


def tell_github(report: GateReport, environment: Mapping[str, str]) -> list[str]:
    """The lines to print, none outside of Actions; adds to the step's summary where there is one."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    if path := environment.get("GITHUB_STEP_SUMMARY"):
        summary = Path(path)
        left = SUMMARY_BYTES - (summary.stat().st_size if summary.exists() else 0)
        with summary.open("a", encoding="utf-8") as file:
            file.write(render_markdown(report, left))
    return annotated(report)


def _line(kind: str, finding: Finding) -> str:
    title = f"{finding.outcome.value}: {finding.gate.name} ({finding.case.told})"
    found = witness(finding)
    message = f"{finding.why}\n{found}" if found else finding.why
    return f"::{kind} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
