"""What the ingress remembers of its sagas, and how much of it."""

from __future__ import annotations

from harness.core.saga import Outcome
from harness.ingress.sagas import Sagas

BODY = b"fingerprint"


def test_saga_that_is_asked_for_again_is_the_one_that_is_known() -> None:
    sagas = Sagas()
    first = sagas.admit("a", BODY)
    assert first is not None
    assert sagas.admit("a", b"another body") is first
    assert first.fingerprint == BODY
    assert sagas.under_way == 1


def test_end_is_told_once_and_the_first_word_counts() -> None:
    sagas = Sagas()
    entry = sagas.admit("a", BODY)
    assert entry is not None
    assert not entry.ended.is_set()
    sagas.end("a", Outcome.COMPENSATED, "out-of-stock")
    sagas.end("a", Outcome.COMPLETED, None)
    assert (entry.outcome, entry.reason) == (Outcome.COMPENSATED, "out-of-stock")
    assert entry.ended.is_set()
    assert sagas.under_way == 0


def test_end_of_a_saga_that_nobody_started_here_is_ignored() -> None:
    sagas = Sagas()
    sagas.end("unknown", Outcome.COMPLETED, None)
    assert sagas.get("unknown") is None
    assert sagas.under_way == 0


def test_house_is_full_for_new_sagas_and_open_for_known_ones() -> None:
    sagas = Sagas(max_under_way=2)
    known = sagas.admit("a", BODY)
    sagas.admit("b", BODY)
    assert sagas.admit("c", BODY) is None
    assert sagas.get("c") is None
    assert sagas.admit("a", BODY) is known
    sagas.end("b", Outcome.COMPLETED, None)
    assert sagas.admit("c", BODY) is not None


def test_of_all_that_ended_the_earliest_is_forgotten_first() -> None:
    sagas = Sagas(max_remembered=2)
    for saga_id in ("a", "b", "c"):
        sagas.admit(saga_id, BODY)
        sagas.end(saga_id, Outcome.COMPLETED, None)
    assert [sagas.get(saga_id) is not None for saga_id in ("a", "b", "c")] == [False, True, True]


def test_saga_under_way_is_never_forgotten_and_does_not_keep_others_from_being() -> None:
    sagas = Sagas(max_remembered=3)
    sagas.admit("zombie", BODY)
    for number in range(100):
        sagas.admit(str(number), BODY)
        sagas.end(str(number), Outcome.COMPLETED, None)
    assert sagas.get("zombie") is not None
    remembered = [number for number in range(100) if sagas.get(str(number))]
    assert remembered == [97, 98, 99]
