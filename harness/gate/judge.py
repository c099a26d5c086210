"""Every gate on every case of saved runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.gate import absolute, invariants, relative
from harness.gate.cases import CaseRuns, cases_of, refuse_unlike, sorted_runs
from harness.gate.model import BASE, Case, Finding, Gate, GateReport, Gates, RunFacts, Tier
from harness.gate.reach import asks, judged, reference, refuse_idle
from harness.history.run_file import RunFile
from harness.report.faults import storm_name
from harness.report.model import Report


def judge_gates(gates: Gates, runs: Sequence[Report], base: Sequence[Report] = ()) -> GateReport:
    """Runs of one job, and those of the base that took turns with them.

    Raises ``UsageError`` for runs that were not asked the same, and for gates that would have nothing to judge.
    """
    refuse(gates, [report.run for report in runs], [report.run for report in base])
    own, of_base = sorted_runs(runs), sorted_runs(base)
    findings = [
        _judge(gate, own[case], own, of_base) for case in judged(gates, own) for gate in gates.gates if asks(gate, case)
    ]
    return GateReport(
        findings=tuple(findings),
        source=gates.source,
        runs=tuple(map(_facts, runs)),
        base=tuple(map(_facts, base)),
        left_out=gates.left_out,
    )


def refuse(gates: Gates, runs: Sequence[RunFile], base: Sequence[RunFile] = ()) -> None:
    """Raises ``UsageError`` as :func:`judge_gates` does, before more of the runs than their ``run.json`` is read."""
    refuse_unlike([*runs, *base])
    cases = [case for run in runs for case in cases_of(run.settings, run.storm)]
    refuse_idle(gates, cases, has_base=bool(base))


def _judge(gate: Gate, runs: CaseRuns, own: Mapping[Case, CaseRuns], of_base: Mapping[Case, CaseRuns]) -> Finding:
    if gate.tier is Tier.INVARIANT:
        return invariants.judge(gate, runs)
    if gate.tier is Tier.ABSOLUTE:
        return absolute.judge(gate, runs)
    if gate.against == BASE:
        against = of_base.get(runs.case, CaseRuns(runs.case, ()))
    else:
        other = reference(gate, runs.case)
        assert other is not None
        against = own[other]
    return relative.judge(gate, runs, against)


def _facts(report: Report) -> RunFacts:
    run = report.run
    return RunFacts(
        run_id=run.run_id,
        commit=run.commit,
        started_at=run.started_at,
        seed=run.settings.seed,
        saga=run.settings.saga,
        storm=storm_name(run),
        verdict=report.judgement.verdict.value,
    )
