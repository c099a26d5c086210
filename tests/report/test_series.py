"""What counters grew by: in the block, across restarts, across resets."""

from __future__ import annotations

from harness.history.records import Sample
from harness.report.costs import retry_amplification
from harness.report.series import cores_busy, counted, cpu_seconds, tracks
from tests.report.small import block, track


def test_a_counter_counts_from_what_it_read_when_the_load_started() -> None:
    assert counted(track("worker-1", [(-1.2, 40.0), (-0.2, 50.0), (0.8, 53.0), (9.8, 70.0)])) == 20


def test_a_labelled_counter_that_appears_during_the_load_counts_from_zero() -> None:
    assert counted(track("worker-1", [(3.0, 5.0), (4.0, 9.0)])) == 9


def test_a_decrease_is_a_reset_and_what_is_read_after_it_counts_from_zero() -> None:
    assert counted(track("worker-1", [(-0.5, 10.0), (1.0, 25.0), (2.0, 4.0), (3.0, 6.0)])) == 15 + 4 + 2


def test_attempts_of_a_restarted_worker_are_added_to_those_of_the_killed_one() -> None:
    attempts = [
        track("worker-1", [(-0.5, 0.0), (5.0, 100.0)], layer="sdk"),
        track("worker-2", [(8.0, 20.0), (12.0, 60.0)], layer="sdk"),
    ]
    retries = [track("worker-1", [(4.0, 30.0)], layer="sdk"), track("worker-2", [(9.0, 10.0)], layer="sdk")]
    data = block(series={"sagastorm_attempts_total": attempts, "sagastorm_retries_total": retries})
    assert retry_amplification([data])["sdk"] == 160 / (160 - 40)


def test_cpu_time_before_the_load_is_not_the_blocks_but_the_start_of_a_restarted_process_is() -> None:
    assert cpu_seconds(track("worker-1", [(-2.0, 3.0), (-0.5, 4.0), (9.5, 6.0)])) == 2.0
    assert cpu_seconds(track("load-1", [(0.7, 1.5), (9.7, 2.5)])) == 1.0
    assert cpu_seconds(track("worker-2", [(11.0, 0.8), (15.0, 1.8)])) == 1.8


def test_processors_kept_busy_are_told_by_the_time_between_the_samples_that_are_there() -> None:
    busy = track("machine", [(-5.0, 0.0), (-1.0, 10.0), (4.0, 17.0), (9.0, 20.0), (11.0, 99.0)])
    assert cores_busy(busy, until_s=10.0) == (20.0 - 10.0) / (9.0 + 1.0)


def test_processors_kept_busy_are_not_known_from_one_sample() -> None:
    assert cores_busy(track("backend-1", [(3.0, 5.0)]), until_s=10.0) is None
    assert cores_busy(track("backend-1", [(3.0, 5.0), (12.0, 6.0)]), until_s=10.0) is None


def test_a_gauge_stands_still_between_samples_and_is_not_known_before_the_first() -> None:
    gauge = track("harness", [(1.0, 3.0), (5.0, 7.0)])
    assert [gauge.value_at(second) for second in (0.5, 1.0, 4.9, 5.0, 99.0)] == [None, 3.0, 3.0, 7.0, 7.0]


def test_samples_are_sorted_into_one_series_for_each_process_and_label() -> None:
    samples = [
        Sample(t_s=float(second), target=target, metric="m", labels={"layer": layer}, value=float(second))
        for target, layer in (("worker-1", "sdk"), ("worker-1", "delivery"), ("worker-2", "sdk"))
        for second in (1, 2)
    ]
    found = {(each.target, each.labels["layer"]): each.values.tolist() for each in tracks(samples)}
    assert found == {
        ("worker-1", "sdk"): [1.0, 2.0],
        ("worker-1", "delivery"): [1.0, 2.0],
        ("worker-2", "sdk"): [1.0, 2.0],
    }
