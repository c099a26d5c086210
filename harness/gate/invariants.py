"""What no run may break: on unless narrowed by name. No tolerance, and no verdict without data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from harness.audit.checks import load_checks
from harness.core.verdict import RunVerdict, Verdict
from harness.gate.cases import CaseRuns, Turn
from harness.gate.metrics import ANOMALIES
from harness.gate.model import Finding, Gate, Tier, Witness
from harness.report.judge import Check

INSTRUMENT: Final = "instrument"
"""Generator, backend and machine kept up, and everything ran and was recorded. It cannot be left out: without it no other
answer is worth anything."""
ENDED: Final = "every-saga-ended"
FIRED: Final = "every-fault-fired"
AT_REST: Final = "nothing-in-flight"
ANSWERED: Final = ("audited", "drained", "ends-known", "fault-fired:", "same-foreign-load")
"""How the judge's rules begin that are answered elsewhere, by an invariant or, pair by pair, in a relative gate; all others
are the instrument's."""


def gates() -> list[Gate]:
    """All of them: those of the run, then one for each anomaly that the auditor knows."""
    own = {INSTRUMENT: INSTRUMENT, ENDED: "unresolved", AT_REST: "in_flight", FIRED: "faults_not_fired"}
    every = own | {name: f"{ANOMALIES}{name}" for name in load_checks()}
    return [
        Gate(name=name, tier=Tier.INVARIANT, metric=metric, operator="==", limit=0.0) for name, metric in every.items()
    ]


def judge(gate: Gate, runs: CaseRuns) -> Finding:
    """One invariant on one case."""
    return _JUDGES.get(gate.name, _no_anomaly)(gate, runs)


def instrument_problems(turns: Sequence[Turn]) -> list[Check]:
    """What makes the figures of these blocks worth nothing; what is wrong with other topologies' blocks does not."""
    seen: dict[tuple[str, str, str], Check] = {}
    for turn in turns:
        data, own = turn.report.data, turn.data.block.topology
        elsewhere = {block.name for block in data.blocks if block.block.topology != own} | {*data.topologies} - {own}
        for check in turn.report.judgement.checks:
            if check.verdict is not Verdict.UNKNOWN or check.about in elsewhere:
                continue
            if not check.rule.startswith(ANSWERED):
                seen.setdefault((turn.report.run.run_id, check.rule, check.about), check)
    return list(seen.values())


def _finding(gate: Gate, runs: CaseRuns, outcome: RunVerdict, why: str, count: float | None = None) -> Finding:
    return Finding(gate=gate, case=runs.case, outcome=outcome, why=why, observed=count, samples=runs.ended)


def _instrument(gate: Gate, runs: CaseRuns) -> Finding:
    if not runs.turns:
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, "It had no block in any run.")
    problems = instrument_problems(runs.turns)
    if not problems:
        return _finding(gate, runs, RunVerdict.PASS, f"{runs.blocks_told} kept up, and all was recorded.", 0.0)
    first = problems[0].says or f"{problems[0].about}: {problems[0].rule} is not known."
    more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
    return _finding(gate, runs, RunVerdict.INCONCLUSIVE, first + more, float(len(problems)))


def _ended(gate: Gate, runs: CaseRuns) -> Finding:
    lost = [(turn, row) for turn in runs.complete for row in turn.data.unresolved]
    if not runs.complete:
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, "No block ran to its end.")
    if not lost:
        return _finding(gate, runs, RunVerdict.PASS, "Every saga that was started has a known end.", 0.0)
    proven = [(turn, row) for turn, row in lost if row.status == "accepted" and turn.data.block.drained is True]
    turn, row = (proven or lost)[0]
    says = f"arrival {row.arrival}, due at {row.scheduled_s:.3f} s, was {row.status} and has no known end"
    witness = turn.witness(row.saga_id, says)
    if not proven:
        why = f"{len(lost)} sagas have no known end, but queues had not run empty, or their start is not known."
        outcome = RunVerdict.INCONCLUSIVE
    elif instrument_problems(runs.turns):
        why, outcome = (
            f"{len(proven)} sagas did not end, on an instrument that did not keep up.",
            RunVerdict.INCONCLUSIVE,
        )
    else:
        why, outcome = f"{len(proven)} sagas were accepted, and never ended.", RunVerdict.FAIL
    return _with(_finding(gate, runs, outcome, why, float(len(lost))), witness)


def _at_rest(gate: Gate, runs: CaseRuns) -> Finding:
    if not runs.complete:
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, "No block ran to its end.")
    full = [turn for turn in runs.complete if turn.data.block.drained is False]
    unknown = [turn for turn in runs.complete if turn.data.block.drained is None]
    if full:
        limit_s = full[0].report.run.settings.drain_limit_s
        why = f"{len(full)} of {len(runs.complete)} blocks still held work {limit_s:g} s after the load."
        outcome = RunVerdict.FAIL
        if instrument_problems(runs.turns):
            why, outcome = f"{why[:-1]}, on an instrument that did not keep up.", RunVerdict.INCONCLUSIVE
        stuck = full[0].data.unresolved
        witness = (
            full[0].witness(stuck[0].saga_id, "it had no known end when the drain limit passed") if stuck else None
        )
        return _with(_finding(gate, runs, outcome, why, float(len(full))), witness)
    if unknown:
        why = f"Whether queues ran empty was not recorded in {len(unknown)} of {len(runs.complete)} blocks."
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, why)
    return _finding(gate, runs, RunVerdict.PASS, "Queues and executions ran empty after every block.", 0.0)


def _fired(gate: Gate, runs: CaseRuns) -> Finding:
    """What never struck proves nothing of the saga, good or bad: no fail, but never a pass."""
    checks = [
        check
        for report in runs.reports
        for check in report.judgement.checks
        if check.rule.startswith("fault-fired:") and check.about == runs.case.topology
    ]
    silent = [check for check in checks if check.verdict is Verdict.UNKNOWN]
    if silent:
        names = ", ".join(dict.fromkeys(check.rule.partition(":")[2] for check in silent))
        why = f"Of the storm, this never struck, so nothing is known of it: {names}."
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, why, float(len(silent)))
    if not runs.complete:
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, "No block ran to its end.")
    why = (
        "Every fault of the storm that applies here struck in every run." if checks else "There is no fault to strike."
    )
    return _finding(gate, runs, RunVerdict.PASS, why, 0.0)


def _no_anomaly(gate: Gate, runs: CaseRuns) -> Finding:
    """In all blocks, those that were cut short too: what broke there broke all the same."""
    name = gate.metric.removeprefix(ANOMALIES)
    audits = [(turn, turn.audit) for turn in runs.turns]
    found = [(turn, each) for turn, audit in audits if audit for each in audit.anomalies if each.name == name]
    count = float(sum(anomaly.count for _, anomaly in found))
    if found:
        turn, anomaly = found[0]
        witness = turn.witness(anomaly.sagas[0] if anomaly.sagas else None, anomaly.witness)
        why = f"The audit found {count:.0f} in {len(found)} of {len(runs.turns)} blocks."
        return _with(_finding(gate, runs, RunVerdict.FAIL, why, count), witness)
    blind = [turn for turn, audit in audits if audit is None or audit.checks.get(name) is not Verdict.VALID]
    if blind or not audits:
        notes = [note for turn in blind if turn.audit for note in turn.audit.notes]
        why = f"The audit cannot tell in {len(blind)} of {len(audits)} blocks{f': {notes[0]}' if notes else ''}."
        return _finding(gate, runs, RunVerdict.INCONCLUSIVE, why)
    return _finding(gate, runs, RunVerdict.PASS, f"The audit found none in {len(audits)} blocks.", 0.0)


def _with(finding: Finding, witness: Witness | None) -> Finding:
    return Finding(**{name: getattr(finding, name) for name in finding.__struct_fields__} | {"witness": witness})


_JUDGES: Final[Mapping[str, Callable[[Gate, CaseRuns], Finding]]] = {
    INSTRUMENT: _instrument,
    ENDED: _ended,
    AT_REST: _at_rest,
    FIRED: _fired,
}
