"""What repairs do to sagas that were dropped and to sagas that were only slow, over many worlds, in both topologies."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from harness.core.verdict import Verdict
from harness.participants.dispatcher import LEDGER, RECORDS
from tests.properties.plans import drawn
from tests.sweeper.swept import breaking, dropping, sweep
from tests.world.chronicle import audit_snapshot
from tests.world.trouble import Trouble
from tests.world.world import Parts, Plan, World

SEEDS = range(12)
FORMS = ("orchestrated", "orchestrated by re-entry")


def world_of(parts: Parts, plan: Plan, **sweeping: float | bool) -> World:
    """At rest, after a sweeper has worked in it, if it is told how."""
    world = World(parts, plan)
    if sweeping:
        world.simulation.spawn(sweep(world, **sweeping))  # type: ignore[arg-type]
    world.run()
    return world


def judge(world: World) -> None:
    """Every saga has ended, and the audit has nothing to say."""
    story = f"seed {world.plan.trouble.seed}\n{world.trace.in_words()}"
    assert (world.drained, world.driver.running(), world.bus.dead_letters) == (True, 0, []), story
    for saga_id, row in world.ingress.rows.items():
        assert row.status == "rejected" or saga_id in world.ingress.ended_s, story
    audit = audit_snapshot(world)
    assert audit.anomalies == [], story
    assert set(audit.checks.values()) == {Verdict.VALID}, story


def books(world: World) -> Counter[tuple[str, ...]]:
    """All that was ever committed, without its times."""
    tables = [world.store.table(participant, LEDGER) for participant in world.plan.saga.participants]
    names = ("saga_id", "step", "result", "movements")
    return Counter(tuple(str(entry[name]) for name in names) for table in tables for entry in table.values())


WITH_REPAIRS = {"patience_s": 12.0, "every_s": 2.0, "until_s": 150.0}
RESTLESS = {"patience_s": 0.0, "every_s": 0.1, "until_s": 5.0, "ended_too": True}


DROPPING = {"choreographed": dropping(0.1)} | {form: breaking(form, 0.25) for form in FORMS}
DROPPED = {"choreographed": "lost event"} | dict.fromkeys(FORMS, "stopped")
HARMLESS = {"choreographed": dropping(0.0)} | {form: breaking(form, 0.0) for form in FORMS}


@pytest.mark.parametrize("topology", DROPPING)
def test_sagas_that_are_dropped_all_end_with_the_sweeper_and_the_books_are_right(topology: str) -> None:
    dropped = 0
    for seed in SEEDS:
        world = world_of(DROPPING[topology], drawn(seed), **WITH_REPAIRS)
        judge(world)
        dropped += world.fired[DROPPED[topology]]
    assert dropped > len(SEEDS)


@pytest.mark.parametrize("topology", DROPPING)
def test_without_the_sweeper_they_are_named_as_unresolved(topology: str) -> None:
    worlds = (world_of(DROPPING[topology], drawn(seed)) for seed in SEEDS)
    assert "unresolved-saga" in {anomaly.name for world in worlds for anomaly in audit_snapshot(world).anomalies}


@pytest.mark.parametrize("topology", HARMLESS)
def test_sweeper_that_repairs_everything_all_the_time_changes_no_outcome_and_no_book(topology: str) -> None:
    for seed in SEEDS[:8]:
        plan = replace(drawn(seed), out_of_stock_share=0.0)  # who gets the last unit depends on who comes first
        plan = replace(plan, trouble=Trouble(seed=seed, duplicate=0.2))
        alone, swept = world_of(HARMLESS[topology], plan), world_of(HARMLESS[topology], plan, **RESTLESS)
        assert sum(swept.driver.repairs.values()) > 10 * len(swept.arrival_of)  # type: ignore[attr-defined]
        judge(swept)
        outcomes = [{saga_id: row.outcome for saga_id, row in world.ingress.rows.items()} for world in (alone, swept)]
        assert outcomes[0] == outcomes[1]
        assert books(alone) == books(swept)


@pytest.mark.parametrize("topology", DROPPING)
def test_restless_sweeper_is_safe_in_any_trouble(topology: str) -> None:
    restless = RESTLESS | {"every_s": 0.5, "until_s": 40.0, "ended_too": False}
    for seed in SEEDS[:8]:
        judge(world_of(DROPPING[topology], drawn(seed), **restless))


def test_choreography_has_no_tombstones_that_could_leave_a_repaired_saga_without_a_word() -> None:
    for seed in SEEDS:
        world = world_of(dropping(0.1), drawn(seed), **RESTLESS | {"every_s": 0.5})
        tables = [world.store.table(participant, RECORDS) for participant in world.plan.saga.participants]
        results = {record["result"] for table in tables for record in table.values()}
        assert results == {"done", "refused"}


@pytest.mark.parametrize("form", FORMS)
def test_going_on_from_the_start_would_go_ahead_on_steps_that_are_undone(form: str) -> None:
    """Why a repair asks the history, and not the participants, how far an execution had come."""
    named = Counter(
        anomaly.name
        for seed in SEEDS
        for anomaly in audit_snapshot(
            world_of(breaking(form, 0.25, from_the_start=True), drawn(seed), **WITH_REPAIRS)
        ).anomalies
    )
    assert named["late-step"] or named["split-ending"], named
