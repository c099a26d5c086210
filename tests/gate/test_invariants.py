"""What no run may break; and that no data is no verdict."""

from __future__ import annotations

from typing import Any

import pytest

from harness.audit.auditor import Anomaly
from harness.core.verdict import RunVerdict
from harness.gate.judge import judge_gates
from harness.gate.model import Finding
from harness.gate.read import read_gates
from harness.report.model import Report
from tests.gate.job import block, run
from tests.report import small

TWICE = Anomaly(name="effect-twice", count=2, sagas=("s-41", "s-97"), witness="saga s-41: charge was done 2 times")
PASS, FAIL, INCONCLUSIVE = RunVerdict.PASS, RunVerdict.FAIL, RunVerdict.INCONCLUSIVE


def finding(report: Report, name: str, **table: Any) -> Finding:
    """What an invariant says of a run of one topology."""
    [found] = [each for each in judge_gates(read_gates(table), [report]).findings if each.gate.name == name]
    return found


def crowded(number: int = 0, **changes: Any) -> Any:
    """A block whose load generator sent late."""
    rows = [small.saga(n, n / 10, sent_s=n / 10 + 2.0) for n in range(120)]
    return block(number, rows=changes.pop("rows", rows), **changes)


def lost(drained: bool = True, status: str = "accepted") -> Any:
    """A block in which one saga has no known end."""
    rows = [*small.sagas(120), small.saga(120, 19.0, None, status=status)]
    return block(rows=rows, scheduled=121, drained=drained)


def test_a_clean_run_breaks_none() -> None:
    report = judge_gates(read_gates({}), [run(block())])
    assert {each.outcome for each in report.findings} == {PASS}
    assert (report.verdict, report.exit_code) == (PASS, 0)


def test_an_anomaly_in_any_block_fails_with_the_saga_and_where() -> None:
    report = run(block(), block(1, round=1), anomalies={1: [TWICE]}, topologies=("orchestrated",), interleave="AA")
    found = finding(report, "effect-twice")
    assert (found.outcome, found.observed) == (FAIL, 2.0)
    assert found.witness is not None
    assert (found.witness.saga_id, found.witness.block, found.witness.says) == ("s-41", 1, TWICE.witness)
    assert finding(report, "effect-missing").outcome is PASS


def test_an_anomaly_counts_in_a_block_that_was_cut_short() -> None:
    report = run(block(state="aborted"), anomalies={0: [TWICE]})
    assert finding(report, "effect-twice").outcome is FAIL
    assert judge_gates(read_gates({}), [report]).verdict is FAIL


def test_a_block_that_was_not_audited_is_no_pass() -> None:
    report = run(block())
    report.audits[0].checks.pop("effect-twice")
    assert finding(report, "effect-twice").outcome is INCONCLUSIVE


def test_an_accepted_saga_without_an_end_fails_once_queues_ran_empty() -> None:
    found = finding(run(lost()), "every-saga-ended")
    assert found.outcome is FAIL
    assert found.witness is not None and found.witness.saga_id == "s-120"


@pytest.mark.parametrize("unproven", [lost(drained=False), lost(status="error")], ids=["not drained", "no answer"])
def test_a_saga_that_may_yet_end_or_never_began_is_inconclusive(unproven: Any) -> None:
    assert finding(run(unproven), "every-saga-ended").outcome is INCONCLUSIVE


@pytest.mark.parametrize(("drained", "outcome"), [(True, PASS), (False, FAIL), (None, INCONCLUSIVE)])
def test_work_that_is_left_when_the_drain_limit_passes_fails(drained: bool | None, outcome: RunVerdict) -> None:
    assert finding(run(block(drained=drained)), "nothing-in-flight").outcome is outcome


def test_what_a_saturated_instrument_leaves_undone_is_nobodys_fault() -> None:
    late_and_lost = [*(small.saga(n, n / 10, sent_s=n / 10 + 2.0) for n in range(120)), small.saga(120, 19.0, None)]
    assert finding(run(crowded(rows=late_and_lost)), "every-saga-ended").outcome is INCONCLUSIVE
    report = run(crowded(drained=False))
    assert finding(report, "nothing-in-flight").outcome is INCONCLUSIVE
    assert finding(report, "instrument").outcome is INCONCLUSIVE
    assert "late at its p99" in finding(report, "instrument").why


def test_what_kept_one_topology_from_being_measured_is_not_held_against_the_other() -> None:
    report = judge_gates(read_gates({}), [run(block(), crowded(1, topology="choreographed"))])
    told = {each.case.topology: each.outcome for each in report.findings if each.gate.name == "instrument"}
    assert told == {"orchestrated": PASS, "choreographed": INCONCLUSIVE}


def test_a_saturated_instrument_does_not_hide_a_fail() -> None:
    report = judge_gates(read_gates({}), [run(crowded(), anomalies={0: [TWICE]})])
    assert (report.verdict, report.exit_code) == (FAIL, 1)
    assert report.of(INCONCLUSIVE)


def test_a_saturated_instrument_is_never_a_pass() -> None:
    report = judge_gates(read_gates({}), [run(crowded())])
    assert (report.verdict, report.exit_code) == (INCONCLUSIVE, 3)


def test_a_fault_that_never_struck_is_inconclusive_and_named() -> None:
    found = finding(run(block(faults=[])), "every-fault-fired")
    assert found.outcome is INCONCLUSIVE
    assert "lost" in found.why


def test_a_run_without_a_storm_has_no_fault_to_wait_for() -> None:
    assert finding(run(block(faults=[], storm_windows=[]), storm=[]), "every-fault-fired").outcome is PASS


def test_what_is_left_out_by_name_is_not_asked_and_is_said() -> None:
    gates = read_gates({"invariants": {"except": ["effect-twice"]}})
    report = judge_gates(gates, [run(block(), anomalies={0: [TWICE]})])
    assert report.verdict is PASS
    assert report.left_out == ("effect-twice",)


@pytest.mark.parametrize("name", ["every-saga-ended", "nothing-in-flight", "every-fault-fired"])
def test_a_topology_without_a_complete_block_is_no_pass(name: str) -> None:
    assert finding(run(block(state="aborted", faults=[])), name).outcome is INCONCLUSIVE


def test_a_topology_that_had_no_turn_is_no_pass() -> None:
    report = judge_gates(read_gates({}), [run(block(), topologies=("orchestrated", "choreographed"), interleave="A")])
    told = {each.outcome for each in report.findings if each.case.topology == "choreographed"}
    assert told == {INCONCLUSIVE}
