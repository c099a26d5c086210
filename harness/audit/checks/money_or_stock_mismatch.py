"""``money-or-stock-mismatch``: what is there is not what was there and what has moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from harness.audit.check import Check, Doubt, Finding, Ground
from harness.audit.evidence import Evidence

_NAMED_SAGAS = 3


def find(evidence: Evidence) -> Iterator[Finding | Doubt]:
    """One finding for each account; its sagas are those that moved it, by the ledger."""
    moved: Counter[tuple[str, str]] = Counter()
    movers: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for one in evidence.sagas.values():
        for entry in one.ledger:
            for account, amount in entry.movements.items():
                moved[entry.participant, account] += amount
                movers[entry.participant, account][one.saga_id] = None
    known = {(row.participant, row.account) for row in evidence.accounts}
    for row in evidence.accounts:
        movement = moved[row.participant, row.account]
        expected = row.initial + movement
        if row.final != expected:
            sagas = tuple(movers[row.participant, row.account])
            yield Finding(
                sagas,
                f"{row.participant} {row.account}: {row.initial} before and movements of {movement:+} by "
                f"{_named(sagas)}, so {expected} was expected; it is {row.final} ({row.final - expected:+})",
            )
    if unknown := sorted(moved.keys() - known):
        yield Doubt(f"{len(unknown)} accounts moved and were not collected, such as {' '.join(unknown[0])}")
    if not known:
        yield Doubt("no account was collected")


def _named(sagas: tuple[str, ...]) -> str:
    if not sagas:
        return "no saga"
    more = f" and {len(sagas) - _NAMED_SAGAS} more" if len(sagas) > _NAMED_SAGAS else ""
    return f"saga {', '.join(sagas[:_NAMED_SAGAS])}{more}"


CHECK = Check(find, ground=Ground.AT_REST)
