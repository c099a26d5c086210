"""``compensation-amount``: a step was undone by another amount than it was done by, or a saga kept what it undid.

The books balance all the same, since the ledger's amounts come from the same action as the table's. Here a saga is
held against itself: a compensation is the exact inverse of its step, account by account, and a compensated saga has
moved nothing in sum. A saga that keeps something on purpose, such as a fee for cancelling, would have to say so in its
definition, which cannot be said yet: it is found here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from harness.audit.check import Check, Finding, Ground, ended_ground
from harness.audit.evidence import Evidence, SagaEvidence
from harness.core.saga import Outcome, Step
from harness.history.records import LedgerRow


def find(evidence: Evidence) -> Iterator[Finding]:
    """For each saga the compensations that are no inverse; where there are none, what it moved in sum."""
    for one in evidence.sagas.values():
        wrong = [witness for step, _ in evidence.compensations for witness in _no_inverse(one, step)]
        for witness in wrong:
            yield Finding((one.saga_id,), f"saga {one.saga_id}: {witness}", Ground.ANY_MOMENT)
        if not wrong and evidence.outcome(one) == Outcome.COMPENSATED and _undone_one_for_one(evidence, one):
            for witness in _kept(one):
                yield Finding((one.saga_id,), f"saga {one.saga_id}: {witness}", ended_ground(one))


def _no_inverse(one: SagaEvidence, step: Step) -> Iterator[str]:
    """Each undoing has to be the inverse of one doing: how often either took place is for other checks to say."""
    done = one.done(step.name)
    if not done or step.compensation is None:
        return
    inverses = [_inverse(entry) for entry in done]
    for undo in one.done(step.compensation.name):
        differences = [_difference(inverse, undo.movements) for inverse in inverses]
        if all(differences):
            (account, expected, seen), *others = differences[0]
            yield (
                f"{step.name} moved {undo.participant} {account} by {-expected:+}, so {undo.step} was expected to move "
                f"it by {expected:+}; it moved it by {seen:+}{_more(len(others))}"
            )


def _more(others: int) -> str:
    if not others:
        return ""
    return f" ({others} more account{' differs' if others == 1 else 's differ'})"


def _inverse(entry: LedgerRow) -> dict[str, int]:
    return {account: -amount for account, amount in entry.movements.items()}


def _difference(expected: Mapping[str, int], seen: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """(account, expected, seen) wherever they differ."""
    return [
        (account, expected.get(account, 0), seen.get(account, 0))
        for account in dict.fromkeys([*expected, *seen])
        if expected.get(account, 0) != seen.get(account, 0)
    ]


def _undone_one_for_one(evidence: Evidence, one: SagaEvidence) -> bool:
    """Elsewhere the sum is wrong because something is missing or too much, which has a name of its own."""
    return all(len(one.done(step.name)) == len(one.done(undo.name)) <= 1 for step, undo in evidence.compensations)


def _kept(one: SagaEvidence) -> Iterator[str]:
    """What steps without a compensation moved, account by account."""
    moved: Counter[tuple[str, str]] = Counter()
    movers: dict[tuple[str, str], dict[str, None]] = {}
    for entry in one.ledger:
        for account, amount in entry.movements.items():
            moved[entry.participant, account] += amount
            movers.setdefault((entry.participant, account), {})[entry.step] = None
    for (participant, account), amount in moved.items():
        if amount:
            yield (
                f"it is compensated, so movements of {participant} {account} were expected to sum to +0; "
                f"{', '.join(movers[participant, account])} moved it by {amount:+}"
            )


CHECK = Check(find, ground=Ground.AT_REST)
