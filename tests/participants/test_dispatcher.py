"""The dispatcher: exactly once, however often and in whatever order steps and compensations are delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from harness.core.errors import Indefinite
from harness.core.local_transaction import Add, Write
from harness.core.saga import Command
from harness.participants.dispatcher import LEDGER, RECORDS, Dispatcher, Reply
from harness.participants.ports import ConditionFailed
from harness.sagas.create_order import SAGA
from tests.participants.shop import ORDER, accounts, dispatcher, poor, stocked, take
from tests.world.store import MemoryStore

PARTICIPANT = {name: work.participant for name, work in SAGA.works().items()}
UNDOINGS = [(step.name, step.compensation.name) for step in SAGA.steps if step.compensation]
REFUSABLE = [("charge", "refund"), ("reserve", "release")]
FORWARD = [step.name for step in SAGA.steps]


def results(store: MemoryStore, step: str) -> list[object]:
    """The results in the ledger entries of a step."""
    entries = store.table(PARTICIPANT[step], LEDGER).values()
    return [entry["result"] for entry in entries if entry["step"] == step]


def contents(store: MemoryStore) -> dict[str, Any]:
    """Everything that is written anywhere, for comparison."""
    return {
        f"{participant}.{table}": {key: dict(item) for key, item in store.table(participant, table).items()}
        for participant, tables in SAGA.tables.items()
        for table in (*tables, RECORDS, LEDGER)
    }


class Intruder:
    """Does something of its own before the commit with a certain number reaches the store."""

    def __init__(
        self, store: MemoryStore, before: int = 0, intrude: Callable[[MemoryStore], Awaitable[object]] | None = None
    ) -> None:
        self._store = store
        self._before = before
        self._intrude = intrude
        self.commits = 0

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        self.commits += 1
        if self._intrude is not None and self.commits == self._before:
            await self._intrude(self._store)
        await self._store.transact(participant, writes)


@pytest.mark.parametrize("step", FORWARD)
async def test_redelivered_step_is_answered_from_its_record_and_writes_nothing(step: str) -> None:
    store = stocked()
    first = await take(store, *FORWARD[: FORWARD.index(step) + 1])
    before = contents(store)
    again = await take(store, step)

    assert (first.result, first.replayed) == ("done", False)
    assert again == msgspec.structs.replace(first, replayed=True)
    assert contents(store) == before
    assert results(store, step) == ["done"]


async def test_stored_reply_carries_the_data_of_the_first_one() -> None:
    store = stocked()
    await take(store, "charge")

    assert (await take(store, "charge")).data == {"charged_cents": ORDER.total_cents}


async def test_record_ledger_and_business_are_committed_in_one_transaction() -> None:
    store = Intruder(stocked())
    await take(store, "reserve")

    assert store.commits == 1


async def test_ledger_entry_names_saga_step_result_time_and_movements() -> None:
    store = stocked()
    await take(store, "create", "charge")
    (entry,) = store.table("payment", LEDGER).values()

    assert {name: value for name, value in entry.items() if name != "id"} == {
        "saga_id": "s-1",
        "step": "charge",
        "result": "done",
        "at_ns": 2,
        "movements": msgspec.json.encode({"balances:ann:cents": -ORDER.total_cents}).decode(),
    }


@pytest.mark.parametrize(("step", "reason"), [("charge", "insufficient-funds"), ("reserve", "out-of-stock")])
async def test_refusal_is_recorded_and_told_again_even_where_the_step_would_now_succeed(step: str, reason: str) -> None:
    store = poor()
    first = await take(store, step)
    await store.transact("payment", [Add("balances", "ann", "cents", 100_000)])
    await store.transact("inventory", [Add("stock", "sku-1", "on_hand", 100_000)])
    before = contents(store)
    again = await take(store, step)

    assert first == Reply(result="refused", reason=reason)
    assert again == msgspec.structs.replace(first, replayed=True)
    assert contents(store) == before
    assert results(store, step) == ["refused"]


async def test_refusal_writes_nothing_but_its_record_and_its_ledger_entry() -> None:
    store = poor()
    before = contents(store)
    await take(store, "reserve")
    after = contents(store)

    assert {name for name in after if after[name] != before[name]} == {"inventory.records", "inventory.ledger"}


@pytest.mark.parametrize("step", ["approve", "confirm"])
async def test_retriable_step_whose_condition_fails_must_be_tried_again(step: str) -> None:
    store = stocked()
    if step == "confirm":
        await store.transact("notification", SAGA.works()["confirm"].action(Command("s-1", "confirm", ORDER)).writes)
    before = contents(store)

    with pytest.raises(Indefinite, match=step):
        await take(store, step)
    assert contents(store) == before


async def test_failed_condition_without_a_business_meaning_must_be_tried_again() -> None:
    store = MemoryStore([("order", "orders", {"id": "s-1", "status": "PENDING"})])

    with pytest.raises(Indefinite, match="orders:s-1"):
        await take(store, "create")


async def test_refusal_by_a_step_that_has_no_event_for_it_must_be_tried_again() -> None:
    silent = replace(SAGA.steps[1], refused=None)
    saga = replace(SAGA, steps=(SAGA.steps[0], silent, *SAGA.steps[2:]))

    with pytest.raises(Indefinite, match="charge"):
        await Dispatcher(saga, poor()).handle(Command("s-1", "charge", ORDER))


async def test_unknown_step_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        await take(stocked(), "no-such-step")


@pytest.mark.parametrize(("step", "undo"), UNDOINGS)
async def test_compensation_takes_back_every_movement_of_its_step(step: str, undo: str) -> None:
    store = stocked()
    before = accounts(store)
    await take(store, step)
    assert accounts(store) != before
    reply = await take(store, undo)

    assert reply.result == "done"
    assert accounts(store) == before


@pytest.mark.parametrize(("step", "undo"), UNDOINGS)
async def test_redelivered_compensation_is_answered_from_its_record_and_writes_nothing(step: str, undo: str) -> None:
    store = stocked()
    first = await take(store, step, undo)
    before = contents(store)
    again = await take(store, undo)

    assert again == msgspec.structs.replace(first, replayed=True)
    assert contents(store) == before
    assert results(store, undo) == ["done"]


@pytest.mark.parametrize(("step", "undo"), UNDOINGS)
async def test_compensation_before_its_step_leaves_a_tombstone_that_refuses_the_late_step(step: str, undo: str) -> None:
    store = stocked()
    before = accounts(store)
    nothing = await take(store, undo)
    late = await take(store, step)
    later = await take(store, step)

    assert nothing == Reply(result="nothing-to-undo")
    assert (late.result, late.replayed) == ("tombstoned", True)
    assert later == late
    assert accounts(store) == before
    assert results(store, step) == []
    assert results(store, undo) == ["nothing-to-undo"]


@pytest.mark.parametrize(("step", "undo"), UNDOINGS)
async def test_compensation_that_found_nothing_finds_nothing_again(step: str, undo: str) -> None:
    store = stocked()
    await take(store, undo, step)
    before = contents(store)

    assert await take(store, undo) == Reply(result="nothing-to-undo", replayed=True)
    assert contents(store) == before


@pytest.mark.parametrize(("step", "undo"), REFUSABLE)
async def test_compensation_of_a_refused_step_has_nothing_to_undo(step: str, undo: str) -> None:
    store = poor()
    before = accounts(store)
    reply = await take(store, step, undo)

    assert reply == Reply(result="nothing-to-undo")
    assert (await take(store, step)).result == "refused"
    assert accounts(store) == before


@pytest.mark.parametrize(("step", "undo"), UNDOINGS)
async def test_step_that_commits_while_its_tombstone_is_written_is_undone(step: str, undo: str) -> None:
    store = stocked()
    before = accounts(store)
    race = Intruder(store, before=2, intrude=lambda inner: take(inner, step))
    reply = await take(race, undo)

    assert reply == Reply(result="done", data={})
    assert race.commits == 3
    assert accounts(store) == before
    assert (results(store, step), results(store, undo)) == (["done"], ["done"])


@pytest.mark.parametrize(("step", "undo"), REFUSABLE)
async def test_step_that_is_refused_while_its_tombstone_is_written_stays_refused(step: str, undo: str) -> None:
    store = poor()
    race = Intruder(store, before=2, intrude=lambda inner: take(inner, step))

    assert await take(race, undo) == Reply(result="nothing-to-undo")
    assert results(store, step) == ["refused"]


@pytest.mark.parametrize(("step", "undo"), UNDOINGS)
async def test_compensation_that_another_worker_finishes_first_gives_that_ones_reply(step: str, undo: str) -> None:
    store = stocked()
    before = accounts(store)
    race = Intruder(store, before=2, intrude=lambda inner: take(inner, undo))

    assert await take(race, undo) == Reply(result="nothing-to-undo", replayed=True)
    assert (await take(store, step)).result == "tombstoned"
    assert accounts(store) == before


async def test_step_whose_tombstone_is_written_while_it_is_refused_is_told_of_the_tombstone() -> None:
    store = poor()
    race = Intruder(store, before=2, intrude=lambda inner: take(inner, "refund"))

    assert (await take(race, "charge")).result == "tombstoned"
    assert results(store, "charge") == []


async def test_step_that_keeps_changing_while_it_is_undone_must_be_tried_again() -> None:
    class Fickle:
        """A store in which the step's record is there and gone by turns."""

        def __init__(self) -> None:
            self.commits = 0

        async def transact(self, participant: str, writes: Sequence[Write]) -> None:
            self.commits += 1
            raise ConditionFailed({2: None if self.commits % 2 else {"result": "done"}})

    store = Fickle()
    with pytest.raises(Indefinite, match="refund"):
        await take(store, "refund")
    assert store.commits == 6


async def test_store_that_cannot_tell_leaves_the_step_to_be_tried_again() -> None:
    class Silent:
        """A store whose answers are lost."""

        async def transact(self, participant: str, writes: Sequence[Write]) -> None:
            raise Indefinite("no answer")

    with pytest.raises(Indefinite, match="no answer"):
        await take(Silent(), "charge")


async def test_sagas_do_not_share_records() -> None:
    store = stocked()
    participants = dispatcher(store)
    for saga_id in ("s-1", "s-2"):
        reply = await participants.handle(Command(saga_id, "charge", ORDER))
        assert not reply.replayed

    assert store.number("payment", "balances:ann:cents") == 10_000 - 2 * ORDER.total_cents
