"""``compensation-missing``, ``-twice``, ``-without-step``, ``-after-pivot`` and ``-order``."""

from __future__ import annotations

import pytest

from harness.core.verdict import Verdict
from tests.audit.handwritten import (
    Book,
    charge_never_ran,
    complete_block,
    completed,
    names,
    no_stock,
    pivot_never_ran,
    pivot_released,
    witness,
)


@pytest.mark.parametrize("undo", ["refund", "reject"])
def test_step_of_a_compensated_saga_that_was_not_undone_misses_its_compensation(undo: str) -> None:
    book = no_stock(Book())
    book.strike("s-1", undo)
    audit = book.audit()

    assert names(audit) == {"compensation-missing"}
    assert witness(audit, "compensation-missing").startswith("saga s-1")
    assert f"{undo} was expected to be done" in witness(audit, "compensation-missing")


def test_compensation_that_found_nothing_misses_a_step_that_was_done() -> None:
    book = no_stock(Book())
    book.strike("s-1", "refund")
    book.did("s-1", "refund", "nothing-to-undo", at_ms=40)
    audit = book.audit()

    assert names(audit) == {"compensation-missing"}
    assert "only refund nothing-to-undo" in witness(audit, "compensation-missing")


def test_step_that_never_ran_needs_no_compensation() -> None:
    assert charge_never_ran(Book()).audit().verdict is Verdict.VALID


def test_compensation_of_a_saga_that_ended_is_missing_even_before_all_came_to_rest() -> None:
    book = no_stock(Book(block=complete_block(drained=False)))
    book.strike("s-1", "refund")

    assert names(book.audit()) == {"compensation-missing"}


def test_unfinished_compensation_is_not_missing_but_unresolved() -> None:
    book = no_stock(Book())
    for step in ("reject", "cancel"):
        book.strike("s-1", step)
    book.clients.clear()
    book.client("s-1", None)

    assert names(book.audit()) == {"unresolved-saga"}


@pytest.mark.parametrize("undo", ["refund", "reject"])
def test_compensation_with_two_entries_is_a_compensation_twice(undo: str) -> None:
    book = no_stock(Book())
    book.did("s-1", undo, at_ms=55)
    audit = book.audit()

    assert names(audit) == {"compensation-twice"}
    assert f"{undo} was done 2 times" in witness(audit, "compensation-twice")


def test_compensation_that_found_nothing_and_was_asked_again_is_none_twice() -> None:
    book = pivot_never_ran(Book())
    book.did("s-1", "release", "nothing-to-undo", at_ms=36)

    assert book.audit().verdict is Verdict.VALID


def test_compensation_twice_is_proven_by_the_workers_where_there_are_no_tables() -> None:
    book = no_stock(Book())
    book.handling("s-1", "refund", began_ms=44)
    book.only_steps()

    assert names(book.audit()) == {"compensation-twice"}


def test_replayed_compensation_is_none_twice() -> None:
    book = no_stock(Book())
    book.handling("s-1", "refund", began_ms=44, replayed=True)
    assert book.audit().verdict is Verdict.VALID

    book.only_steps()
    assert names(book.audit()) == set()


def test_compensation_of_a_step_that_never_ran_is_a_compensation_without_step() -> None:
    book = no_stock(Book())
    book.did("s-1", "release", at_ms=35)
    audit = book.audit()

    assert names(audit) == {"compensation-without-step"}
    assert "saga s-1: release was done" in witness(audit, "compensation-without-step")


def test_step_may_be_about_to_be_read_in_a_block_that_is_not_at_rest() -> None:
    book = no_stock(Book(block=complete_block(drained=False)))
    book.did("s-1", "release", at_ms=35)

    assert names(book.audit()) == set()


@pytest.mark.parametrize("forward", ["approve", "confirm"])
def test_compensation_after_a_step_beyond_the_pivot_is_a_compensation_after_pivot(forward: str) -> None:
    book = pivot_released(Book())
    book.did("s-1", forward, at_ms=33)
    audit = book.audit()

    assert "compensation-after-pivot" in names(audit)
    assert witness(audit, "compensation-after-pivot").startswith(f"saga s-1: {forward} was done at +23.000 ms")
    assert "release at +25.000 ms" in witness(audit, "compensation-after-pivot")


def test_first_step_beyond_the_pivot_is_the_one_that_counts() -> None:
    book = pivot_released(Book())
    book.did("s-1", "approve", at_ms=33)
    book.did("s-1", "confirm", at_ms=80)

    assert witness(book.audit(), "compensation-after-pivot").startswith("saga s-1: approve was done")


def test_pivot_of_unknown_outcome_may_be_released() -> None:
    assert pivot_released(Book()).audit().verdict is Verdict.VALID


def test_compensation_that_finds_nothing_after_the_pivot_compensates_nothing() -> None:
    book = completed(Book())
    book.did("s-1", "reject", "nothing-to-undo", at_ms=70)

    assert "compensation-after-pivot" not in names(book.audit())


def test_step_beyond_the_pivot_that_comes_after_the_compensations_is_not_named_twice() -> None:
    book = no_stock(Book())
    book.did("s-1", "approve", at_ms=55)

    assert names(book.audit()) == {"late-step"}


def test_compensations_in_the_order_of_their_steps_are_out_of_order() -> None:
    book = no_stock(Book())
    book.strike("s-1", "reject")
    book.did("s-1", "reject", at_ms=39)
    audit = book.audit()

    assert names(audit) == {"compensation-order"}
    assert witness(audit, "compensation-order") == (
        "saga s-1: refund was expected to be done before reject, it was done after it"
    )


def test_tombstone_that_is_written_too_late_is_out_of_order() -> None:
    book = pivot_never_ran(Book())
    book.strike("s-1", "release")
    book.did("s-1", "release", "nothing-to-undo", at_ms=45)

    assert names(book.audit()) == {"compensation-order"}


def test_commits_that_overtake_each_other_are_in_the_order_of_their_sending() -> None:
    book = no_stock(Book())
    book.strike("s-1", "refund")
    book.entry("s-1", "refund", at_ms=40)
    book.handling("s-1", "refund", began_ms=40, took_ms=30)

    assert book.audit().verdict is Verdict.VALID


def test_order_is_proven_by_the_workers_where_there_are_no_tables() -> None:
    book = no_stock(Book())
    book.strike("s-1", "reject")
    book.handling("s-1", "reject", began_ms=30, took_ms=5)
    book.only_steps()

    assert names(book.audit()) == {"compensation-order"}


@pytest.mark.parametrize("took_ms", [10.1, 15.0])
def test_order_is_not_proven_by_handlings_that_overlap(took_ms: float) -> None:
    book = no_stock(Book())
    book.strike("s-1", "reject")
    book.handling("s-1", "reject", began_ms=30, took_ms=took_ms)  # the refund began at 40
    book.only_steps()

    assert names(book.audit()) == set()


def test_order_is_not_proven_by_a_compensation_whose_first_handling_left_no_record() -> None:
    book = no_stock(Book())
    book.strike("s-1", "refund")
    book.handling("s-1", "refund", began_ms=70, replayed=True)
    book.only_steps()

    assert names(book.audit()) == set()
