"""``effect-missing``: a saga ended, and something that must have happened for that did not."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground, ended_ground
from harness.audit.evidence import Evidence
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
                yield Finding(
                    (one.saga_id,),
                    f"saga {one.saga_id}: it is {outcome}, so {step.name} was expected to be done; "
                    f"its ledger has {one.instead(step.name)}",
                    ended_ground(one),
                )


CHECK = Check(find, ground=Ground.AT_REST)
