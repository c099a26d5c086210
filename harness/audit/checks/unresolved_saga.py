"""``unresolved-saga``: it was accepted, and nobody was ever told how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Doubt, Finding, Ground
from harness.audit.evidence import Evidence, SagaEvidence


def find(evidence: Evidence) -> Iterator[Finding | Doubt]:
    """Accepted sagas without an outcome, and sagas that a request without an answer left behind unended."""
    unanswered = evidence.unanswered
    for one in evidence.sagas.values():
        if one.client is not None and one.client.status == "accepted" and one.told is None:
            ends = sorted(evidence.ledger_endings(one))
            seen = f"the ledger shows it {' and '.join(ends)}, its client was never told" if ends else one.last_seen()
            yield Finding((one.saga_id,), f"saga {one.saga_id}: accepted, an outcome was expected; {seen}")
        elif _may_be_of(unanswered, one) and one.ledger and not evidence.ledger_endings(one):
            yield Finding(
                (one.saga_id,),
                f"saga {one.saga_id}: its request got no answer and yet it was started, an end in the ledger was "
                f"expected; {one.last_seen()}",
            )
    if not evidence.block.collected and unanswered:
        yield Doubt("some requests got no answer, and only the tables could tell whether they left a saga behind")


def _may_be_of(unanswered: set[int], one: SagaEvidence) -> bool:
    """A saga that no client knows, of one of these arrivals; where no worker told its arrival, any of them will do."""
    return one.client is None and (bool(unanswered) if one.arrival is None else one.arrival in unanswered)


CHECK = Check(find, ground=Ground.AT_REST, reads_tables=False)
