"""``effect-without-saga``: participants did something for a saga that was never accepted from anyone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Doubt, Finding, Ground
from harness.audit.evidence import Evidence, SagaEvidence
from harness.history.records import SagaRow


def find(evidence: Evidence) -> Iterator[Finding | Doubt]:
    """A request that got no answer may have started one saga that no client can name: the one that bears its number.

    The number of the arrival is known from the workers' records. A saga that left none may belong to any request
    without an answer that is still without a saga; more of them than such requests are too many.
    """
    requests = {row.arrival: row for row in evidence.clients}
    free = evidence.unanswered
    nameless: list[SagaEvidence] = []
    for one in evidence.sagas.values():
        if one.client is not None or not _has_effect(one):
            continue
        if one.arrival is None:
            nameless.append(one)
        elif one.arrival in free:
            free.remove(one.arrival)
        else:
            yield _stranger(one, _whose(requests.get(one.arrival), one.arrival))
    for one in nameless[len(free) :]:
        yield _stranger(one, f"{len(nameless)} such sagas, {len(free)} requests without an answer")
    if excused := nameless[: len(free)]:
        yield Doubt(
            f"{len(excused)} sagas that no client was told of, such as {excused[0].saga_id}, left no worker's record "
            f"of their arrival: each may belong to one of {len(free)} requests without an answer, or to nobody"
        )


def _has_effect(one: SagaEvidence) -> bool:
    return bool(one.ledger) or any(row.result == "done" for row in one.steps)


def _stranger(one: SagaEvidence, why: str) -> Finding:
    return Finding(
        (one.saga_id,),
        f"saga {one.saga_id}: no client was told of it, so no effect was expected; {one.last_seen()} ({why})",
    )


def _whose(row: SagaRow | None, arrival: int) -> str:
    """What became of the request whose number a stranger bears."""
    if row is None:
        return f"its arrival is {arrival}, which no client made"
    if row.status == "error":
        return f"its arrival is {arrival}, whose one saga is another"
    as_what = f" as saga {row.saga_id}" if row.saga_id else ""
    return f"its arrival is {arrival}, whose request was {row.status}{as_what}"


CHECK = Check(find, ground=Ground.WHOLE_LOAD)
