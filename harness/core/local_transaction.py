"""A local transaction, as data: what one participant wants written, all or nothing.

An action is a pure function that returns one of these. The dispatcher adds the idempotency record and the ledger entry
and commits the lot. Every failed condition has a stated meaning: with ``refusal`` the business says no (definite);
without it the write could not be made *now* and the step is tried again.

Tables are named as their participant knows them (``orders``, ``stock``); every table has one string key, ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Item = Mapping[str, object]


@dataclass(frozen=True)
class Insert:
    """Write a new item; the condition is that none with this id is there. ``unconditional``: in place of what is."""

    table: str
    id: str
    item: Item
    refusal: str | None = None
    unconditional: bool = False


@dataclass(frozen=True)
class Add:
    """Add ``amount`` to a number with DynamoDB's ``ADD``, which commutes; the condition is a floor for the *old* value.

    Every ``Add`` is a movement of the account ``table:id:attribute`` and is copied into the ledger, so that the
    auditor can check that what moved is what is there.
    """

    table: str
    id: str
    attribute: str
    amount: int
    at_least: int | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Change:
    """Set attributes of an item whose attributes are as expected (a semantic lock is an expected status).

    Where nothing is expected, it is made whatever is there, and makes the item where there is none.
    """

    table: str
    id: str
    set: Item
    expect: Item
    refusal: str | None = None


@dataclass(frozen=True)
class Require:
    """Write nothing; the condition is that the item is there with these attributes."""

    table: str
    id: str
    expect: Item
    refusal: str | None = None


Write = Insert | Add | Change | Require


@dataclass(frozen=True)
class LocalTransaction:
    """The writes, and what to tell whoever asked. At most 96 writes: DynamoDB takes 100, four are the dispatcher's."""

    writes: tuple[Write, ...]
    reply: Mapping[str, object] = field(default_factory=dict)

    def movements(self) -> dict[str, int]:
        """Account to the amount it changes by."""
        moved: dict[str, int] = {}
        for write in self.writes:
            if isinstance(write, Add):
                account = f"{write.table}:{write.id}:{write.attribute}"
                moved[account] = moved.get(account, 0) + write.amount
        return moved
