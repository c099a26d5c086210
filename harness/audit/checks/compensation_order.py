"""``compensation-order``: steps were undone in another order than the reverse of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import UNDO_RESULTS, Evidence, SagaEvidence


def find(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each saga. Where there is no ledger, by what the workers saw."""
    undone_before = _by_ledger if evidence.block.collected else _by_handlings
    for one in evidence.sagas.values():
        wrong = _first_wrong(evidence, one, undone_before)
        if wrong:
            earlier, later = wrong
            yield Finding(
                (one.saga_id,),
                f"saga {one.saga_id}: {later} was expected to be done before {earlier}, it was done after it",
            )


def _first_wrong(
    evidence: Evidence, one: SagaEvidence, before: Callable[[SagaEvidence, str, str], bool]
) -> tuple[str, str] | None:
    names = [undo.name for _, undo in evidence.compensations]
    return next((pair for pair in combinations(names, 2) if before(one, *pair)), None)


def _by_ledger(one: SagaEvidence, first: str, second: str) -> bool:
    """In the ledger ``first`` was *sent* before ``second``.

    A compensation is asked for only after the one before it was answered, hence after that one was sent: the times of
    sending are in order even where commits overtake each other.
    """
    left, right = one.entries(first, *UNDO_RESULTS), one.entries(second, *UNDO_RESULTS)
    return bool(left and right) and left[0].at_ns < right[0].at_ns


def _by_handlings(one: SagaEvidence, first: str, second: str) -> bool:
    """A worker had finished ``first`` before any began ``second``. A handling that died has no row."""
    ended = [row.t_s for row in one.seen_done(first)]
    began = [row.t_s - row.took_ms / 1000 for row in one.seen_done(second)]
    return bool(ended and began) and min(ended) < min(began)


CHECK = Check(find, ground=Ground.ANY_MOMENT)
