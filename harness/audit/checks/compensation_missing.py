"""``compensation-missing``: a saga ended as compensated, and a step that it had taken was never undone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground, ended_ground
from harness.audit.evidence import Evidence
from harness.core.saga import Outcome


def find(evidence: Evidence) -> Iterator[Finding]:
    """A compensation that found nothing to undo undid nothing: next to a step that was done it counts as missing."""
    for one in evidence.sagas.values():
        if evidence.outcome(one) != Outcome.COMPENSATED:
            continue
        for step, undo in evidence.compensations:
            if one.done(step.name) and not one.done(undo.name):
                yield Finding(
                    (one.saga_id,),
                    f"saga {one.saga_id}: {step.name} was done and the saga compensated, so {undo.name} was expected "
                    f"to be done; its ledger has {one.instead(undo.name)}",
                    ended_ground(one),
                )


CHECK = Check(find, ground=Ground.AT_REST)
