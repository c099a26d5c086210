"""``split-ending``: the client, the ledger and the participants' own tables disagree about how a saga ended."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import Evidence, SagaEvidence
from harness.core.saga import Outcome


def find(evidence: Evidence) -> Iterator[Finding]:
    """Contradictions only: an account that says nothing contradicts nobody, except a table that lacks an item."""
    for one in evidence.sagas.values():
        told, ends = one.told, evidence.ledger_endings(one)
        if len(ends) > 1:
            seen = f"the ledger shows both an ending as {' and as '.join(sorted(ends))}; client told: {told}"
        elif told is not None and ends and told not in ends:
            seen = f"the client was told {told}, the ledger shows {', '.join(ends)}"
        else:
            seen = _table_against(evidence, one) or ""
        if seen:
            yield Finding((one.saga_id,), f"saga {one.saga_id}: one ending was expected; {seen}")


def _table_against(evidence: Evidence, one: SagaEvidence) -> str | None:
    """What a participant's table says against the outcome. Of a saga that has none, tables may say what they like."""
    outcome = evidence.outcome(one)
    if outcome is None or not evidence.block.collected:
        return None
    values = {(row.participant, row.table): row.value for row in one.endings}
    for ending in evidence.saga.endings:
        seen = values.get((ending.participant, ending.table))
        if outcome == Outcome.COMPLETED:
            expected, agrees = ending.completed, seen == ending.completed
        else:
            expected, agrees = ending.compensated, seen in (ending.compensated, None)
        if not agrees:
            where = f"{ending.participant}'s {ending.table}.{ending.attribute}"
            return f"it is {outcome}, so {where} was expected to be {expected}, it is {seen}"
    return None


CHECK = Check(find, ground=Ground.ANY_MOMENT)
