"""``money-or-stock-mismatch``."""

from __future__ import annotations

import pytest

from harness.audit.auditor import audit_block
from harness.audit.evidence import Evidence
from harness.core.verdict import Verdict
from tests.audit.handwritten import PRICE, Book, complete_block, completed, names, no_stock, nothing_ever_ran, witness


@pytest.mark.parametrize("account", ["balances:ann:cents", "stock:sku-1:on_hand", "customers:ann:orders"])
@pytest.mark.parametrize("amount", [-1, 1])
def test_account_that_does_not_add_up_is_a_mismatch(account: str, amount: int) -> None:
    book = completed(Book())
    book.outside[account] = amount
    audit = book.audit()

    assert names(audit) == {"money-or-stock-mismatch"}
    assert audit.anomalies[0].sagas == ("s-1",)
    assert account in audit.anomalies[0].witness


def test_mismatch_tells_the_sum_and_who_moved_the_account() -> None:
    book = completed(completed(Book(), "s-1"), "s-2")
    book.outside["balances:ann:cents"] = PRICE

    assert witness(book.audit(), "money-or-stock-mismatch") == (
        "payment balances:ann:cents: 10000 before and movements of -1400 by saga s-1, s-2, so 8600 was expected; "
        "it is 9300 (+700)"
    )


def test_account_that_no_saga_moved_is_a_mismatch_when_it_changed() -> None:
    book = nothing_ever_ran(Book())
    assert book.audit().verdict is Verdict.VALID

    book.outside["stock:sku-1:on_hand"] = -1
    audit = book.audit()
    assert names(audit) == {"money-or-stock-mismatch"}
    assert "by no saga" in witness(audit, "money-or-stock-mismatch")


def test_money_that_went_and_came_back_adds_up() -> None:
    assert no_stock(Book()).audit().checks["money-or-stock-mismatch"] is Verdict.VALID


def test_many_movers_of_one_account_are_counted_and_not_all_named() -> None:
    book = Book()
    for number in range(5):
        completed(book, f"s-{number}")
    book.outside["balances:ann:cents"] = 1

    assert "saga s-0, s-1, s-2 and 2 more" in witness(book.audit(), "money-or-stock-mismatch")


def test_accounts_that_are_still_moving_prove_nothing() -> None:
    book = completed(Book(block=complete_block(drained=False)))
    book.outside["balances:ann:cents"] = 1
    audit = book.audit()

    assert names(audit) == set()
    assert any(note.startswith("money-or-stock-mismatch: 1 suspected") for note in audit.notes)


def test_account_that_moved_and_was_not_collected_leaves_the_check_unknown() -> None:
    evidence = completed(Book()).evidence()
    kept = tuple(row for row in evidence.accounts if row.participant != "payment")
    audit = audit_block(Evidence(evidence.saga, evidence.block, evidence.clients, kept, evidence.sagas))

    assert audit.checks["money-or-stock-mismatch"] is Verdict.UNKNOWN
    assert any("1 accounts moved and were not collected" in note for note in audit.notes)


def test_no_account_at_all_leaves_the_check_unknown() -> None:
    evidence = nothing_ever_ran(Book()).evidence()
    audit = audit_block(Evidence(evidence.saga, evidence.block, evidence.clients, (), evidence.sagas))

    assert audit.checks["money-or-stock-mismatch"] is Verdict.UNKNOWN
    assert "money-or-stock-mismatch: no account was collected" in audit.notes
