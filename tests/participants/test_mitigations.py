"""Mitigations of participants, each switched off: what it then costs, by the auditor's word, and what it costs nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from harness.core.errors import Indefinite
from harness.core.local_transaction import Insert, LocalTransaction, Write
from harness.core.mitigations import Mitigations
from harness.core.saga import Command
from harness.participants.dispatcher import LEDGER, RECORDS, Dispatcher, Reply
from harness.participants.mitigated import dispatcher_for
from harness.participants.ports import Store
from harness.sagas.create_order import SAGA
from tests import samples
from tests.participants.shop import ORDER, accounts, poor, stocked
from tests.step_faults.shapes import supplied
from tests.world.actors import Worker
from tests.world.bus import Delivery
from tests.world.chronicle import audit_snapshot
from tests.world.drivers import POLICY
from tests.world.store import MemoryStore
from tests.world.trace import Occasion
from tests.world.trouble import Crashed, Script, Trouble
from tests.world.world import HEALTHY, Plan, World

IDEMPOTENCY = ("transactional", "naive", "none")


def world(topology: str, plan: Plan, worker: type[Worker] = Worker, **switched: Any) -> World:
    """A world at rest, after this plan with these mitigations switched."""
    mitigations = msgspec.convert(switched, Mitigations)
    made = World(
        replace(
            HEALTHY[topology],
            dispatcher=lambda world, store: dispatcher_for(
                world.plan.saga, store, mitigations, world.simulation.now_ns
            ),
            worker=worker,
        ),
        plan,
    )
    made.run()
    return made


def one(*script: Occasion, refusing: str | None = None) -> Plan:
    """One saga, and this trouble, which is late by more than the saga takes where it is late."""
    return Plan(sagas=1, saga=supplied(SAGA, refusing), trouble=Script(script=script, delay_s=30.0))


def strike(kind: str, work: str, **more: int) -> Occasion:
    """Trouble for the one saga."""
    return Occasion(kind, "s-0000", work, **more)


def anomalies(made: World) -> set[str]:
    """What the auditor finds, once all that was to strike has struck."""
    assert isinstance(made.plan.trouble, Script)
    assert set(made.trace.struck) == set(made.plan.trouble.script), made.trace.in_words()
    return {anomaly.name for anomaly in audit_snapshot(made).anomalies}


def tables(made: World) -> dict[str, Any]:
    """What the participants' own tables hold."""
    return {
        f"{participant}.{table}": made.store.table(participant, table)
        for participant, tables in SAGA.tables.items()
        for table in tables
    }


async def take(store: Store, *steps: str, **switched: Any) -> Reply:
    """Take steps of one saga in turn with these mitigations switched; the reply to the last."""
    participants = dispatcher_for(SAGA, store, msgspec.convert(switched, Mitigations))
    for step in steps:
        reply = await participants.handle(Command("s-1", step, ORDER))
    return reply


def entries(store: MemoryStore, participant: str) -> list[tuple[object, object]]:
    """Step and result of what the ledger holds."""
    return [(entry["step"], entry["result"]) for entry in store.table(participant, LEDGER).values()]


def test_default_is_the_plain_dispatcher_of_the_saga_as_it_is() -> None:
    assert type(dispatcher_for(SAGA, stocked(), Mitigations())) is Dispatcher


@pytest.mark.parametrize("topology", HEALTHY)
@pytest.mark.parametrize("kind", ["crash before commit", "error before commit"])
def test_naive_step_that_fails_between_its_two_writes_is_lost(topology: str, kind: str) -> None:
    between = one(strike(kind, "reserve", commit=2))
    assert anomalies(world(topology, between, idempotency="naive")) == {"effect-missing"}
    assert anomalies(world(topology, one(strike(kind, "reserve", commit=1)))) == set()


@pytest.mark.parametrize("topology", HEALTHY)
@pytest.mark.parametrize("step", [step.name for step in SAGA.steps if step.name != "approve"])
def test_duplicate_is_done_twice_without_records(topology: str, step: str) -> None:
    twice = one(strike("duplicate", step))
    assert "effect-twice" in anomalies(world(topology, twice, idempotency="none"))
    assert anomalies(world(topology, twice)) == set()


@pytest.mark.parametrize("idempotency", ["transactional", "naive"])
@pytest.mark.parametrize("topology", [name for name in HEALTHY if name != "choreographed"])
def test_step_that_timed_out_and_comes_when_all_is_over_runs_without_tombstones(
    topology: str, idempotency: str
) -> None:
    assert POLICY.max_tries is not None
    late = one(*(strike("delay", "charge", number=number + 1) for number in range(POLICY.max_tries)))
    off = world(topology, late, idempotency=idempotency, tombstones="off")
    assert anomalies(off) == {"late-step", "compensation-missing", "split-ending"}
    on = world(topology, late, idempotency=idempotency)
    assert anomalies(on) == set()
    assert [row.result for row in on.step_rows if row.step == "charge"] == ["tombstoned"] * POLICY.max_tries


class _AcknowledgesAtCommit(Worker):
    """As ``outbox=off`` in :class:`harness.worker.processing.Processing`: whatever becomes of the reply, nobody asks."""

    async def _reply(self, delivery: Delivery, reply: Reply) -> None:
        try:
            await super()._reply(delivery, reply)
        except (Indefinite, Crashed):
            pass


@pytest.mark.parametrize("topology", HEALTHY)
def test_reply_lost_without_an_outbox_leaves_a_saga_that_nobody_asks_for_unresolved(topology: str) -> None:
    lost = one(strike("lost reply", "reserve"))
    # An orchestrator asks again, and is told from the record.
    expected = {"unresolved-saga"} if topology == "choreographed" else set()
    assert anomalies(world(topology, lost, _AcknowledgesAtCommit)) == expected
    assert anomalies(world(topology, lost)) == set()


@pytest.mark.parametrize("topology", HEALTHY)
def test_money_is_given_back_twice_with_neither_records_nor_lock(topology: str) -> None:
    again = one(strike("duplicate", "refund"), refusing="reserve")
    unlocked = world(topology, again, idempotency="none", semantic_lock="off")
    assert "compensation-twice" in anomalies(unlocked)
    locked = world(topology, again, idempotency="none")
    assert anomalies(locked) == set()
    assert [message.work for message in locked.bus.dead_letters] == ["refund"]


def test_lock_cannot_tell_a_redelivery_from_a_stranger() -> None:
    lost = one(strike("lost reply", "approve"))
    assert anomalies(world("choreographed", lost, idempotency="none")) == {"unresolved-saga"}
    assert anomalies(world("choreographed", lost, idempotency="none", semantic_lock="off")) == {"effect-twice"}


@pytest.mark.parametrize("topology", HEALTHY)
@pytest.mark.parametrize("tombstones", ["on", "off"])
@pytest.mark.parametrize("seed", range(3))
def test_with_records_nothing_in_create_order_depends_on_its_locks(topology: str, tombstones: str, seed: int) -> None:
    everything = Trouble(
        seed=seed,
        duplicate=0.2,
        lose=0.1,
        delay=0.1,
        delay_s=30.0,
        error=0.1,
        crash=0.1,
        lost_answer=0.1,
        lost_reply=0.1,
    )
    locked, unlocked = (
        world(topology, Plan(trouble=everything), tombstones=tombstones, semantic_lock=lock) for lock in ("on", "off")
    )
    assert len(locked.trace.struck) > 100
    assert locked.trace.digest() == unlocked.trace.digest()
    assert tables(locked) == tables(unlocked)


@pytest.mark.parametrize("idempotency", IDEMPOTENCY)
@pytest.mark.parametrize("steps", [("charge",), ("charge", "refund")], ids=" ".join)
async def test_ledger_entry_is_committed_with_the_effect(idempotency: str, steps: tuple[str, ...]) -> None:
    class Watched(MemoryStore):
        """Compares the books with the balance at every commit."""

        async def transact(self, participant: str, writes: Sequence[Write]) -> None:
            await super().transact(participant, writes)
            booked = [
                msgspec.json.decode(str(entry["movements"]))["balances:ann:cents"]
                for entry in self.table("payment", LEDGER).values()
            ]
            assert self.number("payment", "balances:ann:cents") == 10_000 + sum(booked)

    store = Watched([("payment", "balances", {"id": "ann", "cents": 10_000})])
    await take(store, *steps, idempotency=idempotency)
    assert entries(store, "payment") == [(step, "done") for step in steps]


@pytest.mark.parametrize(("idempotency", "commits"), [("transactional", 1), ("naive", 2), ("none", 1)])
async def test_only_the_naive_step_is_committed_in_two_writes(idempotency: str, commits: int) -> None:
    store = stocked()
    await take(store, "reserve", idempotency=idempotency)
    assert store.commits == commits
    assert len(store.table("inventory", RECORDS)) == (idempotency != "none")


async def test_naive_duplicate_that_comes_between_the_writes_is_answered_before_anything_was_done() -> None:
    store = stocked()
    answers: list[object] = []

    class Between:
        """While the first delivery is between its writes, the second comes."""

        commits = 0

        async def transact(self, participant: str, writes: Sequence[Write]) -> None:
            self.commits += 1
            if self.commits == 2:
                answers.append(await take(store, "charge", idempotency="naive"))
                answers.append(accounts(store) == accounts(stocked()))
            await store.transact(participant, writes)

    await take(Between(), "charge", idempotency="naive")
    assert answers == [Reply(result="done", replayed=True), True]


async def test_naive_duplicate_of_a_refused_step_is_told_that_it_was_done() -> None:
    store = poor()
    first = await take(store, "charge", idempotency="naive")
    assert (first.result, first.reason) == ("refused", "insufficient-funds")
    assert await take(store, "charge", idempotency="naive") == Reply(result="done", replayed=True)
    assert entries(store, "payment") == [("charge", "refused")]


async def test_naive_compensation_undoes_what_has_an_id_and_bars_what_has_none() -> None:
    store = stocked()
    assert (await take(store, "charge", "refund", idempotency="naive")).result == "done"
    assert (await take(store, "release", idempotency="naive")).result == "nothing-to-undo"
    late = await take(store, "reserve", idempotency="naive")
    assert (late.result, late.replayed) == ("tombstoned", True)
    assert accounts(store) == accounts(stocked())
    assert entries(store, "inventory") == [("release", "nothing-to-undo")]


async def test_naive_step_that_gets_its_id_while_it_is_being_barred_is_undone() -> None:
    store = stocked()

    class Race:
        """The step comes before its tombstone does."""

        commits = 0

        async def transact(self, participant: str, writes: Sequence[Write]) -> None:
            self.commits += 1
            if self.commits == 3:
                await take(store, "reserve", idempotency="naive")
            await store.transact(participant, writes)

    assert await take(Race(), "release", idempotency="naive") == Reply(result="done")
    assert accounts(store) == accounts(stocked())


async def test_step_is_taken_anew_by_every_delivery_without_records() -> None:
    store = stocked()
    assert await take(store, "create", "approve", "create", idempotency="none") == Reply(result="done")
    assert store.number("order", "customers:ann:orders") == 2
    assert store.table("order", "orders")["s-1"]["status"] == "PENDING"
    assert entries(store, "order") == [("create", "done"), ("approve", "done"), ("create", "done")]


async def test_closing_step_is_taken_anew_as_well_without_records() -> None:
    store = stocked()
    assert await take(store, "cancel", "cancel", idempotency="none") == Reply(result="done")
    assert entries(store, "notification") == [("cancel", "done")] * 2


async def test_refusal_is_decided_anew_by_every_delivery_without_records() -> None:
    store = poor()
    assert (await take(store, "reserve", "reserve", idempotency="none")).result == "refused"
    assert entries(store, "inventory") == [("reserve", "refused")] * 2


async def test_compensation_is_blind_without_records() -> None:
    store = stocked()
    assert await take(store, "release", idempotency="none") == Reply(result="done")
    assert store.number("inventory", "stock:sku-1:on_hand") == 12


async def test_compensation_without_records_is_still_stopped_by_a_lock() -> None:
    store = stocked()
    with pytest.raises(Indefinite, match="journal:s-1"):
        await take(store, "refund", idempotency="none")
    assert await take(store, "refund", idempotency="none", semantic_lock="off") == Reply(result="done")
    assert dict(store.table("payment", "journal")["s-1"]) == {"id": "s-1", "status": "REFUNDED"}


@pytest.mark.parametrize("idempotency", IDEMPOTENCY)
async def test_order_that_is_pending_no_longer_is_changed_where_there_is_no_lock(idempotency: str) -> None:
    store = stocked()
    await take(store, "create", "reject", "approve", idempotency=idempotency, semantic_lock="off")
    assert store.table("order", "orders")["s-1"]["status"] == "APPROVED"


async def test_place_that_is_refused_when_it_is_taken_is_refused_without_records_too() -> None:
    def sit(command: Command) -> LocalTransaction:
        return LocalTransaction((Insert("seats", "12a", {"of": command.saga_id}, refusal="taken"),))

    saga = samples.saga(replace(samples.pivot("sit"), action=sit))
    store = MemoryStore([("shop", "seats", {"id": "12a", "of": "somebody"})])
    participants = dispatcher_for(saga, store, Mitigations(idempotency="none"))
    assert await participants.handle(Command("s-1", "sit", None)) == Reply(result="refused", reason="taken")


@pytest.mark.parametrize("idempotency", IDEMPOTENCY)
async def test_unknown_step_is_a_key_error_and_leaves_no_id(idempotency: str) -> None:
    store = stocked()
    with pytest.raises(KeyError):
        await take(store, "no-such-step", idempotency=idempotency)
    assert store.commits == 0
