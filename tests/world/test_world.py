"""The world itself: if it did not do what it says, the tests that stand on it would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from harness.core.local_transaction import Add, Change, Insert, Require, Write
from harness.core.saga import Saga
from harness.core.verdict import Verdict
from harness.participants.ports import ConditionFailed
from harness.sagas.create_order import SAGA
from harness.topologies.policy import RetryPolicy
from tests.world.bus import MAX_RECEIVES, Bus, Delivery, Message
from tests.world.chronicle import audit_snapshot, audit_world
from tests.world.drivers import POLICY, reentering, state_machine
from tests.world.simulation import Simulation, sleep
from tests.world.store import MemoryStore
from tests.world.trace import Occasion, Trace
from tests.world.trouble import Adversary, Crashed, Script, Trouble
from tests.world.world import HEALTHY, Parts, Plan, World, orchestration

Compiled = Callable[[Saga, RetryPolicy], dict[str, Any]]


def _store() -> MemoryStore:
    return MemoryStore([("shop", "stock", {"id": "a", "on_hand": 5}), ("shop", "orders", {"id": "o", "status": "NEW"})])


async def test_store_commits_every_kind_of_write() -> None:
    store = _store()
    await store.transact(
        "shop",
        [
            Insert("orders", "p", {"status": "NEW"}),
            Add("stock", "a", "on_hand", -5, at_least=5),
            Add("stock", "new", "on_hand", 2),
            Change("orders", "o", set={"status": "OLD"}, expect={"status": "NEW"}),
        ],
    )

    assert store.table("shop", "orders") == {"o": {"id": "o", "status": "OLD"}, "p": {"id": "p", "status": "NEW"}}
    assert store.table("shop", "stock") == {"a": {"id": "a", "on_hand": 0}, "new": {"id": "new", "on_hand": 2}}
    assert store.table("other", "orders") == {}


@pytest.mark.parametrize(
    ("write", "existing"),
    [
        (Insert("orders", "o", {}), {"id": "o", "status": "NEW"}),
        (Add("stock", "a", "on_hand", -6, at_least=6), {"id": "a", "on_hand": 5}),
        (Add("stock", "none", "on_hand", -1, at_least=1), None),
        (Change("orders", "o", set={}, expect={"status": "OLD"}), {"id": "o", "status": "NEW"}),
        (Change("orders", "none", set={}, expect={"status": "NEW"}), None),
        (Require("orders", "o", {"status": "OLD"}), {"id": "o", "status": "NEW"}),
        (Require("orders", "none", {}), None),
    ],
)
async def test_store_writes_nothing_where_one_condition_fails_and_says_what_stood_in_the_way(
    write: Write, existing: dict[str, object] | None
) -> None:
    store = _store()
    with pytest.raises(ConditionFailed) as failed:
        await store.transact("shop", [Insert("orders", "p", {}), write])

    assert failed.value.existing == {1: existing}
    assert store.table("shop", "orders") == _store().table("shop", "orders")
    assert store.table("shop", "stock") == _store().table("shop", "stock")


@pytest.mark.parametrize(
    "writes",
    [
        [Insert("orders", "p", {}), Require("orders", "p", {})],
        [Add("stock", f"{number}", "on_hand", 1) for number in range(101)],
        [],
    ],
)
async def test_store_refuses_what_dynamodb_calls_invalid(writes: list[Write]) -> None:
    with pytest.raises(ValueError, match="transaction"):
        await _store().transact("shop", writes)


def test_simulation_interleaves_by_virtual_time() -> None:
    simulation = Simulation()
    seen: list[tuple[str, float]] = []

    async def tick(name: str, every_s: float) -> None:
        for _ in range(2):
            await sleep(every_s)
            seen.append((name, simulation.now_s))

    simulation.spawn(tick("slow", 3.0))
    simulation.spawn(tick("fast", 1.0), after_s=1.0)

    assert simulation.run(limit_s=100)
    assert seen == [("fast", 2.0), ("slow", 3.0), ("fast", 3.0), ("slow", 6.0)]


def test_simulation_that_passes_its_limit_is_not_at_rest() -> None:
    simulation = Simulation()

    async def forever() -> None:
        while True:
            await sleep(1.0)

    simulation.spawn(forever())
    assert not simulation.run(limit_s=10)


def _deliveries(trouble: Trouble, handler: Callable[[Delivery], None]) -> tuple[list[Delivery], Bus]:
    simulation, seen = Simulation(), list[Delivery]()
    trace = Trace(simulation)
    bus = Bus(simulation, Adversary(trouble, simulation, trace), trace)

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery)
        handler(delivery)

    bus.handler = handle
    bus.send(Message("shop", "s-1", "charge"))
    assert simulation.run(limit_s=10_000)
    return seen, bus


def test_bus_delivers_until_acknowledged() -> None:
    def acknowledge_the_third(delivery: Delivery) -> None:
        if delivery.receives < 3:
            raise Crashed

    seen, bus = _deliveries(Trouble(), acknowledge_the_third)
    assert [delivery.receives for delivery in seen] == [1, 2, 3]
    assert bus.dead_letters == []


def test_bus_gives_up_a_message_that_is_never_acknowledged() -> None:
    def never(_: Delivery) -> None:
        raise Crashed

    seen, bus = _deliveries(Trouble(), never)
    assert len(seen) == MAX_RECEIVES
    assert len(bus.dead_letters) == 1


def test_bus_duplicates_and_loses_as_often_as_it_is_told_and_still_delivers() -> None:
    seen, bus = _deliveries(Trouble(duplicate=1.0, lose=1.0, strikes=2), lambda _: None)

    assert sorted((delivery.copy, delivery.receives) for delivery in seen) == [(1, 3), (2, 3)]
    assert bus.dead_letters == []


@pytest.mark.parametrize("topology", HEALTHY)
def test_same_seed_makes_the_same_world(topology: str) -> None:
    plan = Plan(sagas=15, trouble=Trouble(seed=7, duplicate=0.3, lose=0.2, delay=0.2, crash=0.1))
    worlds = [World(HEALTHY[topology], plan) for _ in range(2)]
    for world in worlds:
        world.run()

    assert worlds[0].step_rows == worlds[1].step_rows
    assert worlds[0].ingress.rows == worlds[1].ingress.rows


@pytest.mark.parametrize("topology", HEALTHY)
def test_world_without_trouble_ends_all_sagas_as_their_requests_ask_for(topology: str, tmp_path: Path) -> None:
    world = World(HEALTHY[topology], Plan())
    world.run()
    audit = audit_world(world, tmp_path, topology)
    refused = {(row.step, row.saga_id) for row in world.step_rows if row.result == "refused"}
    poor = {
        saga_id for saga_id, arrival in world.arrival_of.items() if world.workload.subject(arrival).startswith("poor")
    }

    assert audit.verdict is Verdict.VALID
    assert {saga_id for step, saga_id in refused if step == "charge"} == poor
    assert {step for step, _ in refused} == {"charge", "reserve"}
    compensated = {saga_id for saga_id, row in world.ingress.rows.items() if row.outcome == "compensated"}
    assert compensated == {saga_id for _, saga_id in refused}
    assert not any(row.replayed for row in world.step_rows)


@pytest.mark.parametrize("topology", HEALTHY)
def test_audit_of_a_snapshot_is_the_audit_of_the_history(topology: str, tmp_path: Path) -> None:
    world = World(HEALTHY[topology], Plan(sagas=15, trouble=Trouble(duplicate=0.3, crash=0.2, unanswered=0.2)))
    world.run()
    assert replace(audit_world(world, tmp_path, topology), topology="world") == audit_snapshot(world)


def test_script_strikes_where_it_says_and_nowhere_else() -> None:
    lost = Occasion("lose", "s-0001", "charge")
    world = World(HEALTHY["choreographed"], Plan(sagas=3, trouble=Script(script=(lost,))))
    world.run()
    assert world.trace.struck == [lost]
    assert "! lose: charge of s-0001" in world.trace.in_words("s-0001")
    assert "lose" not in world.trace.in_words("s-0000", "s-0002")


def test_trouble_is_over_when_it_says_and_calm_is_when_its_effects_are() -> None:
    plan = Plan(trouble=Trouble(lose=0.5, delay=0.3, delay_s=5.0, until_s=3.0))
    world = World(HEALTHY["choreographed"], plan)
    world.run()
    struck_s = [line.t_s for line in world.trace.lines if line.what.startswith("!")]
    assert struck_s
    assert max(struck_s) < 3.0 < world.trace.calm_s < 8.0


@pytest.mark.parametrize("kind", ["late reply", "lost callback"])
def test_callback_that_does_not_come_in_time_has_the_command_sent_again(kind: str) -> None:
    trouble = Script(script=(Occasion(kind, "s-0000", "charge"),), delay_s=5.0)
    world = World(HEALTHY["orchestrated"], Plan(sagas=1, trouble=trouble))
    world.run()
    charges = [(row.result, row.replayed, row.attempt) for row in world.step_rows if row.step == "charge"]
    assert charges == [("done", False, "0.1"), ("done", True, "1.1")]
    assert ("a callback that nobody waits for" in world.trace.in_words()) is (kind == "late reply")


def test_both_forms_of_the_state_machine_send_the_same_commands_and_number_their_retries() -> None:
    trouble = Script(script=tuple(Occasion("lost callback", "s-0000", "reserve", number) for number in (1, 2)))
    worlds = [World(HEALTHY[name], Plan(sagas=1, trouble=trouble)) for name in HEALTHY if name != "choreographed"]
    for world in worlds:
        world.run()
    commands = [[(row.step, row.attempt) for row in world.step_rows] for world in worlds]
    assert commands[0] == commands[1]
    assert ("reserve", "1.1") in commands[0]


@pytest.mark.parametrize("compiled", [state_machine, reentering])
def test_without_a_step_timeout_a_lost_callback_is_waited_for_for_ever(compiled: Compiled) -> None:
    lost = Script(script=(Occasion("lost callback", "s-0000", "charge"),))
    running = []
    for step_timeout_s in (3, None):
        machine = compiled(SAGA, replace(POLICY, step_timeout_s=step_timeout_s))
        world = World(Parts(lambda world, machine=machine: orchestration(world, machine)), Plan(sagas=1, trouble=lost))
        world.run()
        running.append(world.driver.running())
    assert running == [0, 1]


@pytest.mark.parametrize("compiled", [state_machine, reentering])
def test_without_a_limit_of_attempts_a_step_of_unknown_outcome_is_never_given_up(compiled: Compiled) -> None:
    unknown = Script(script=tuple(Occasion("lost callback", "s-0000", "charge", n) for n in range(1, 6)))
    outcomes = []
    for max_tries in (2, None):
        machine = compiled(SAGA, replace(POLICY, max_tries=max_tries))
        plan = Plan(sagas=1, trouble=unknown, cannot_pay_share=0, out_of_stock_share=0)
        world = World(Parts(lambda world, machine=machine: orchestration(world, machine)), plan)
        world.run()
        outcomes.append(world.ingress.rows["s-0000"].outcome)
    assert outcomes == ["compensated", "completed"]
