"""``compensation-amount``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.core.verdict import Verdict
from tests.audit.handwritten import (
    PRICE,
    Book,
    complete_block,
    completed,
    names,
    no_stock,
    nothing_ever_ran,
    pivot_released,
    witness,
)

BALANCE = "balances:ann:cents"
VOUCHERS = "vouchers:ann:cents"


def _undone_by(undo: str, moved: dict[str, int], **block: Any) -> Book:
    """A saga with every compensation, one of which moved something else."""
    book = pivot_released(Book(block=complete_block(**block)))
    at_ms = next(entry.at_ns for entry in book.ledger if entry.step == undo) / 1e6
    book.strike("s-1", undo)
    book.did("s-1", undo, at_ms=at_ms, moved=moved)
    return book


@pytest.mark.parametrize("amount", [PRICE // 2, PRICE - 1, PRICE + 1, 2 * PRICE, -PRICE])
def test_refund_of_another_amount_is_found_although_the_books_balance(amount: int) -> None:
    audit = _undone_by("refund", {BALANCE: amount}).audit()

    assert names(audit) == {"compensation-amount"}
    assert audit.checks["money-or-stock-mismatch"] is Verdict.VALID
    assert witness(audit, "compensation-amount") == (
        f"saga s-1: charge moved payment {BALANCE} by -700, so refund was expected to move it by +700; "
        f"it moved it by {amount:+}"
    )


@pytest.mark.parametrize(("undo", "expected"), [("refund", "+700"), ("release", "+2"), ("reject", "-1")])
def test_compensation_that_moved_nothing_is_found(undo: str, expected: str) -> None:
    audit = _undone_by(undo, {}).audit()

    assert names(audit) == {"compensation-amount"}
    assert audit.anomalies[0].count == 1
    assert witness(audit, "compensation-amount").endswith(
        f"so {undo} was expected to move it by {expected}; it moved it by +0"
    )


def test_refund_to_another_account_is_found_with_the_number_of_accounts_that_differ() -> None:
    audit = _undone_by("refund", {"balances:bob:cents": PRICE}).audit()

    assert names(audit) == {"compensation-amount"}
    assert witness(audit, "compensation-amount").endswith(
        "so refund was expected to move it by +700; it moved it by +0 (1 more account differs)"
    )


def test_compensation_that_also_moves_what_its_step_did_not_is_found() -> None:
    audit = _undone_by("refund", {BALANCE: PRICE, "balances:bob:cents": 1}).audit()

    assert names(audit) == {"compensation-amount"}
    assert "charge moved payment balances:bob:cents by +0" in witness(audit, "compensation-amount")


def test_account_that_is_moved_by_nothing_need_not_be_named_by_both() -> None:
    assert _undone_by("refund", {BALANCE: PRICE, "balances:bob:cents": 0}).audit().verdict is Verdict.VALID


def test_wrong_amount_is_proven_before_all_came_to_rest_and_whatever_else_is_wrong() -> None:
    book = _undone_by("refund", {BALANCE: PRICE // 2}, state="aborted", drained=None)
    book.did("s-1", "refund", at_ms=41)

    assert names(book.audit()) == {"compensation-amount", "compensation-twice"}


def test_step_that_was_done_and_undone_too_often_by_the_right_amount_has_other_names() -> None:
    book = no_stock(Book())
    book.did("s-1", "charge", at_ms=21)
    book.did("s-1", "refund", at_ms=41)
    book.did("s-1", "refund", at_ms=42)

    assert names(book.audit()) == {"effect-twice", "compensation-twice"}


def test_step_that_was_done_twice_by_different_amounts_may_be_undone_by_either() -> None:
    book = _undone_by("refund", {BALANCE: 350})
    book.did("s-1", "charge", at_ms=21, moved={BALANCE: -350})

    assert names(book.audit()) == {"effect-twice"}


@pytest.mark.parametrize("undo", ["refund", "reject"])
def test_compensation_that_is_missing_has_another_name(undo: str) -> None:
    book = no_stock(Book())
    book.strike("s-1", undo)

    assert names(book.audit()) == {"compensation-missing"}


def _closed_by(moved: dict[str, int], story: Callable[[Book], Book] = no_stock, **block: Any) -> Book:
    """A compensated saga whose closing step moved something."""
    book = story(Book(block=complete_block(**block)))
    book.strike("s-1", "cancel")
    book.did("s-1", "cancel", at_ms=60, moved=moved)
    return book


@pytest.mark.parametrize("story", [no_stock, nothing_ever_ran])
def test_compensated_saga_whose_movements_do_not_sum_to_nothing_is_found(story: Callable[[Book], Book]) -> None:
    audit = _closed_by({VOUCHERS: 5}, story).audit()

    assert names(audit) == {"compensation-amount"}
    assert witness(audit, "compensation-amount") == (
        f"saga s-1: it is compensated, so movements of notification {VOUCHERS} were expected to sum to +0; "
        "cancel moved it by +5"
    )


def test_account_of_the_same_name_at_another_participant_is_another_account() -> None:
    audit = _closed_by({BALANCE: -1}).audit()

    assert f"movements of notification {BALANCE} were expected" in witness(audit, "compensation-amount")


def test_completed_saga_may_move_what_it_likes() -> None:
    book = completed(Book())
    book.strike("s-1", "confirm")
    book.did("s-1", "confirm", at_ms=50, moved={VOUCHERS: 5})

    assert book.audit().verdict is Verdict.VALID


def test_sum_is_final_before_all_came_to_rest_only_where_a_client_was_told_that_the_saga_ended() -> None:
    book = _closed_by({VOUCHERS: 5}, drained=False)
    assert names(book.audit()) == {"compensation-amount"}

    book.clients.clear()
    book.client(None, None, status="error")
    audit = book.audit()
    assert names(audit) == set()
    assert any(note.startswith("compensation-amount: 1 suspected") for note in audit.notes)
