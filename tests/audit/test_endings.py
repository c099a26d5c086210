"""``unresolved-saga`` and ``split-ending``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core.saga import Saga, Step
from harness.core.verdict import Verdict
from harness.sagas.create_order import SAGA
from tests.audit.handwritten import Book, completed, names, no_stock, pivot_released, witness


def test_accepted_saga_without_outcome_is_unresolved_and_its_last_trace_is_told() -> None:
    book = completed(Book())
    book.client("s-2", None)
    book.did("s-2", "create", at_ms=10)
    book.did("s-2", "charge", at_ms=25)
    audit = book.audit()

    assert names(audit) == {"unresolved-saga"}
    assert audit.anomalies[0].sagas == ("s-2",)
    assert "saga s-2" in audit.anomalies[0].witness
    assert "the last ledger entry is charge done at +15.000 ms" in audit.anomalies[0].witness


def test_saga_that_ended_without_its_client_being_told_is_unresolved() -> None:
    book = completed(Book())
    book.clients.clear()
    book.client("s-1", None)
    audit = book.audit()

    assert names(audit) == {"unresolved-saga"}
    assert "the ledger shows it completed, its client was never told" in witness(audit, "unresolved-saga")


def test_unresolved_saga_is_proven_by_the_client_alone() -> None:
    book = completed(Book())
    book.client("s-2", None)
    book.handling("s-2", "create", began_ms=5)
    book.only_steps()
    audit = book.audit()

    assert names(audit) == {"unresolved-saga"}
    assert "the last handling was create done" in witness(audit, "unresolved-saga")


def test_saga_of_an_unanswered_request_is_unresolved_when_it_stops_in_the_middle() -> None:
    book = Book()
    book.client(None, None, status="error")
    book.did("s-9", "create", at_ms=10, arrival=0)
    audit = book.audit()

    assert names(audit) == {"unresolved-saga"}
    assert "s-9" in witness(audit, "unresolved-saga")


def test_saga_that_stops_in_the_middle_and_bears_no_unanswered_number_is_nobodys_unresolved_saga() -> None:
    book = completed(Book())
    book.client(None, None, status="error")
    book.did("s-9", "create", at_ms=10, arrival=0)

    assert names(book.audit()) == {"effect-without-saga"}


def test_saga_without_a_workers_record_may_be_of_an_unanswered_request() -> None:
    book = completed(Book())
    book.client(None, None, status="error")
    book.entry("s-9", "create", at_ms=10)

    assert names(book.audit()) == {"unresolved-saga"}


@pytest.mark.parametrize("story", [completed, no_stock])
def test_saga_of_an_unanswered_request_is_clean_when_it_ended(story: Callable[[Book], Book]) -> None:
    book = story(Book())
    book.clients.clear()
    book.client(None, None, status="error")

    assert book.audit().verdict is Verdict.VALID


def test_unanswered_request_that_started_nothing_is_clean() -> None:
    book = completed(Book())
    book.client(None, None, status="error")
    audit = book.audit()

    assert audit.verdict is Verdict.VALID
    assert any(note.startswith("1 requests got no answer") for note in audit.notes)


def test_unanswered_request_is_unknown_without_tables() -> None:
    book = completed(Book())
    book.client(None, None, status="error")
    book.only_steps()

    assert book.audit().checks["unresolved-saga"] is Verdict.UNKNOWN


def test_client_told_otherwise_than_the_ledger_is_a_split_ending() -> None:
    book = no_stock(Book())
    book.clients.clear()
    book.client("s-1", "completed")
    audit = book.audit()

    assert "split-ending" in names(audit)
    assert "the client was told completed, the ledger shows compensated" in witness(audit, "split-ending")


def test_ledger_with_both_endings_is_a_split_ending_whatever_the_client_was_told() -> None:
    book = completed(Book())
    book.did("s-1", "cancel", at_ms=60)
    audit = book.audit()

    assert names(audit) == {"split-ending"}
    assert "both an ending as compensated and as completed" in witness(audit, "split-ending")


@pytest.mark.parametrize(
    ("order", "journal"), [("REJECTED", "CHARGED"), ("PENDING", "CHARGED"), (None, "CHARGED"), ("APPROVED", "REFUNDED")]
)
def test_table_against_a_completed_saga_is_a_split_ending(order: str | None, journal: str | None) -> None:
    book = completed(Book())
    book.says("s-1", order=order, journal=journal)
    audit = book.audit()

    assert names(audit) == {"split-ending"}
    assert "saga s-1" in witness(audit, "split-ending")


@pytest.mark.parametrize(("order", "journal"), [("APPROVED", "REFUNDED"), ("PENDING", None), ("REJECTED", "CHARGED")])
def test_table_against_a_compensated_saga_is_a_split_ending(order: str | None, journal: str | None) -> None:
    book = no_stock(Book())
    book.says("s-1", order=order, journal=journal)

    assert names(book.audit()) == {"split-ending"}


@pytest.mark.parametrize(("order", "journal"), [("REJECTED", None), (None, None), (None, "REFUNDED")])
def test_missing_item_agrees_with_a_compensated_saga(order: str | None, journal: str | None) -> None:
    book = no_stock(Book())
    book.says("s-1", order=order, journal=journal)

    assert book.audit().verdict is Verdict.VALID


def test_tables_of_an_unfinished_saga_contradict_nobody() -> None:
    book = Book()
    book.client("s-1", None)
    book.did("s-1", "create", at_ms=10)
    book.did("s-1", "charge", at_ms=20)
    book.did("s-1", "refund", at_ms=30)
    book.says("s-1", order="PENDING", journal="REFUNDED")

    assert names(book.audit()) == {"unresolved-saga"}


def test_saga_that_ended_both_ways_and_whose_client_was_not_told_is_held_to_neither() -> None:
    book = no_stock(Book())
    book.clients.clear()
    book.client(None, None, status="error")
    book.strike("s-1", "refund")
    book.did("s-1", "confirm", at_ms=35)
    found = names(book.audit())

    assert "split-ending" in found
    assert found.isdisjoint({"effect-missing", "compensation-missing"})


def _ends_with_its_pivot() -> Saga:
    steps: tuple[Step, ...] = SAGA.steps[:3]
    return replace(SAGA, steps=steps, endings=())


def test_last_step_that_was_undone_ended_nothing() -> None:
    book = pivot_released(Book(saga=_ends_with_its_pivot()))

    assert book.audit().verdict is Verdict.VALID


def test_saga_without_closing_steps_ends_with_its_first_compensation() -> None:
    book = no_stock(Book())
    book.strike("s-1", "cancel")
    book.saga = replace(SAGA, after_compensation=())
    assert book.audit().verdict is Verdict.VALID

    book.clients.clear()
    book.client("s-1", "completed")
    assert "split-ending" in names(book.audit())


@pytest.mark.parametrize(("result", "outcome"), [("refused", "compensated"), ("done", None)])
def test_saga_without_closing_steps_ends_with_the_refusal_of_its_first_step(result: str, outcome: str | None) -> None:
    book = Book(saga=replace(SAGA, after_compensation=()))
    book.client("s-1", None)
    book.did("s-1", "create", result, at_ms=10)
    evidence = book.evidence()

    assert evidence.outcome(evidence.sagas["s-1"]) == outcome
