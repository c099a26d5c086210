"""``late-step``."""

from __future__ import annotations

from harness.core.verdict import Verdict
from tests.audit.handwritten import Book, names, no_money, no_stock, pivot_never_ran, pivot_released, witness


def test_step_that_its_tombstone_did_not_refuse_is_late() -> None:
    book = pivot_never_ran(Book())
    book.did("s-1", "reserve", at_ms=70)
    audit = book.audit()

    assert names(audit) == {"late-step", "compensation-missing"}
    assert witness(audit, "late-step") == (
        "saga s-1: reserve was expected to be refused after release (nothing-to-undo at +25.000 ms), "
        "it was done at +60.000 ms and not undone"
    )


def test_step_that_its_tombstone_refused_is_not_late() -> None:
    assert pivot_never_ran(Book()).audit().verdict is Verdict.VALID


def test_step_after_another_ones_compensation_is_late() -> None:
    book = no_money(Book())
    book.did("s-1", "reserve", at_ms=35)
    audit = book.audit()

    assert "late-step" in names(audit)
    assert "after reject (done at +20.000 ms)" in witness(audit, "late-step")


def test_step_beyond_the_pivot_after_a_compensation_is_late() -> None:
    book = no_stock(Book())
    book.did("s-1", "approve", at_ms=45)

    assert "late-step" in names(book.audit())


def test_step_before_the_first_compensation_is_not_late() -> None:
    assert pivot_released(Book()).audit().verdict is Verdict.VALID


def test_step_sent_after_the_answer_to_its_compensation_is_late_although_the_sum_is_right() -> None:
    book = no_stock(Book())
    book.strike("s-1", "reserve")
    book.did("s-1", "release", at_ms=35)
    book.did("s-1", "reserve", at_ms=70)
    audit = book.audit()

    assert names(audit) == {"late-step"}
    assert "reserve was expected to be done before release" in witness(audit, "late-step")


def test_step_sent_while_its_compensation_was_under_way_was_found_and_undone() -> None:
    book = no_stock(Book())
    book.strike("s-1", "reserve")
    book.entry("s-1", "release", at_ms=35)  # sent first, committed last: it found the step and undid it
    book.handling("s-1", "release", began_ms=35, took_ms=4.0)
    book.did("s-1", "reserve", at_ms=37)

    assert book.audit().verdict is Verdict.VALID


def test_step_is_not_proven_late_where_the_worker_died_before_it_could_record_the_compensation() -> None:
    book = no_stock(Book())
    book.strike("s-1", "reserve")
    book.entry("s-1", "release", at_ms=35)
    book.handling("s-1", "release", began_ms=60, replayed=True)
    book.did("s-1", "reserve", at_ms=37)

    assert book.audit().verdict is Verdict.VALID


def test_closing_step_is_never_late() -> None:
    assert no_stock(Book()).audit().verdict is Verdict.VALID
