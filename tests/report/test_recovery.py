"""When a topology is itself again after a storm: its completion times, its backlog, both; or never."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from harness.history.records import SagaRow
from harness.report.figures import NO_BLOCK, Figure, Missing
from harness.report.html import render_page
from harness.report.markdown import render_markdown
from harness.report.model import Report, make_report
from harness.report.recovery import backlog_recovery_s, completion_recovery_s, recovery_s
from harness.report.run_data import QUEUE, BlockData
from harness.report.tables import comparison_rows
from harness.report.wording import recovered
from tests.report import synthetic_run
from tests.report.small import block, depth, healthy_series, run, saga

STORM = [("request-lost", 5.0, 10.0)]


def why(figure: Figure) -> str:
    assert isinstance(figure, Missing)
    return figure.why


def storm_rows(took_ms: Callable[[float], float | None]) -> list[SagaRow]:
    """Ten sagas a second for 20 s, whose completion time depends on when they were scheduled."""
    return [saga(number, number / 10, took_ms(number / 10)) for number in range(200)]


def test_recovery_is_counted_from_the_end_of_the_last_window_to_three_good_seconds_in_a_row() -> None:
    # Good again in [11, 12) only, then bad, then good from 13 s on: the storm ended at 10 s.
    def took_ms(t_s: float) -> float:
        return 200.0 if t_s < 5 or 11 <= t_s < 12 or t_s >= 13 else 900.0

    assert recovery_s([block(rows=storm_rows(took_ms), storm_windows=STORM)]) == 3.0


def test_what_lasts_for_the_whole_load_is_not_what_it_recovers_from_unless_there_is_nothing_else() -> None:
    rows = storm_rows(lambda t_s: 900.0 if 5 <= t_s < 13 else 200.0)
    always = ("bounded", 0.0, 20.0)
    assert recovery_s([block(rows=rows, storm_windows=[always, *STORM])]) == 3.0
    assert why(recovery_s([block(rows=rows, storm_windows=[always])]))


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
    assert report.topologies["choreographed"].recovered is False
    assert report.topologies["choreographed"].recovery_watched_s == 10
    assert [row.cells for row in comparison_rows(report) if row.label == "recovery after storm"] == [
        ("0 s", "never in 10 s")
    ]
    assert "<td>never in 10 s</td>" in render_page(report)
    assert "| recovery after storm | 0 s | never in 10 s |" in render_markdown(report)


def test_of_blocks_without_a_recovery_time_the_one_that_did_not_recover_is_told() -> None:
    unmeasured = block(0, rows=storm_rows(lambda t_s: 200.0), storm_windows=[("x", 5.0, 18.0)])
    lost = block(3, rows=storm_rows(lambda t_s: 200.0 if t_s < 5 else 900.0), storm_windows=STORM)
    assert recovered(recovery_s([unmeasured, lost])) == "never in 10 s"
    assert recovered(recovery_s([unmeasured])) == "-"


def test_recovery_needs_twenty_sagas_before_the_storm() -> None:
    rows = storm_rows(lambda t_s: 200.0)
    assert completion_recovery_s([block(rows=rows, storm_windows=[("x", 2.0, 10.0)])]) == 0.0
    reason = why(completion_recovery_s([block(rows=rows, storm_windows=[("x", 1.9, 10.0)])]))
    assert reason == "block 1 (orchestrated) has 19 ended sagas before the storm, needs 20"


def test_recovery_needs_three_seconds_of_load_after_the_storm() -> None:
    rows = storm_rows(lambda t_s: 200.0)
    assert recovery_s([block(rows=rows, storm_windows=[("x", 5.0, 17.0)])]) == 0.0
    reason = why(recovery_s([block(rows=rows, storm_windows=[("x", 5.0, 17.5)])]))
    assert reason == "block 1 (orchestrated) goes on for 2.5 s after the storm, needs 3"


def test_without_a_storm_nobody_is_told_that_there_was_no_recovery() -> None:
    assert recovery_s([block()]) == Missing("there was no storm", expected=True)
    report = make_report(run(block()), [])
    assert report.topologies["orchestrated"].recovered is None
    assert not [reason for reason in report.summary.reasons if "recovery" in reason]


def waiting(*samples: tuple[float, float], **changes: Any) -> BlockData:
    """A block whose completion times are always the same and whose backlog was read so."""
    rows = storm_rows(lambda t_s: 200.0)
    series = healthy_series(rows) | {QUEUE: [depth(*samples)]}
    return block(rows=rows, series=series, **({"storm_windows": STORM} | changes))


def test_a_backlog_is_back_when_three_readings_are_on_average_what_was_read_before_the_storm() -> None:
    # Before it 4 at most. After it 9, 9, 9, then 6, 2, 2: 6 is above the band, the average of the three is not.
    data = waiting((0.5, 4.0), (2.5, 1.0), (7.0, 30.0), (10.5, 9.0), (13.5, 6.0), (14.5, 2.0))
    assert backlog_recovery_s([data]) == 3.0


def test_one_message_is_no_backlog() -> None:
    assert backlog_recovery_s([waiting((0.0, 0.0), (7.0, 30.0), (10.5, 1.0))]) == 0.0


def test_messages_in_work_are_backlog_and_those_that_the_storm_holds_back_are_not() -> None:
    data = waiting((0.0, 0.0))
    data.series[QUEUE] += [depth((9.0, 50.0), state="delayed"), depth((9.0, 50.0), (12.5, 0.0), state="in_flight")]
    assert backlog_recovery_s([data]) == 2.0


def test_both_completion_times_and_backlog_must_be_back() -> None:
    data = waiting((0.0, 0.0), (7.0, 30.0), (16.5, 0.0))
    assert completion_recovery_s([data]) == 0.0
    assert recovery_s([data]) == backlog_recovery_s([data]) == 6.0


def test_a_backlog_is_watched_into_the_drain() -> None:
    assert backlog_recovery_s([waiting((0.0, 0.0), (7.0, 30.0), (24.5, 0.0), drained_s=30.0)]) == 14.0


def test_queues_that_ran_empty_are_a_backlog_that_is_back_though_nobody_looked_again() -> None:
    assert backlog_recovery_s([waiting((0.0, 0.0), (7.0, 30.0), drained_s=22.0)]) == 12.0


def test_a_backlog_that_stays_to_the_end_of_the_drain_never_came_back() -> None:
    figure = recovery_s([waiting((0.0, 0.0), (7.0, 30.0), drained=False, drained_s=55.0)])
    assert (
        why(figure)
        == "block 1 (orchestrated) did not get its backlog back to 1 within 45 s after the storm, drain included"
    )
    assert recovered(figure) == "never in 45 s"


def test_a_backlog_that_was_not_read_makes_the_recovery_unknown_and_not_failed() -> None:
    rows = storm_rows(lambda t_s: 200.0)
    data = block(rows=rows, series={}, storm_windows=STORM)
    assert completion_recovery_s([data]) == 0.0
    assert why(recovery_s([data])) == "block 1 (orchestrated) has no readings of its queues"
    assert make_report(run(data), []).topologies["orchestrated"].recovered is None


def test_a_backlog_needs_three_readings_before_the_storm() -> None:
    reason = why(backlog_recovery_s([waiting((0.0, 0.0), storm_windows=[("x", 2.9, 10.0)])]))
    assert reason == "block 1 (orchestrated) has 2 readings of its queues before the storm, needs 3"


def test_a_backlog_that_was_hardly_watched_after_the_storm_is_not_one_that_never_came_back() -> None:
    data = waiting((0.0, 0.0), (7.0, 30.0), drained=False, drained_s=21.0, storm_windows=[("x", 5.0, 19.0)])
    figure = backlog_recovery_s([data])
    assert why(figure) == "block 1 (orchestrated) was watched for 2 s after the storm, needs 3"
    assert recovered(figure) == "-"


def test_the_reason_is_told_of_the_part_that_is_missing_and_not_twice() -> None:
    report = make_report(run(waiting((0.0, 0.0), (7.0, 30.0), drained=False, drained_s=55.0)), [])
    told = [reason for reason in report.summary.reasons if "null: block 1 (orchestrated) did not get" in reason]
    assert [reason.split(" is ")[0] for reason in told] == ["orchestrated: recovery_backlog_s"]


def test_without_a_complete_block_there_is_no_recovery() -> None:
    assert recovery_s([]) == NO_BLOCK


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run in which one topology heals late and the other never."""
    spec = synthetic_run.Spec(interleave="AB", duration_s=24.0, fades_s={"orchestrated": 6.0, "choreographed": inf})
    data = synthetic_run.read(synthetic_run.build(tmp_path_factory.mktemp("run"), spec))
    return make_report(data, synthetic_run.audits(data))


def test_a_run_with_a_topology_that_heals_late_and_one_that_never_does(stormy: Report) -> None:
    late, never = stormy.topologies["orchestrated"], stormy.topologies["choreographed"]
    assert (late.recovered, late.recovery_watched_s) == (True, None)
    assert late.recovery_s == max(late.recovery_completion_s or 0, late.recovery_backlog_s or 0) > 1
    assert (never.recovered, never.recovery_s) == (False, None)
    assert never.recovery_watched_s == 24.0 + synthetic_run.STUCK_DRAIN_S - synthetic_run.STORM_END_S


def test_the_one_that_never_heals_has_more_of_all_that_a_retry_storm_is_made_of(stormy: Report) -> None:
    late, never = stormy.topologies["orchestrated"], stormy.topologies["choreographed"]
    assert (never.amplification_peak or 0) > (late.amplification_peak or 0) > 1.2
    assert (never.peak_backlog or 0) > (late.peak_backlog or 0)
    assert (never.peak_oldest_s or 0) > (late.peak_oldest_s or 0)
    assert (never.goodput_in_storm_per_s or 0) < (never.offered_in_storm_per_s or 0)
