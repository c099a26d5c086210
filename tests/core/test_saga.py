"""Which definitions make a saga, and which are refused as soon as they are written."""

from __future__ import annotations

import pytest

from harness.core.saga import Compensation, Saga, Step, StepKind
from harness.sagas.create_order import SAGA
from tests.samples import nothing, pivot, retriable, saga, undoable


def test_steps_go_from_compensatable_over_the_pivot_to_retriable() -> None:
    made = saga(undoable("book"), pivot("pay"), retriable("tell"), after=(retriable("apologise"),))
    assert made.pivot_index == 1
    assert list(made.works()) == ["book", "un-book", "pay", "un-pay", "tell", "apologise"]


def test_participants_are_named_once_in_the_order_in_which_the_saga_meets_them() -> None:
    assert SAGA.participants == ("order", "payment", "inventory", "notification")


@pytest.mark.parametrize(
    ("steps", "pivot_index"),
    [
        pytest.param((undoable("a"), undoable("b"), retriable("c")), 1, id="without a pivot"),
        pytest.param((retriable("a"),), -1, id="with nothing to undo"),
    ],
)
def test_pivot_index_without_a_pivot_is_the_last_step_that_can_refuse(
    steps: tuple[Step, ...], pivot_index: int
) -> None:
    assert saga(*steps).pivot_index == pivot_index


def test_compensation_is_retriable_work_of_the_participant_that_took_the_step() -> None:
    refund = SAGA.works()["refund"]
    assert (refund.participant, refund.kind, refund.undoes, refund.refused) == (
        "payment",
        StepKind.RETRIABLE,
        "charge",
        None,
    )


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((retriable("c"), undoable("a")), id="retriable before compensatable"),
        pytest.param((pivot("b"), undoable("a")), id="pivot before compensatable"),
        pytest.param((retriable("c"), pivot("b")), id="retriable before pivot"),
        pytest.param((pivot("a"), pivot("b")), id="two pivots"),
    ],
)
def test_steps_out_of_order_are_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(ValueError, match="the order is compensatable steps, at most one pivot, retriable steps"):
        saga(*steps)


def test_saga_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        saga()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: saga(undoable("a", compensation=None)), id="compensatable"),
        pytest.param(lambda: saga(pivot("a", compensation=None)), id="pivot"),
    ],
)
def test_step_that_can_be_undone_without_a_compensation_is_refused(make: type[Saga]) -> None:
    with pytest.raises(ValueError, match="steps have a compensation"):
        make()


def test_retriable_step_with_a_compensation_is_refused() -> None:
    with pytest.raises(ValueError, match="steps have no compensation"):
        saga(retriable("a", compensation=Compensation("un-a", "a-undone", nothing)))


def test_retriable_step_that_may_refuse_is_refused() -> None:
    with pytest.raises(ValueError, match="a retriable step cannot refuse"):
        saga(retriable("a", refused="a-refused"))


def test_closing_step_that_is_not_retriable_is_refused() -> None:
    with pytest.raises(ValueError, match="after_compensation holds retriable steps only"):
        saga(undoable("a"), after=(undoable("b"),))


def test_closing_step_of_a_saga_that_cannot_be_undone_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to compensate"):
        saga(retriable("a"), after=(retriable("b"),))


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((undoable("a"), retriable("a", succeeded="other")), id="two steps"),
        pytest.param((undoable("a"), retriable("un-a", succeeded="other")), id="a step and a compensation"),
    ],
)
def test_name_that_is_taken_is_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(ValueError, match="names must differ"):
        saga(*steps)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((undoable("a"), retriable("b", succeeded="a-done")), id="of two steps"),
        pytest.param((undoable("a", refused="a-done"),), id="of both ends of one step"),
        pytest.param((undoable("a"), retriable("b", succeeded="a-undone")), id="of a step and a compensation"),
        pytest.param((undoable("a", succeeded="sample-requested"),), id="of a step and the start"),
    ],
)
def test_event_that_is_taken_is_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(ValueError, match="every event has its own name"):
        saga(*steps)


def test_participant_without_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="participant shop has no tables"):
        saga(undoable("a"), tables={"elsewhere": ()})
