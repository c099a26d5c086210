"""One order, and a shop to place it in."""

from __future__ import annotations

from itertools import count

from harness.core.saga import Command
from harness.participants.dispatcher import Dispatcher, Reply
from harness.participants.ports import Store
from harness.sagas.create_order import SAGA, CreateOrder, Line
from tests.world.store import MemoryStore

ORDER = CreateOrder(customer="ann", lines=(Line("sku-1", 2, 300), Line("sku-2", 1, 100)))


def stocked(cents: int = 10_000, on_hand: int = 10) -> MemoryStore:
    """Tables in which the order can be paid and delivered, unless told otherwise."""
    return MemoryStore(
        [
            ("payment", "balances", {"id": "ann", "cents": cents}),
            ("inventory", "stock", {"id": "sku-1", "on_hand": on_hand}),
            ("inventory", "stock", {"id": "sku-2", "on_hand": on_hand}),
        ]
    )


def poor() -> MemoryStore:
    """Tables in which one cent and one unit are missing."""
    return stocked(cents=ORDER.total_cents - 1, on_hand=1)


def dispatcher(store: Store) -> Dispatcher:
    """A dispatcher whose clock ticks once for each reading."""
    ticks = count(1)
    return Dispatcher(SAGA, store, lambda: next(ticks))


async def take(store: Store, *steps: str) -> Reply:
    """Take steps of one saga in turn; the reply to the last."""
    participants = dispatcher(store)
    for step in steps:
        reply = await participants.handle(Command("s-1", step, ORDER))
    return reply


def accounts(store: MemoryStore) -> dict[str, int]:
    """The numbers that the order moves."""
    return {
        account: store.number(participant, account)
        for participant, account in (
            ("order", "customers:ann:orders"),
            ("payment", "balances:ann:cents"),
            ("inventory", "stock:sku-1:on_hand"),
            ("inventory", "stock:sku-2:on_hand"),
        )
    }
