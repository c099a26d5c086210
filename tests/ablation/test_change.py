"""What a difference amounts to."""

from __future__ import annotations

import pytest

from harness.ablation.change import (
    NEVER,
    Change,
    Mark,
    Value,
    of_blocks,
    of_sagas,
    of_unresolved,
    student,
    value_of,
)  # fmt: skip
from harness.report.compare import Difference, Interval
from harness.report.figures import Missing
from tests.report.small import block, saga, sagas

Pairs = list[tuple[Value, Value]]


def test_students_interval_is_that_of_the_textbook() -> None:
    # Three values 1, 2, 3: mean 2, standard deviation 1, t(2) = 4.303.
    interval = student([1.0, 2.0, 3.0])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5))
    assert student([1.0]) is None


@pytest.mark.parametrize(
    ("pairs", "mark"),
    [
        pytest.param([(1.0, 3.0), (1.1, 3.0), (0.9, 3.1)], Mark.WORSE, id="clearly more"),
        pytest.param([(3.0, 1.0), (3.0, 1.1), (3.1, 0.9)], Mark.BETTER, id="clearly less"),
        pytest.param([(1.0, 3.0), (3.0, 1.5)], Mark.UNCLEAR, id="rounds disagree"),
        pytest.param([(1.0, 3.0)], Mark.NO_INTERVAL, id="one round"),
        pytest.param([(2.0, 3.0), (4.0, 5.0)], Mark.NO_INTERVAL, id="all rounds by exactly the same"),
        pytest.param([(1.0, 1.0), (2.0, 2.0)], Mark.SAME, id="no difference at all"),
        pytest.param([(None, 1.0)], Mark.NOT_COMPARED, id="not measured"),
        pytest.param([(2.0, NEVER), (3.0, NEVER)], Mark.NEW, id="never again"),
        pytest.param([(NEVER, 2.0)], Mark.GONE, id="no longer never"),
        pytest.param([(2.0, NEVER), (3.0, 2.0)], Mark.UNCLEAR, id="now and then never"),
        pytest.param([(NEVER, NEVER)], Mark.SAME, id="never in both"),
    ],
)
def test_blocks_in_pairs_amount_to(pairs: Pairs, mark: Mark) -> None:
    assert of_blocks(pairs).mark is mark


def test_less_is_worse_where_it_is_said_so() -> None:
    assert of_blocks([(3.0, 1.0), (3.0, 1.1)], less_is_worse=True).mark is Mark.WORSE


def test_some_against_none_is_a_fact_even_in_one_round_but_only_of_what_should_not_be() -> None:
    assert of_blocks([(0.0, 4.0)], is_fact=True).mark is Mark.NEW
    assert of_blocks([(4.0, 0.0)], is_fact=True).mark is Mark.GONE
    assert of_blocks([(0.0, 4.0)]).mark is Mark.NO_INTERVAL
    assert of_blocks([(0.0, 4.0), (0.0, 0.0)], is_fact=True).mark is Mark.UNCLEAR


def test_a_difference_is_of_the_pairs_in_which_both_were_measured() -> None:
    change = of_blocks([(1.0, 2.0), (None, 50.0), (3.0, 4.0)])
    assert (change.base, change.other, change.amount) == (2.0, 3.0, 1.0)


@pytest.mark.parametrize(
    ("change", "direction"),
    [
        (Change(mark=Mark.WORSE, amount=2.0), 1),
        (Change(mark=Mark.WORSE, amount=-2.0), -1),
        (Change(mark=Mark.BETTER, amount=0.5, is_ratio=True), -1),
        (Change(mark=Mark.NEW, base=2.0, other=NEVER), 1),
        (Change(mark=Mark.GONE, base=NEVER, other=2.0), -1),
        (Change(mark=Mark.UNCLEAR, amount=2.0), 0),
        (Change(mark=Mark.NO_INTERVAL, amount=2.0), 0),
    ],
)
def test_direction_is_told_of_what_is_clear_only(change: Change, direction: int) -> None:
    assert change.direction == direction


def test_of_sagas_a_difference_that_rounds_disagree_on_is_unclear_whatever_its_interval() -> None:
    agreed = Difference(
        "completion p50", "ms", 100.0, 200.0, 100.0, Interval(80.0, 120.0), 2.0, Interval(1.8, 2.2), (2.0, 1.9)
    )
    disputed = Difference(
        "completion p50", "ms", 100.0, 200.0, 100.0, Interval(80.0, 120.0), 2.0, Interval(1.8, 2.2), (3.0, 0.9)
    )
    assert of_sagas(agreed) == Change(
        mark=Mark.WORSE, base=100.0, other=200.0, is_ratio=True, amount=2.0, low=1.8, high=2.2
    )
    assert of_sagas(disputed).mark is Mark.UNCLEAR
    missing = of_sagas(Difference("completion p99", "ms", None, None, why="3 sagas ended"))
    assert (missing.mark, missing.why) == (Mark.NOT_COMPARED, "3 sagas ended")


def test_unresolved_sagas_have_an_interval_from_the_slices_in_which_they_arrived() -> None:
    healthy = block(rows=sagas(120))
    some = block(
        rows=[saga(row.arrival, row.scheduled_s, None if row.arrival % 7 < 4 else 200.0) for row in sagas(120)]
    )
    change = of_unresolved([(healthy, some)], seed=1)
    assert (change.mark, change.base, change.other, change.amount) == (Mark.NEW, 0.0, 69.0, 69.0)
    assert change.low is not None
    assert change.high is not None
    assert 60 < change.low < 69 < change.high < 80
    assert of_unresolved([(healthy, some)], seed=1) == change


def test_unresolved_sagas_of_one_moment_are_no_more_than_chance() -> None:
    once = block(rows=[saga(0, 0.0, None), *sagas(120)[1:]])
    few = block(rows=[saga(n, n / 6, None if n < 5 else 200.0) for n in range(120)])
    assert of_unresolved([(once, few)], seed=1).mark is Mark.UNCLEAR


def test_unresolved_sagas_that_not_every_round_has_more_of_are_unclear_whatever_their_interval() -> None:
    healthy, once = block(rows=sagas(120)), block(rows=[saga(0, 0.0, None), *sagas(120)[1:]])
    many = block(rows=[saga(row.arrival, row.scheduled_s, None) for row in sagas(120)])
    change = of_unresolved([(once, many), (once, many), (once, healthy)], seed=1)
    assert change.low is not None
    assert change.low > 0
    assert change.mark is Mark.UNCLEAR


def test_a_figure_that_was_watched_for_and_did_not_come_is_never_and_not_unmeasured() -> None:
    assert value_of(2.5) == 2.5
    assert value_of(Missing("did not get back", longer_than_s=5)) == NEVER
    assert value_of(Missing("no series")) is None
