"""``effect-missing``, ``effect-twice`` and ``effect-without-saga``."""

from __future__ import annotations

import pytest

from harness.core.verdict import Verdict
from harness.history.records import Block
from tests.audit.handwritten import (
    FORWARD,
    Book,
    complete_block,
    completed,
    names,
    no_stock,
    pivot_never_ran,
    witness,
)


@pytest.mark.parametrize("step", FORWARD)
def test_completed_saga_without_one_of_its_steps_misses_an_effect(step: str) -> None:
    book = completed(Book())
    book.strike("s-1", step)
    audit = book.audit()

    assert names(audit) == {"effect-missing"}
    assert witness(audit, "effect-missing").startswith(f"saga s-1: it is completed, so {step} was expected")


def test_completed_saga_with_a_refused_step_misses_an_effect() -> None:
    book = completed(Book())
    book.strike("s-1", "reserve")
    book.did("s-1", "reserve", "refused", at_ms=30)
    audit = book.audit()

    assert names(audit) == {"effect-missing"}
    assert "only reserve refused" in witness(audit, "effect-missing")


def test_compensated_saga_without_its_closing_step_misses_an_effect() -> None:
    book = no_stock(Book())
    book.strike("s-1", "cancel")

    assert names(book.audit()) == {"effect-missing"}


def test_compensated_saga_needs_no_forward_step() -> None:
    assert pivot_never_ran(Book()).audit().verdict is Verdict.VALID


@pytest.mark.parametrize("block", [complete_block(drained=False), complete_block(state="aborted", drained=None)])
def test_effect_of_a_saga_that_ended_is_missing_even_before_all_came_to_rest(block: Block) -> None:
    book = completed(Book(block=block))
    book.strike("s-1", "charge")

    assert names(book.audit()) == {"effect-missing"}


def test_effect_may_be_on_its_way_where_only_the_ledger_says_that_the_saga_ended() -> None:
    book = completed(Book(block=complete_block(drained=False)))
    book.clients.clear()
    book.client(None, None, status="error")
    book.strike("s-1", "charge")
    audit = book.audit()

    assert names(audit) == set()
    assert audit.checks["effect-missing"] is Verdict.UNKNOWN
    assert any(note.startswith("effect-missing: 1 suspected") for note in audit.notes)


@pytest.mark.parametrize("step", [*FORWARD])
def test_step_with_two_entries_is_an_effect_twice(step: str) -> None:
    book = completed(Book())
    book.did("s-1", step, at_ms=FORWARD[step] + 1)
    audit = book.audit()

    assert names(audit) == {"effect-twice"}
    assert f"saga s-1: {step} was expected to be done once, it was done 2 times" in witness(audit, "effect-twice")


def test_closing_step_with_two_entries_is_an_effect_twice() -> None:
    book = no_stock(Book())
    book.did("s-1", "cancel", at_ms=61)

    assert names(book.audit()) == {"effect-twice"}


def test_replayed_delivery_is_no_second_effect() -> None:
    book = completed(Book())
    book.handling("s-1", "reserve", began_ms=33, replayed=True)

    assert book.audit().verdict is Verdict.VALID


def test_same_step_of_two_sagas_is_no_second_effect() -> None:
    assert completed(completed(Book(), "s-1"), "s-2").audit().verdict is Verdict.VALID


def test_effect_twice_is_proven_by_the_workers_where_there_are_no_tables() -> None:
    book = completed(Book())
    book.handling("s-1", "reserve", began_ms=33)
    book.only_steps()
    audit = book.audit()

    assert names(audit) == {"effect-twice"}
    assert "by the workers' records" in witness(audit, "effect-twice")
    assert audit.verdict is Verdict.INVALID


@pytest.mark.parametrize(("result", "replayed"), [("done", True), ("error", False), ("refused", False)])
def test_effect_twice_is_not_proven_by_replays_and_failures(result: str, replayed: bool) -> None:
    book = completed(Book())
    book.handling("s-1", "reserve", result, began_ms=33, replayed=replayed)
    book.only_steps()
    audit = book.audit()

    assert names(audit) == set()
    assert audit.checks["effect-twice"] is Verdict.UNKNOWN


def test_effect_of_a_saga_that_no_client_knows_is_an_effect_without_saga() -> None:
    book = completed(Book())
    book.entry("ghost", "create", at_ms=10)
    audit = book.audit()

    assert names(audit) == {"effect-without-saga"}
    assert "saga ghost: no client was told of it" in witness(audit, "effect-without-saga")


@pytest.mark.parametrize("status", ["rejected", "dropped"])
def test_effect_of_a_request_that_was_not_accepted_is_an_effect_without_saga(status: str) -> None:
    book = completed(Book())
    book.client(None, None, status=status)
    book.did("s-2", "create", at_ms=10, arrival=1)
    audit = book.audit()

    assert names(audit) == {"effect-without-saga"}
    assert f"its arrival is 1, whose request was {status}" in witness(audit, "effect-without-saga")


def _unanswered(book: Book) -> Book:
    """Make every request of the book one that got no answer."""
    arrivals = len(book.clients)
    book.clients.clear()
    for _ in range(arrivals):
        book.client(None, None, status="error")
    return book


def test_unanswered_requests_account_for_the_sagas_that_bear_their_numbers() -> None:
    assert _unanswered(completed(completed(Book(), "s-1"), "s-2")).audit().verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("arrival", "why"),
    [
        (-1, "its arrival is -1, which no client made"),
        (0, "its arrival is 0, whose request was accepted as saga s-1"),
        (2, "its arrival is 2, which no client made"),
    ],
)
def test_unanswered_request_hides_no_saga_that_does_not_bear_its_number(arrival: int, why: str) -> None:
    book = completed(Book())
    book.client(None, None, status="error")
    book.did("forged", "create", at_ms=10, arrival=arrival)
    audit = book.audit()

    assert names(audit) == {"effect-without-saga"}
    assert audit.anomalies[0].sagas == ("forged",)
    assert why in witness(audit, "effect-without-saga")


def test_unanswered_request_accounts_for_one_saga_and_not_for_two() -> None:
    book = _unanswered(completed(Book()))
    book.handling("forged", "create", began_ms=10, arrival=0)
    audit = book.audit()

    assert names(audit) == {"effect-without-saga"}
    assert audit.anomalies[0].count == 1
    assert "its arrival is 0, whose one saga is another" in witness(audit, "effect-without-saga")


def test_saga_without_a_workers_record_is_excused_by_an_unanswered_request_and_leaves_a_doubt() -> None:
    book = _unanswered(completed(Book()))
    book.steps.clear()
    audit = book.audit()

    assert audit.anomalies == []
    assert audit.checks["effect-without-saga"] is Verdict.UNKNOWN
    assert any(note.startswith("effect-without-saga: 1 sagas") and "such as s-1" in note for note in audit.notes)


def test_sagas_without_a_workers_record_are_too_many_for_the_unanswered_requests_that_are_left() -> None:
    book = _unanswered(completed(completed(Book(), "s-1"), "s-2"))  # both numbers are taken by their own sagas
    book.entry("forged", "create", at_ms=10)
    audit = book.audit()

    assert "effect-without-saga" in names(audit)
    assert "saga forged: no client was told of it" in witness(audit, "effect-without-saga")
    assert "1 such sagas, 0 requests without an answer" in witness(audit, "effect-without-saga")


def test_effect_without_saga_is_proven_by_the_workers_where_there_are_no_tables() -> None:
    book = completed(Book())
    book.handling("ghost", "create", began_ms=10)
    book.only_steps()

    assert names(book.audit()) == {"effect-without-saga"}


def test_step_that_was_tried_and_failed_is_no_effect_without_saga() -> None:
    book = completed(Book())
    book.handling("ghost", "create", "error", began_ms=10)
    book.only_steps()

    assert names(book.audit()) == set()


def test_clients_that_were_cut_off_may_not_have_written_down_their_sagas() -> None:
    book = completed(Book(block=complete_block(state="aborted", drained=None)))
    book.did("ghost", "create", at_ms=10)
    audit = book.audit()

    assert names(audit) == set()
    assert audit.checks["effect-without-saga"] is Verdict.UNKNOWN
