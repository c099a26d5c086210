"""``effect-without-saga``: participants did something for a saga that was never accepted from anyone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import STARTED, Evidence, SagaEvidence


def find(evidence: Evidence) -> Iterator[Finding]:
    """A request that got no answer may have started a saga that no client can name, so as many are allowed for."""
    strangers: list[SagaEvidence] = []
    for one in evidence.sagas.values():
        if not _has_effect(one):
            continue
        if one.client is None:
            strangers.append(one)
        elif one.client.status not in STARTED:
            yield Finding(
                (one.saga_id,),
                f"saga {one.saga_id}: its request was {one.client.status}, so no effect was expected; "
                f"{one.last_seen()}",
            )
    allowed = evidence.unanswered
    for one in strangers[allowed:]:
        yield Finding(
            (one.saga_id,),
            f"saga {one.saga_id}: no client was told of it, so no effect was expected; {one.last_seen()} "
            f"({len(strangers)} such sagas, {allowed} requests without an answer)",
        )


def _has_effect(one: SagaEvidence) -> bool:
    return bool(one.ledger) or any(row.result == "done" for row in one.steps)


CHECK = Check(find, ground=Ground.WHOLE_LOAD)
