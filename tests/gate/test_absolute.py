"""Cliffs: which side of the limit a figure is on, and when that cannot be said."""

from __future__ import annotations

from typing import Any

import pytest

from harness import registry
from harness.core.verdict import RunVerdict, Verdict
from harness.gate.judge import judge_gates
from harness.gate.metrics import METRICS, refusals_of
from harness.gate.model import Finding
from harness.history.records import SagaRow
from harness.report.metrics import FIGURES
from harness.report.model import Report
from tests.gate.job import block, gates, run
from tests.report import small

PASS, FAIL, INCONCLUSIVE = RunVerdict.PASS, RunVerdict.FAIL, RunVerdict.INCONCLUSIVE


def asked(expression: str, *runs: Report, **fields: Any) -> Finding:
    """What one gate says, of the first case."""
    report = judge_gates(gates(expression, **fields), runs)
    return next(finding for finding in report.findings if finding.gate.name != "instrument")


def slow_in_storm() -> list[SagaRow]:
    """120 sagas in 20 s, of which those that are due from 5 s to 10 s take two seconds, the others 200 ms."""
    return [small.saga(n, n / 6, 2000.0 if 5 <= n / 6 < 10 else 200.0) for n in range(120)]


def undone(count: int, reason: str | None) -> list[SagaRow]:
    """120 sagas, of which the first ``count`` were undone."""
    rows = small.sagas(120)
    return [
        small.saga(row.arrival, row.scheduled_s, outcome="compensated", reason=reason) if row.arrival < count else row
        for row in rows
    ]


@pytest.mark.parametrize(("limit", "outcome"), [("< 300 ms", PASS), ("< 0.2 s", FAIL), ("<= 200 ms", PASS)])
def test_a_figure_is_held_against_its_limit(limit: str, outcome: RunVerdict) -> None:
    found = asked(f"completion_ms.p99 {limit}", run(block()))
    assert (found.outcome, found.observed, found.samples) == (outcome, 200.0, 120)


def test_a_limit_that_is_passed_names_the_slowest_saga() -> None:
    rows = [*small.sagas(119), small.saga(119, 19.9, 5000.0)]
    found = asked("completion_ms.p50 < 100 ms", run(block(rows=rows)))
    assert found.witness is not None
    assert (found.witness.saga_id, found.witness.run_id) == ("s-119", "run-1")


@pytest.mark.parametrize(("window", "value"), [("before", 200.0), ("during", 2000.0), ("after", 200.0)])
def test_a_window_holds_the_sagas_that_were_due_in_it(window: str, value: float) -> None:
    found = asked("completion_ms.p50 < 1 s", run(block(rows=slow_in_storm())), window=window)
    assert found.observed == value
    assert found.outcome is (FAIL if value > 1000 else PASS)
    assert found.samples == (60 if window == "after" else 30)


def test_too_few_samples_for_a_quantile_are_no_pass() -> None:
    found = asked("completion_ms.p99 < 1 s", run(block()), window="before")
    assert found.outcome is INCONCLUSIVE
    assert found.why == "Not measured: 30 sagas ended, p99 needs 100."


def test_more_samples_can_be_asked_for() -> None:
    found = asked("completion_ms.p50 < 1 s", run(block()), min_samples=500)
    assert (found.outcome, found.why) == (INCONCLUSIVE, "120 sagas ended, 500 are needed.")


def test_runs_of_one_case_are_pooled() -> None:
    runs = [run(block(rows=small.sagas(60)), run_id=name) for name in ("one", "two")]
    found = asked("completion_ms.p99 < 1 s", *runs)
    assert (found.outcome, found.samples) == (PASS, 120)
    assert asked("scheduled == 120", *runs).outcome is PASS


def test_topologies_are_cases_of_their_own() -> None:
    both = run(block(), block(1, "choreographed", rows=small.sagas(120, 900.0)))
    report = judge_gates(gates("completion_ms.p50 < 300 ms"), [both])
    told = {each.case.topology: each.outcome for each in report.findings if each.gate.name != "instrument"}
    assert told == {"orchestrated": PASS, "choreographed": FAIL}
    assert asked("completion_ms.p50 < 300 ms", both, topology="choreographed").outcome is FAIL


def test_a_saturated_load_generator_makes_figures_inconclusive_good_or_bad() -> None:
    late = run(block(rows=[small.saga(n, n / 10, sent_s=n / 10 + 2) for n in range(120)]))
    for limit in ("< 1 s", "< 1 ms"):
        assert asked(f"completion_ms.p50 {limit}", late).outcome is INCONCLUSIVE


def test_a_figure_that_was_not_measured_is_no_pass() -> None:
    blind = run(block(dead_letters=None))
    found = asked("dead_letters == 0", blind)
    assert (found.outcome, found.observed) == (INCONCLUSIVE, None)


def two_blocks(*, dead_letters: int) -> Report:
    """One with so many dead letters, one of which they could not be read."""
    blocks = block(dead_letters=dead_letters), block(1, round=1, dead_letters=None)
    return run(*blocks, topologies=("orchestrated",), interleave="AA")


def test_what_one_block_breaks_is_not_hidden_by_another_that_was_not_measured() -> None:
    found = asked("dead_letters <= 5", two_blocks(dead_letters=9))
    assert (found.outcome, found.observed) == (FAIL, 9.0)
    assert asked("dead_letters <= 5", two_blocks(dead_letters=3)).outcome is INCONCLUSIVE
    assert asked("dead_letters >= 5", two_blocks(dead_letters=3)).outcome is INCONCLUSIVE


def test_anomalies_of_which_the_audit_cannot_tell_are_not_none() -> None:
    report = run(block())
    assert asked("anomalies.effect-missing <= 3", report).outcome is PASS
    report.audits[0].checks["effect-missing"] = Verdict.UNKNOWN
    assert asked("anomalies.effect-missing <= 3", report).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("limit", "outcome"), [("< 1 s", INCONCLUSIVE), ("< 1 ms", FAIL)])
def test_a_quantile_of_survivors_is_no_pass(limit: str, outcome: RunVerdict) -> None:
    rows = [small.saga(n, n / 6, None if n < 5 else 200.0) for n in range(120)]
    assert asked(f"completion_ms.p50 {limit}", run(block(rows=rows))).outcome is outcome
    assert asked("completion_ms.p50 < 1 s", run(block(rows=rows[4:]))).outcome is PASS


def test_a_topology_of_which_nothing_ran_to_its_end_is_no_pass() -> None:
    assert asked("completion_ms.p50 < 1 s", run(block(state="aborted"))).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("limit", "outcome"), [("< 8 s", FAIL), ("< 60 s", INCONCLUSIVE)])
def test_what_did_not_recover_while_it_was_watched_fails_if_that_was_as_long_as_the_limit(
    limit: str, outcome: RunVerdict
) -> None:
    rows = [small.saga(n, n / 6, 200.0 if n / 6 < 5 else 9000.0) for n in range(120)]
    found = asked(f"recovery_completion_s {limit}", run(block(rows=rows)))
    assert found.outcome is outcome
    assert "did not get back" in found.why


def test_compensations_that_the_data_holds_are_not_counted_as_trouble() -> None:
    assert asked("compensated_unrefused_rate == 0 %", run(block(rows=undone(12, "out-of-stock")))).outcome is PASS
    found = asked("compensated_unrefused_rate < 5 %", run(block(rows=undone(12, "States.Timeout"))))
    assert (found.outcome, found.observed) == (FAIL, pytest.approx(0.1))
    assert found.witness is not None
    assert found.witness.says == "it was undone, and its client was told: States.Timeout"


def test_a_compensation_whose_reason_nobody_was_told_is_not_measured() -> None:
    assert asked("compensated_unrefused_rate < 5 %", run(block(rows=undone(12, None)))).outcome is INCONCLUSIVE


def test_what_a_saga_can_refuse_with_is_asked_of_its_own_actions() -> None:
    assert refusals_of(registry.saga("create-order")) == {"insufficient-funds", "out-of-stock"}


@pytest.mark.parametrize(("expression", "outcome"), [("faults.lost >= 1", PASS), ("faults.lost > 1", FAIL)])
def test_strikes_can_be_counted(expression: str, outcome: RunVerdict) -> None:
    assert asked(expression, run(block())).outcome is outcome


def test_every_figure_of_the_summary_can_be_asked_of() -> None:
    assert set(FIGURES) < set(METRICS)
    clean = run(block())
    for path in FIGURES:
        unit = {"ms": " ms", "s": " s", "%": " %", "/s": " /s"}.get(METRICS[path].unit, "")
        assert asked(f"{path} < {99 if unit == ' %' else 99999}{unit}", clean).outcome in (PASS, INCONCLUSIVE), path
