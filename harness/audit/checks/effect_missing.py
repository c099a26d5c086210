"""``effect-missing``: a saga ended, and something that must have happened for that did not."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import DONE, Evidence
from harness.core.saga import Outcome


def find(evidence: Evidence) -> Iterator[Finding]:
    """Completed sagas without one of their steps, compensated ones without one of their closing steps."""
    for one in evidence.sagas.values():
        outcome = evidence.outcome(one)
        if outcome is None:
            continue
        steps = evidence.saga.steps if outcome == Outcome.COMPLETED else evidence.saga.after_compensation
        for step in steps:
            if not one.done(step.name):
                others = sorted({entry.result for entry in one.ledger if entry.step == step.name} - {DONE})
                yield Finding(
                    (one.saga_id,),
                    f"saga {one.saga_id}: it is {outcome}, so {step.name} was expected to be done; its ledger has "
                    f"{f'only {step.name} {others}' if others else f'no entry of {step.name}'}",
                )


CHECK = Check(find, ground=Ground.AT_REST)
