"""``compensation-after-pivot``: a step was undone when the saga could only go forward."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import Evidence


def find(evidence: Evidence) -> Iterator[Finding]:
    """The pivot is known to have succeeded once a step after it was done.

    Before that, undoing a pivot that was done is legal: whoever gave it up did not know that it had succeeded.
    """
    for one in evidence.sagas.values():
        forward = [entry for step in evidence.forward_only for entry in one.done(step.name)]
        if not forward:
            continue
        first = min(forward, key=lambda entry: entry.at_ns)
        late = [
            entry for _, undo in evidence.compensations for entry in one.done(undo.name) if entry.at_ns > first.at_ns
        ]
        if late:
            names = ", ".join(f"{entry.step} at {one.when(entry.at_ns)}" for entry in late)
            yield Finding(
                (one.saga_id,),
                f"saga {one.saga_id}: {first.step} was done at {one.when(first.at_ns)}, so no compensation was "
                f"expected; seen: {names}",
            )


CHECK = Check(find, ground=Ground.ANY_MOMENT)
