"""Cliffs: a figure of this job by itself, held against a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from harness import registry
from harness.core.errors import UsageError
from harness.core.verdict import RunVerdict, Verdict
from harness.gate.cases import CaseRuns, Turn
from harness.gate.expression import holds, told, told_value
from harness.gate.invariants import instrument_problems
from harness.gate.metrics import (
    ANOMALIES,
    COMPENSATED_UNREFUSED,
    FAULTS,
    METRICS,
    in_window,
    observed,
    refusals_of,
    survivors_only,
)
from harness.gate.model import Finding, Gate, Witness
from harness.report.faults import fired
from harness.report.figures import Figure, Missing
from harness.report.metrics import anomalies
from harness.report.model import Report

BY_RUN = ("duplicates.", ANOMALIES, FAULTS)
"""Figures that take what was said of a run, by the numbers of its blocks: runs are counted one by one, and added up."""


def judge(gate: Gate, runs: CaseRuns) -> Finding:
    """One cliff on one case."""
    turns = [Turn(turn.report, data) for turn in runs.complete for data in in_window([turn.data], gate.window)]
    ended = sum(len(turn.data.ended) for turn in turns)
    found = pooled(gate.metric, turns)
    missing = found if isinstance(found, Missing) else None
    value = None if isinstance(found, Missing) else found
    finding = Finding(gate=gate, case=runs.case, outcome=RunVerdict.INCONCLUSIVE, why="", observed=value, samples=ended)
    if problems := instrument_problems(runs.turns):
        return _because(finding, f"The instrument did not keep up. {problems[0].says or problems[0].rule}")
    if missing:
        return _unmeasured(finding, missing, turns)
    if ended < gate.min_samples:
        return _because(finding, f"{ended} sagas ended, {gate.min_samples} are needed.")
    assert value is not None
    good = holds(gate, value)
    if good and (lost := survivors_only(gate.metric, [turn.data for turn in turns])):
        return _because(finding, f"{lost}.")
    why = f"{told_value(gate, value)} {'is' if good else 'is not'} {told(gate)}."
    outcome = RunVerdict.PASS if good else RunVerdict.FAIL
    return msgspec.structs.replace(
        finding, outcome=outcome, why=why, witness=None if good else witness(gate.metric, turns)
    )


def pooled(path: str, turns: Sequence[Turn]) -> Figure:
    """A figure over blocks of several runs of one case, as if they had been one run's."""
    reports: dict[str, Report] = {turn.report.run.run_id: turn.report for turn in turns}
    if not reports:
        return Missing("no block ran to its end with sagas due in that time")
    if not path.startswith(BY_RUN):
        return observed(path, turns[0].report.run, [turn.data for turn in turns], ())
    total = 0.0
    for run_id, report in reports.items():
        figure = _of_run(path, report, [turn for turn in turns if turn.report.run.run_id == run_id])
        if isinstance(figure, Missing):
            return figure
        total += figure
    return total


def _of_run(path: str, report: Report, turns: Sequence[Turn]) -> Figure:
    if path.startswith(FAULTS):
        strikes = fired(report.data, turns[0].data.block.topology)[path.removeprefix(FAULTS)]
        return Missing("the fault has nothing to strike in this topology") if strikes is None else float(strikes)
    if path.startswith(ANOMALIES):
        name = path.removeprefix(ANOMALIES)
        if any(turn.audit is None or turn.audit.checks.get(name) in (None, Verdict.UNKNOWN) for turn in turns):
            return Missing("the audit cannot tell in every block")
        numbers = {turn.data.block.block for turn in turns}
        return float(anomalies(numbers, report.audits).get(name, 0))
    return observed(path, report.run, [turn.data for turn in turns], report.audits)


def witness(path: str, turns: Sequence[Turn]) -> Witness | None:
    """The saga that shows best what went wrong, where single sagas show it."""
    if path.startswith("completion_ms."):
        rows = [(row.completion_ms or 0.0, turn, row.saga_id) for turn in turns for row in turn.data.ended]
        if not rows:
            return None
        took_ms, turn, saga_id = max(rows, key=lambda each: each[0])
        return turn.witness(saga_id, f"the slowest: it took {took_ms:,.0f} ms")
    if path == COMPENSATED_UNREFUSED:
        return _undone(turns)
    if path == "unresolved":
        lost = ((turn, row) for turn in turns for row in turn.data.unresolved)
        return next((turn.witness(row.saga_id, "it has no known end") for turn, row in lost), None)
    return None


def _undone(turns: Sequence[Turn]) -> Witness | None:
    try:
        refusals = refusals_of(registry.saga(turns[0].report.run.settings.saga))
    except UsageError:
        return None
    for turn in turns:
        for row in turn.data.ended:
            if row.outcome == "compensated" and row.reason not in refusals:
                return turn.witness(row.saga_id, f"it was undone, and its client was told: {row.reason}")
    return None


def _because(finding: Finding, why: str) -> Finding:
    return msgspec.structs.replace(finding, why=why)


def _unmeasured(finding: Finding, missing: Missing, turns: Sequence[Turn]) -> Finding:
    """Of what no further block makes smaller, one block can be enough to break a limit."""
    gate = finding.gate
    if gate.metric not in METRICS or METRICS[gate.metric].grows:
        parts = [pooled(gate.metric, [turn]) for turn in turns]
        worst = max((part for part in parts if not isinstance(part, Missing)), default=0.0)
        if not holds(gate, worst) and not holds(gate, math.inf):
            why = f"{told_value(gate, worst)} in one block alone is not {told(gate)}; of all: {missing.why}."
            return msgspec.structs.replace(finding, outcome=RunVerdict.FAIL, observed=worst, why=why)
    if missing.longer_than_s is not None:
        return _never(finding, missing)
    return _because(finding, f"Not measured: {missing.why}.")


def _never(finding: Finding, missing: Missing) -> Finding:
    """It was watched for and not seen: more than not being measured, if it was watched for as long as the limit."""
    gate = finding.gate
    seconds = math.inf if missing.longer_than_s is None else missing.longer_than_s
    if not holds(gate, math.inf) and not holds(gate, seconds):
        why = f"{missing.why[0].upper()}{missing.why[1:]}, which is not {told(gate)}."
        return msgspec.structs.replace(finding, outcome=RunVerdict.FAIL, why=why)
    return _because(
        finding, f"{missing.why[0].upper()}{missing.why[1:]}; to be {told(gate)} it must be watched longer."
    )
