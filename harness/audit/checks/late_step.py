"""``late-step``: a step took effect after the saga had turned back, and nothing undid it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.audit.check import Check, Finding, Ground
from harness.audit.evidence import UNDO_RESULTS, Evidence, SagaEvidence
from harness.core.saga import Compensation, Step
from harness.history.records import LedgerRow

_CLOCK_SLACK_NS = 10_000
"""Handling times are kept to a hundredth of a millisecond."""


def find(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each saga and step.

    ``at_ns`` is when a commit was *sent*. A slow compensation may therefore be sent before its step and yet find the
    step committed and undo it, which is as it should be. So where step and compensation were both done, the step was
    late only if its sending came after the *answer* to the compensation; the worker's record tells how long that took.
    """
    for one in evidence.sagas.values():
        turns = [entry for _, undo in evidence.compensations for entry in one.entries(undo.name, *UNDO_RESULTS)]
        if not turns:
            continue
        turned = min(turns, key=lambda entry: entry.at_ns)
        for step in evidence.saga.steps:
            if late := _late(one, step, turned):
                yield Finding((one.saga_id,), f"saga {one.saga_id}: {late}")


def _late(one: SagaEvidence, step: Step, turned: LedgerRow) -> str | None:
    for done in one.done(step.name):
        undone = one.done(step.compensation.name) if step.compensation else []
        if not undone and done.at_ns > turned.at_ns:
            own = one.entries(step.compensation.name, *UNDO_RESULTS) if step.compensation else []
            stop = own[0] if own else turned
            return (
                f"{step.name} was expected to be refused after {stop.step} ({stop.result} at {one.when(stop.at_ns)}), "
                f"it was done at {one.when(done.at_ns)} and not undone"
            )
        answered_ns = _answered_ns(one, step.compensation) if undone else None
        if answered_ns is not None and done.at_ns > answered_ns:
            return (
                f"{step.name} was expected to be done before {undone[0].step}, which was answered by "
                f"{one.when(answered_ns)}; it was done at {one.when(done.at_ns)}"
            )
    return None


def _answered_ns(one: SagaEvidence, undo: Compensation | None) -> int | None:
    """By when the compensation had certainly been committed; ``None`` where no worker lived to record it."""
    if undo is None:
        return None
    handlings = one.seen_done(undo.name)
    if not handlings:
        return None
    took_ns = round(1e6 * max(row.took_ms for row in handlings))
    return max(entry.at_ns for entry in one.done(undo.name)) + took_ns + _CLOCK_SLACK_NS


CHECK = Check(find, ground=Ground.ANY_MOMENT)
