"""The actions of ``create-order``: what each participant writes."""

from __future__ import annotations

import pytest

from harness.core.errors import Indefinite
from harness.core.saga import Command, Work
from harness.participants.dispatcher import Dispatcher, Reply
from harness.sagas.create_order import SAGA, CreateOrder, Line
from tests.participants.shop import ORDER, stocked, take
from tests.world.store import MemoryStore


async def test_create_writes_a_pending_order_and_counts_it() -> None:
    store = stocked()
    await take(store, "create")

    assert store.table("order", "orders")["s-1"] == {
        "id": "s-1",
        "customer": "ann",
        "total_cents": 700,
        "status": "PENDING",
    }
    assert store.number("order", "customers:ann:orders") == 1


async def test_reject_keeps_the_order_as_rejected_and_counts_it_no_longer() -> None:
    store = stocked()
    await take(store, "create", "reject")

    assert store.table("order", "orders")["s-1"]["status"] == "REJECTED"
    assert store.number("order", "customers:ann:orders") == 0


async def test_approve_lifts_the_semantic_lock() -> None:
    store = stocked()
    await take(store, "create", "approve")

    assert store.table("order", "orders")["s-1"]["status"] == "APPROVED"


@pytest.mark.parametrize(("first", "then"), [("reject", "approve"), ("approve", "reject")])
async def test_order_that_is_pending_no_longer_is_neither_approved_nor_rejected(first: str, then: str) -> None:
    store = stocked()
    await take(store, "create", first)
    status = store.table("order", "orders")["s-1"]["status"]

    with pytest.raises(Indefinite):
        await take(store, then)
    assert store.table("order", "orders")["s-1"]["status"] == status


@pytest.mark.parametrize("cents", [700, 10_000])
async def test_charge_takes_the_total_and_writes_it_into_the_journal(cents: int) -> None:
    store = stocked(cents=cents)
    reply = await take(store, "charge")

    assert reply == Reply(result="done", data={"charged_cents": 700})
    assert store.number("payment", "balances:ann:cents") == cents - 700
    assert store.table("payment", "journal")["s-1"] == {
        "id": "s-1",
        "customer": "ann",
        "charged_cents": 700,
        "status": "CHARGED",
    }


async def test_charge_is_refused_where_one_cent_is_missing() -> None:
    store = stocked(cents=699)

    assert await take(store, "charge") == Reply(result="refused", reason="insufficient-funds")
    assert store.number("payment", "balances:ann:cents") == 699
    assert store.table("payment", "journal") == {}


async def test_refund_gives_the_total_back_and_says_so_in_the_journal() -> None:
    store = stocked()
    await take(store, "charge", "refund")

    assert store.number("payment", "balances:ann:cents") == 10_000
    assert store.table("payment", "journal")["s-1"]["status"] == "REFUNDED"


async def test_reserve_takes_every_line_from_the_shelf() -> None:
    store = stocked(on_hand=2)
    await take(store, "reserve")

    assert store.number("inventory", "stock:sku-1:on_hand") == 0
    assert store.number("inventory", "stock:sku-2:on_hand") == 1


async def test_reserve_is_refused_whole_where_one_line_is_not_there() -> None:
    store = stocked(on_hand=1)

    assert await take(store, "reserve") == Reply(result="refused", reason="out-of-stock")
    assert store.number("inventory", "stock:sku-1:on_hand") == 1
    assert store.number("inventory", "stock:sku-2:on_hand") == 1


async def test_release_puts_every_line_back() -> None:
    store = stocked(on_hand=2)
    await take(store, "reserve", "release")

    assert store.number("inventory", "stock:sku-1:on_hand") == 2
    assert store.number("inventory", "stock:sku-2:on_hand") == 2


@pytest.mark.parametrize(("step", "subject"), [("confirm", "confirmed"), ("cancel", "cancelled")])
async def test_customer_gets_a_mail_about_how_it_ended(step: str, subject: str) -> None:
    store = stocked()
    await take(store, step)

    assert list(store.table("notification", "outbox").values()) == [
        {"id": f"s-1#{subject}", "to": "ann", "subject": subject, "saga_id": "s-1"}
    ]


@pytest.mark.parametrize("work", SAGA.works().values(), ids=lambda work: work.name)
async def test_action_is_a_pure_function_of_its_command(work: Work) -> None:
    command = Command("s-1", work.name, ORDER)
    assert work.action(command) == work.action(command)


async def test_largest_basket_fits_into_one_transaction() -> None:
    lines = tuple(Line(f"sku-{number}", 1, 100) for number in range(5))
    store = MemoryStore([("inventory", "stock", {"id": line.sku, "on_hand": 1}) for line in lines])
    reply = await Dispatcher(SAGA, store).handle(Command("s-1", "reserve", CreateOrder(customer="ann", lines=lines)))
    assert reply.result == "done"
