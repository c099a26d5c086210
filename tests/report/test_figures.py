"""Figures from the client's rows: what they count, and when there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.history.records import SagaRow
from harness.report.figures import (
    Figure,
    Missing,
    compensation_rate,
    completion_quantile,
    outcomes,
    recovery_s,
    throughput_per_s,
)
from harness.report.html import render_page
from harness.report.markdown import render_markdown
from harness.report.model import make_report
from harness.report.tables import comparison_rows
from harness.report.wording import recovered
from tests.report.small import block, run, saga, sagas

STORM = [("request-lost", 5.0, 10.0)]


def why(figure: Figure) -> str:
    assert isinstance(figure, Missing)
    return figure.why


def test_completion_quantiles_pool_all_blocks_of_a_topology() -> None:
    blocks = [block(0, rows=sagas(50, took_ms=100.0)), block(3, rows=sagas(50, took_ms=300.0))]
    assert completion_quantile(blocks, "p50", 0.5) == 100.0
    assert completion_quantile(blocks, "p99", 0.99) == 300.0


def test_a_quantile_without_enough_sagas_says_how_many_it_needs() -> None:
    assert why(completion_quantile([block(rows=sagas(99))], "p99", 0.99)) == "99 sagas ended, p99 needs 100"


def test_throughput_leaves_out_what_ended_in_the_drain() -> None:
    rows = [saga(0, 1.0), saga(1, 19.9, 100.0), saga(2, 19.9, 101.0), saga(3, 5.0, None)]
    assert throughput_per_s([block(rows=rows)]) == 2 / 20


def test_every_arrival_is_counted_under_what_became_of_it() -> None:
    rows = [
        saga(0, 0.0),
        saga(1, 1.0, outcome="compensated"),
        saga(2, 2.0, None),
        saga(3, 3.0, None, status="error", saga_id=None),
        saga(4, 4.0, None, status="rejected", saga_id=None),
        saga(5, 5.0, None, status="dropped", saga_id=None, sent_s=None),
    ]
    counts = outcomes([block(rows=rows)])
    assert counts is not None
    assert (counts.scheduled, counts.dropped, counts.rejected, counts.errors, counts.accepted) == (6, 1, 1, 1, 3)
    assert (counts.completed, counts.compensated, counts.unresolved) == (1, 1, 2)
    assert compensation_rate([block(rows=rows)]) == 0.5


def test_a_rate_of_nothing_is_no_rate() -> None:
    assert why(compensation_rate([block(rows=[saga(0, 0.0, None)])])) == "no saga ended"


@pytest.mark.parametrize("figure", [throughput_per_s, compensation_rate, recovery_s])
def test_without_a_complete_block_nothing_is_measured(figure: Callable[[list[object]], Figure]) -> None:
    assert why(figure([])) == "no block of this topology ran to its end"


def storm_rows(took_ms: Callable[[float], float | None]) -> list[SagaRow]:
    """Ten sagas a second for 20 s, whose completion time depends on when they were scheduled."""
    return [saga(number, number / 10, took_ms(number / 10)) for number in range(200)]


def test_recovery_is_counted_from_the_end_of_the_last_window_to_three_good_seconds_in_a_row() -> None:
    # Good again in [11, 12) only, then bad, then good from 13 s on: the storm ended at 10 s.
    def took_ms(t_s: float) -> float:
        return 200.0 if t_s < 5 or 11 <= t_s < 12 or t_s >= 13 else 900.0

    assert recovery_s([block(rows=storm_rows(took_ms), storm_windows=STORM)]) == 3.0


def test_a_topology_that_never_slowed_down_recovered_at_once() -> None:
    assert recovery_s([block(rows=storm_rows(lambda t_s: 200.0), storm_windows=STORM)]) == 0.0


def test_of_several_blocks_the_slowest_recovery_counts() -> None:
    quick = block(0, rows=storm_rows(lambda t_s: 200.0), storm_windows=STORM)
    slow = block(3, rows=storm_rows(lambda t_s: 900.0 if 5 <= t_s < 14 else 200.0), storm_windows=STORM)
    assert recovery_s([quick, slow]) == 4.0


def test_sagas_without_a_known_end_hold_recovery_up() -> None:
    rows = storm_rows(lambda t_s: None if 10 <= t_s < 12 else 200.0)
    assert recovery_s([block(rows=rows, storm_windows=STORM)]) == 2.0


def test_a_topology_that_did_not_recover_has_no_recovery_time_but_a_reason() -> None:
    rows = storm_rows(lambda t_s: 200.0 if t_s < 5 else 900.0)
    reason = why(recovery_s([block(rows=rows, storm_windows=STORM)]))
    assert reason == "block 1 (orchestrated) did not get back to 200 ms within 10 s after the storm"


def test_a_topology_that_did_not_recover_is_shown_apart_from_one_not_measured() -> None:
    lost = block(1, "choreographed", rows=storm_rows(lambda t_s: 200.0 if t_s < 5 else 900.0), storm_windows=STORM)
    data = run(block(0, rows=storm_rows(lambda t_s: 200.0), storm_windows=STORM), lost)
    report = make_report(data, [])
    assert report.topologies["choreographed"].recovery_s is None
    assert [row.cells for row in comparison_rows(report) if row.label == "recovery after storm"] == [("0 s", "> 10 s")]
    assert "<td>&gt; 10 s</td>" in render_page(report)
    assert "| recovery after storm | 0 s | > 10 s |" in render_markdown(report)


def test_of_blocks_without_a_recovery_time_the_one_that_did_not_recover_is_told() -> None:
    unmeasured = block(0, rows=storm_rows(lambda t_s: 200.0), storm_windows=[("x", 5.0, 18.0)])
    lost = block(3, rows=storm_rows(lambda t_s: 200.0 if t_s < 5 else 900.0), storm_windows=STORM)
    assert recovered(recovery_s([unmeasured, lost])) == "> 10 s"
    assert recovered(recovery_s([unmeasured])) == "-"


def test_recovery_needs_twenty_sagas_before_the_storm() -> None:
    rows = storm_rows(lambda t_s: 200.0)
    assert recovery_s([block(rows=rows, storm_windows=[("x", 2.0, 10.0)])]) == 0.0
    reason = why(recovery_s([block(rows=rows, storm_windows=[("x", 1.9, 10.0)])]))
    assert reason == "block 1 (orchestrated) has 19 ended sagas before the storm, needs 20"


def test_recovery_needs_three_seconds_of_load_after_the_storm() -> None:
    rows = storm_rows(lambda t_s: 200.0)
    assert recovery_s([block(rows=rows, storm_windows=[("x", 5.0, 17.0)])]) == 0.0
    reason = why(recovery_s([block(rows=rows, storm_windows=[("x", 5.0, 17.5)])]))
    assert reason == "block 1 (orchestrated) goes on for 2.5 s after the storm, needs 3"


def test_without_a_storm_nobody_is_told_that_there_was_no_recovery() -> None:
    assert recovery_s([block()]) == Missing("there was no storm", expected=True)
