"""``compensation-without-step``: something was undone that never had been done, which makes money or stock."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import Evidence


def find(evidence: Evidence) -> Iterator[Finding]:
    """The books still balance then, since the ledger knows of the movement; only the saga's own account does not."""
    for one in evidence.sagas.values():
        for step, undo in evidence.compensations:
            if one.done(undo.name) and not one.done(step.name):
                yield Finding(
                    (one.saga_id,),
                    f"saga {one.saga_id}: {undo.name} was done, so {step.name} was expected to have been done; "
                    f"its ledger has no such entry",
                )


CHECK = Check(find, ground=Ground.AT_REST)
