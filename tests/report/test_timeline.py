"""A block second by second: what waits, how old it is, how often things are tried."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from harness.report.run_data import ATTEMPTS, QUEUE, RETRIES, BlockData
from harness.report.series import Track
from harness.report.timeline import amplification, backlog, in_flight, oldest_s, per_second
from tests.report.small import block, depth, healthy_series, saga, sagas, track


def layer(
    name: str, attempts: Sequence[float], retries: Sequence[float], target: str = "worker-1"
) -> dict[str, list[Track]]:
    """What was counted in all by 1, 2, 3, … s."""

    def counter(values: Sequence[float]) -> list[Track]:
        return [track(target, list(enumerate(map(float, values), 1)), layer=name)]

    return {ATTEMPTS: counter(attempts), RETRIES: counter(retries)}


def counted(*layers: dict[str, list[Track]]) -> BlockData:
    return block(series={metric: [each for one in layers for each in one[metric]] for metric in (ATTEMPTS, RETRIES)})


def test_moments_are_counted_in_their_second() -> None:
    times_s = block(rows=[saga(0, 0.0, 999.0), saga(1, 0.5, 500.0), saga(2, 1.9, 5_000.0)]).ended_s
    assert per_second(times_s, 3).tolist() == [1.0, 1.0, 0.0]


def test_two_processes_that_read_one_queue_do_not_make_it_deeper() -> None:
    labels = {"queue": "payment", "state": "visible"}
    readings = [
        depth((1.0, 4.0)),
        track("worker-1", [(1.0, 3.0)], **labels),
        depth((1.0, 2.0), queue="order", state="in_flight"),
        depth((1.0, 50.0), queue="order", state="dead"),
    ]
    assert backlog(block(series={QUEUE: readings}), 3).tolist() == [6.0, 6.0, 6.0]


def test_a_backlog_can_be_asked_for_from_any_moment_on() -> None:
    data = block(series={QUEUE: [depth((2.2, 7.0), (3.4, 9.0))]})
    assert backlog(data, 2, from_s=1.5).tolist() == [7.0, 9.0]


def test_the_oldest_saga_under_way_ages_until_it_ends_and_then_the_next_is_the_oldest() -> None:
    data = block(rows=[saga(0, 0.0, 3_500.0), saga(1, 2.5, 3_000.0), saga(2, 9.5, 100.0)])
    assert oldest_s(data, 8).tolist() == [1.0, 2.0, 3.0, 1.5, 2.5, 0.0, 0.0, 0.0]


def test_sagas_are_in_flight_from_when_they_were_due_until_they_end_or_nobody_looks_any_more() -> None:
    rows = [saga(0, 0.0, 2_500.0), saga(1, 0.5, None), saga(2, 1.5, None, status="rejected"), saga(3, 2.5, 1_000.0)]
    assert in_flight(block(rows=rows, duration_s=4.0, drained_s=4.5), 7).tolist() == [2.0, 2.0, 2.0, 1.0, 1.0, 0.0, 0.0]


def test_a_zombie_ages_as_long_as_anybody_looks_and_an_arrival_that_was_turned_away_does_not() -> None:
    rows = [saga(0, 1.0, None, status="rejected"), saga(1, 2.0, None), saga(2, 3.0)]
    assert oldest_s(block(rows=rows, drained_s=20.5), 23).tolist()[-4:] == [18.0, 18.5, 18.5, 18.5]


def test_amplification_is_told_in_bins_of_two_seconds_by_layer_and_as_their_product() -> None:
    data = counted(layer("sdk", [20, 40, 70, 100], [0, 0, 20, 40]), layer("delivery", [10, 20, 40, 60], [0, 0, 10, 20]))
    lines = amplification(data, 4)
    assert lines["sdk"].tolist() == [1.0, 1.0, 3.0, 3.0]
    assert lines["delivery"].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert lines["total"].tolist() == [1.0, 1.0, 6.0, 6.0]
    assert "stepfunctions" not in lines


def test_a_restarted_worker_goes_on_where_the_killed_one_stopped() -> None:
    killed = layer("sdk", [20, 40], [0, 0])
    restarted = {
        ATTEMPTS: [track("worker-2", [(3.0, 30.0), (4.0, 60.0)], layer="sdk")],
        RETRIES: [track("worker-2", [(3.0, 15.0), (4.0, 30.0)], layer="sdk")],
    }
    assert amplification(counted(killed, restarted), 4)["sdk"].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_what_was_counted_before_the_load_is_not_in_it() -> None:
    attempts = [track("worker-1", [(-0.5, 500.0), (0.5, 510.0), (1.5, 520.0)], layer="sdk")]
    retries = [track("worker-1", [(-0.5, 400.0), (1.5, 410.0)], layer="sdk")]
    assert amplification(block(series={ATTEMPTS: attempts, RETRIES: retries}), 2)["sdk"].tolist() == [2.0, 2.0]


def test_calls_of_the_harness_are_no_sagas() -> None:
    assert amplification(counted(layer("sdk", [100, 200], [50, 100], target="harness")), 2) == {}


def test_with_too_few_first_tries_nothing_is_told_and_with_retries_alone_there_is_no_total_either() -> None:
    # In the second bin nothing new is delivered, only what was delivered before.
    lines = amplification(
        counted(layer("sdk", [20, 40, 60, 80], [0] * 4), layer("delivery", [20, 40, 70, 100], [0, 0, 30, 60])), 4
    )
    assert lines["sdk"].tolist() == [1.0] * 4
    assert [isnan(value) for value in lines["delivery"]] == [False, False, True, True]
    assert [isnan(value) for value in lines["total"]] == [False, False, True, True]


def test_a_layer_in_which_nothing_happens_does_not_hide_the_others() -> None:
    data = counted(layer("sdk", [20, 40, 60, 80], [0, 0, 10, 20]), layer("delivery", [20, 40, 40, 40], [0] * 4))
    assert amplification(data, 4)["total"].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_when_next_to_nothing_is_tried_there_is_no_total() -> None:
    total = amplification(counted(layer("sdk", [20, 40, 41, 42], [0, 0, 1, 2])), 4)["total"]
    assert [isnan(value) for value in total] == [False, False, True, True]


def test_a_block_of_no_seconds_has_no_values() -> None:
    data = block(series=healthy_series(sagas(3)))
    assert (amplification(data, 0), backlog(data, 0).tolist(), oldest_s(data, 0).tolist()) == ({}, [], [])
