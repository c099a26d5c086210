"""``compensation-twice``: one step of one saga was undone more than once."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import Evidence


def find(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each saga and compensation."""
    for one in evidence.sagas.values():
        for step, undo in evidence.compensations:
            times = evidence.times_done(one, undo.name)
            if times > 1:
                yield Finding(
                    (one.saga_id,),
                    f"saga {one.saga_id}: {step.name} was expected to be undone once, {undo.name} was done {times} "
                    f"times{one.each(undo.name)}",
                )


CHECK = Check(find, ground=Ground.ANY_MOMENT)
