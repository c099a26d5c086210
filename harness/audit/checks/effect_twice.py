"""``effect-twice``: one step of one saga was done more than once."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import Evidence


def find(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each saga and step."""
    for one in evidence.sagas.values():
        for step in (*evidence.saga.steps, *evidence.saga.after_compensation):
            times = evidence.times_done(one, step.name)
            if times > 1:
                yield Finding(
                    (one.saga_id,),
                    f"saga {one.saga_id}: {step.name} was expected to be done once, it was done {times} times"
                    f"{one.each(step.name)}",
                )


CHECK = Check(find, ground=Ground.ANY_MOMENT)
