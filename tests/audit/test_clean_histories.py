"""Histories in which nothing is wrong, and histories that cannot tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.audit.checks import load_checks
from harness.core.verdict import Verdict
from tests.audit.handwritten import CLEAN, Book, complete_block, completed, names, no_stock

Story = Callable[[Book], Book]


@pytest.mark.parametrize("story", CLEAN)
def test_clean_saga_is_valid_in_every_check(story: Story) -> None:
    audit = story(Book()).audit()

    assert audit.anomalies == []
    assert audit.notes == []
    assert audit.checks == dict.fromkeys(load_checks(), Verdict.VALID)
    assert audit.verdict is Verdict.VALID


def test_clean_sagas_of_all_kinds_are_valid_together() -> None:
    book = Book()
    for number, story in enumerate(CLEAN):
        story(book, f"s-{number}")

    assert book.audit().verdict is Verdict.VALID


def test_rejected_and_dropped_arrivals_are_no_sagas() -> None:
    book = completed(Book())
    book.client(None, None, status="rejected")
    book.client(None, None, status="dropped")

    assert book.audit().verdict is Verdict.VALID


def test_empty_block_is_unknown_in_every_check() -> None:
    audit = Book().audit()

    assert set(audit.checks.values()) == {Verdict.UNKNOWN}
    assert audit.verdict is Verdict.UNKNOWN
    assert any("nothing to judge" in note for note in audit.notes)


def test_block_of_rejected_requests_only_is_unknown() -> None:
    book = Book()
    book.client(None, None, status="rejected")

    assert book.audit().verdict is Verdict.UNKNOWN


def test_tables_that_were_not_collected_leave_their_checks_unknown() -> None:
    book = no_stock(Book())
    book.only_steps()
    audit = book.audit()

    assert audit.anomalies == []
    assert {name for name, verdict in audit.checks.items() if verdict is Verdict.VALID} == {"unresolved-saga"}
    assert audit.verdict is Verdict.UNKNOWN
    assert "tables were not collected: money, stock and effects unknown" in audit.notes


@pytest.mark.parametrize("state", ["aborted", "loading"])
def test_block_that_was_cut_off_is_unknown_and_unfinished_sagas_are_no_anomaly(state: str) -> None:
    book = completed(Book(block=complete_block(state=state, drained=None, problem="the emulator died")))
    book.client("s-2", None)
    book.did("s-2", "create", at_ms=10)
    audit = book.audit()

    assert audit.anomalies == []
    assert audit.verdict is Verdict.UNKNOWN
    assert any(note.startswith(f"the block is {state} (the emulator died)") for note in audit.notes)
    assert any("unresolved-saga: 1 suspected" in note and "s-2" in note for note in audit.notes)


@pytest.mark.parametrize("drained", [False, None])
def test_block_that_did_not_drain_is_unknown_and_unfinished_sagas_may_still_end(drained: bool | None) -> None:
    book = completed(Book(block=complete_block(drained=drained)))
    book.client("s-2", None)
    book.did("s-2", "create", at_ms=10)
    audit = book.audit()

    assert audit.anomalies == []
    assert audit.checks["unresolved-saga"] is Verdict.UNKNOWN
    assert audit.verdict is Verdict.UNKNOWN
    assert any("did not run empty" in note for note in audit.notes)
    assert any("unresolved-saga: 1 suspected" in note for note in audit.notes)


def test_what_happened_stays_proven_in_a_block_that_was_cut_off() -> None:
    book = completed(Book(block=complete_block(state="aborted", drained=None)))
    book.did("s-1", "reserve", at_ms=33)

    assert names(book.audit()) == {"effect-twice"}


def test_dead_letters_are_noted() -> None:
    audit = completed(Book(block=complete_block(dead_letters=2))).audit()

    assert audit.verdict is Verdict.VALID
    assert "2 messages were given up to dead-letter queues" in audit.notes
