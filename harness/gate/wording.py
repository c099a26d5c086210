"""How a finding is told, the same in every output."""

from __future__ import annotations

from collections import Counter

from harness.core.verdict import RunVerdict
from harness.gate.expression import told, told_value
from harness.gate.model import Finding, GateReport, Tier

WORST_FIRST = (RunVerdict.FAIL, RunVerdict.INCONCLUSIVE, RunVerdict.PASS)


def headline(report: GateReport) -> str:
    """``FAIL: 2 of 41 failed, 1 is inconclusive (21 gates, 2 cases)``."""
    counts = Counter(finding.outcome for finding in report.findings)
    failed, undecided = counts[RunVerdict.FAIL], counts[RunVerdict.INCONCLUSIVE]
    asked = len({finding.gate for finding in report.findings}), len({finding.case for finding in report.findings})
    of_what = ", ".join(
        f"{count} {word}{'s' * (count != 1)}" for count, word in zip(asked, ("gate", "case"), strict=True)
    )
    total = len(report.findings)
    parts = [f"{failed} of {total} failed"] if failed else []
    if undecided:
        parts.append(f"{undecided}{'' if failed else f' of {total}'} {'is' if undecided == 1 else 'are'} inconclusive")
    return f"{report.verdict.value.upper()}: {', '.join(parts) or f'{total} of {total} passed'} ({of_what})"


def passed_rows(report: GateReport) -> list[tuple[str, str, str, str]]:
    """(gate, case, observed, limit) of what passed; the invariants of a case in one row, for nothing was observed."""
    passed = report.of(RunVerdict.PASS)
    rows: list[tuple[str, str, str, str]] = []
    for case in dict.fromkeys(finding.case for finding in passed):
        of_case = [finding for finding in passed if finding.case == case]
        held = sum(finding.gate.tier is Tier.INVARIANT for finding in of_case)
        if held:
            rows.append((f"{held} invariant{'s' * (held != 1)}", case.told, "held", ""))
        rows += [
            (finding.gate.name, case.told, observed(finding), limit(finding))
            for finding in of_case
            if finding.gate.tier is not Tier.INVARIANT
        ]
    return rows


def runs_told(report: GateReport) -> str:
    """Which runs were judged, of which commits."""
    told_runs = _runs([run.run_id for run in report.runs], {run.commit for run in report.runs})
    if not report.base:
        return told_runs
    return f"{told_runs}; base: {_runs([run.run_id for run in report.base], {run.commit for run in report.base})}"


def _runs(ids: list[str], commits: set[str | None]) -> str:
    named = sorted(commit[:12] for commit in commits if commit)
    of = f" (commit {', '.join(named)})" if named else ""
    return ", ".join(ids) + of


def observed(finding: Finding) -> str:
    """What was observed, with its interval where it has one."""
    value = told_value(finding.gate, finding.observed)
    if finding.interval is None:
        return value
    bounds = (told_value(finding.gate, bound) for bound in (finding.interval.low, finding.interval.high))
    return f"{value} ({' to '.join(bounds)})"


def limit(finding: Finding) -> str:
    """What was asked of it."""
    gate = finding.gate
    if gate.tier is Tier.INVARIANT:
        return "none"
    against = f" against {gate.against}" if gate.against else ""
    window = f", {gate.window} the storm" if gate.window else ""
    return f"{told(gate)}{against}{window}"


def witness(finding: Finding) -> str | None:
    """The saga to look at, and where."""
    found = finding.witness
    if found is None:
        return None
    saga = f"saga {found.saga_id}" if found.saga_id else "no saga by itself"
    return f"{saga} (run {found.run_id}, block {found.block + 1}, {found.topology}): {found.says}"


def facts(finding: Finding) -> list[tuple[str, str]]:
    """All that is known of a finding, by name."""
    gate = finding.gate
    interval = finding.interval
    bounds = None if interval is None else [told_value(gate, each) for each in (interval.low, interval.high)]
    known = (
        ("tier", gate.tier.value),
        ("metric", gate.metric),
        ("observed", told_value(gate, finding.observed)),
        ("limit", limit(finding)),
        ("interval", " to ".join(bounds) if bounds else None),
        ("samples", None if finding.samples is None else str(finding.samples)),
        ("pairs", None if finding.pairs is None else str(finding.pairs)),
        ("witness", witness(finding)),
    )
    return [(name, value) for name, value in known if value is not None]
