"""Differences and their intervals, on data whose true difference is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.core.seeded import uniform
from harness.history.records import SagaRow
from harness.report import bootstrap
from harness.report.compare import Comparison, Difference, Interval, compare, covers
from harness.report.quantiles import QUANTILES
from tests.report.small import block, run, saga, sagas


def drawn(seed: int, count: int, median_ms: float, *, compensated: float = 0.1) -> list[SagaRow]:
    """Sagas with lognormal completion times, and a share of them compensated."""
    rows = []
    for number in range(count):
        # Box and Muller's two uniforms to one normal.
        angle = 2 * math.pi * uniform(seed, "angle", number)
        normal = math.sqrt(-2 * math.log(1 - uniform(seed, "radius", number))) * math.cos(angle)
        undone = uniform(seed, "undone", number) < compensated
        rows.append(
            saga(
                number,
                20.0 * number / count,
                median_ms * math.exp(0.3 * normal),
                outcome="compensated" if undone else "completed",
            )
        )
    return rows


def compared(left: list[SagaRow], right: list[SagaRow], **changes: Any) -> Comparison:
    data = run(block(0, rows=left), block(1, "choreographed", rows=right, **changes))
    (comparison,) = compare(data)
    return comparison


def test_of_identical_data_every_interval_covers_no_difference() -> None:
    rows = drawn(1, 400, 200.0)
    comparison = compared(rows, rows)
    for difference in comparison.differences:
        assert difference.difference_interval is not None
        assert difference.difference_interval.holds(0.0), difference.metric
        assert not difference.clear
        if difference.ratio is not None:
            assert difference.ratio_interval is not None
            assert difference.ratio_interval.holds(1.0)


def test_of_two_samples_of_one_distribution_the_intervals_cover_no_difference() -> None:
    comparison = compared(drawn(1, 400, 200.0), drawn(2, 400, 200.0))
    assert [difference.metric for difference in comparison.differences if difference.clear] == []


@pytest.mark.parametrize("factor", [0.7, 1.25, 2.0])
def test_a_known_shift_lies_within_the_interval_and_no_difference_does_not(factor: float) -> None:
    comparison = compared(drawn(1, 800, 200.0), drawn(2, 800, 200.0 * factor))
    for name in ("p50", "p95"):
        difference = comparison.of(f"completion {name}")
        assert difference.ratio_interval is not None
        assert difference.ratio_interval.holds(factor), name
        assert difference.difference_interval is not None
        assert not difference.difference_interval.holds(0.0)
    assert comparison.of("completion p50").clear


def test_a_known_difference_in_compensations_lies_within_the_interval() -> None:
    comparison = compared(drawn(1, 800, 200.0, compensated=0.05), drawn(2, 800, 200.0, compensated=0.25))
    difference = comparison.of("compensation rate")
    assert difference.ratio is None
    assert difference.difference_interval is not None
    assert difference.difference_interval.holds(0.2)
    assert difference.clear


def test_a_topology_that_ends_its_sagas_in_the_drain_has_a_lower_throughput() -> None:
    quick = sagas(200, took_ms=50.0)
    late = [msgspec.structs.replace(row, completion_ms=60_000.0) if row.scheduled_s >= 10 else row for row in quick]
    difference = compared(quick, late).of("throughput")
    assert (difference.base, difference.other) == (10.0, 5.0)
    assert difference.clear


def test_the_same_seed_gives_the_same_intervals() -> None:
    left, right = drawn(1, 200, 200.0), drawn(2, 200, 220.0)
    assert compared(left, right) == compared(left, right)


def test_a_point_estimate_is_the_quantile_of_the_pooled_rows() -> None:
    comparison = compared(sagas(120, took_ms=100.0), sagas(120, took_ms=150.0))
    for name in QUANTILES:
        difference = comparison.of(f"completion {name}")
        assert (difference.base, difference.other, difference.ratio) == (100.0, 150.0, 1.5)


def test_too_few_sagas_make_a_quantile_null_with_the_reason() -> None:
    comparison = compared(sagas(99), sagas(99))
    p99 = comparison.of("completion p99")
    assert (p99.base, p99.difference_interval) == (None, None)
    assert p99.why == "99 sagas ended in one of the topologies, 100 are needed"
    assert comparison.of("completion p95").difference_interval is not None


def test_too_few_seconds_leave_the_difference_without_an_interval() -> None:
    rows = sagas(120, duration_s=9.0)
    data = run(block(0, rows=rows, duration_s=9.0), block(1, "choreographed", rows=rows, duration_s=9.0))
    difference = compare(data)[0].of("completion p50")
    assert difference.ratio == 1.0
    assert difference.ratio_interval is None
    assert difference.why == "9 slices of 1 s, an interval takes 10"


@pytest.mark.parametrize(
    ("duration_s", "slice_s", "told"),
    [
        (50.0, 5.0, "over 5-second slices of arrivals (2,000 resamples)."),
        (45.0, 2.0, "over 2-second slices of arrivals (2,000 resamples; too short for 10 slices of 5 s)."),
        (18.0, 1.0, "over 1-second slices of arrivals (2,000 resamples; too short for 10 slices of 5 s)."),
    ],
)
def test_slices_are_as_long_as_the_run_has_room_for_ten_of_them_and_their_length_is_told(
    duration_s: float, slice_s: float, told: str
) -> None:
    rows = sagas(120, duration_s=duration_s)
    data = run(block(0, rows=rows, duration_s=duration_s), block(1, "choreographed", rows=rows, duration_s=duration_s))
    (comparison,) = compare(data)
    assert (comparison.slice_s, comparison.of("completion p50").difference_interval is not None) == (slice_s, True)
    assert told in covers([comparison])


def test_two_rounds_of_25_seconds_are_ten_slices_of_five() -> None:
    rows = sagas(120, duration_s=25.0)
    topologies = ("orchestrated", "choreographed", "choreographed", "orchestrated")
    data = run(*(block(n, topologies[n], rows=rows, duration_s=25.0) for n in range(4)), interleave="ABBA")
    (comparison,) = compare(data)
    assert (comparison.slices, comparison.slice_s) == (10, 5.0)


def test_a_difference_that_one_round_does_not_show_is_not_clear() -> None:
    interval = Interval(10.0, 90.0)
    known = Difference("completion p50", "ms", 100.0, 150.0, 50.0, interval, 1.5, Interval(1.1, 1.9))
    for by_round, clear in (((1.9, 1.2), True), ((3.0, 0.9), False), ((1.5, 1.0), False), ((1.5, None), True)):
        assert replace(known, by_round=by_round).clear is clear, by_round
    tail = replace(known, metric="completion p95", rounds_needed=4)
    assert not replace(tail, by_round=(1.9, 1.2, 1.4)).clear
    assert replace(tail, by_round=(1.9, 1.2, 1.4, 1.1)).clear
    share = Difference("compensation rate", "%", 0.3, 0.2, -0.1, Interval(-0.2, -0.05))
    assert replace(share, by_round=(-0.15, -0.05)).clear
    assert not replace(share, by_round=(-0.25, 0.05)).clear


def test_an_interval_of_few_slices_is_wider_than_the_resamples_alone_would_make_it() -> None:
    rows = drawn(1, 400, 200.0), drawn(2, 400, 200.0)
    comparison = compared(*rows)
    assert (comparison.slices, comparison.slice_s) == (10, 2.0)
    left, right = (bootstrap.slices([block(number, rows=rows[number])], 2.0) for number in (0, 1))
    base, other = bootstrap.resample(left, right, [bootstrap.quantile_of(0.5)], run().run.settings.seed)[0]
    low, high = np.quantile(other - base, [0.025, 0.975])
    told = comparison.of("completion p50").difference_interval
    assert told is not None
    assert told.low < low
    assert told.high > high


def test_rounds_are_told_one_by_one_so_that_drift_shows() -> None:
    data = run(
        block(0, "orchestrated", rows=sagas(120, took_ms=100.0)),
        block(1, "choreographed", rows=sagas(120, took_ms=150.0)),
        block(2, "choreographed", rows=sagas(120, took_ms=160.0)),
        block(3, "orchestrated", rows=sagas(120, took_ms=200.0)),
        interleave="ABBA",
    )
    (comparison,) = compare(data)
    assert comparison.rounds == (0, 1)
    assert (comparison.slices, comparison.slice_s) == (20, 2.0)
    assert comparison.of("completion p50").by_round == (1.5, 0.8)


@pytest.mark.parametrize("changes", [{"state": "aborted"}, {"load_digest": "another"}, {"round": 1}])
def test_blocks_that_did_not_meet_the_same_are_not_compared(changes: dict[str, Any]) -> None:
    comparison = compared(sagas(120), sagas(120), **changes)
    assert comparison.rounds == ()
    assert {difference.why for difference in comparison.differences} == {
        "no round was completed by both topologies with the same load"
    }


def test_a_run_of_one_topology_compares_nothing() -> None:
    assert compare(run(block(0))) == []


def test_every_further_topology_is_compared_with_the_first() -> None:
    data = run(block(0, "orchestrated"), block(1, "choreographed"), block(2, "hybrid", round=0), interleave="ABC")
    assert [(each.base, each.other) for each in compare(data)] == [
        ("orchestrated", "choreographed"),
        ("orchestrated", "hybrid"),
    ]
