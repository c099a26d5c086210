"""No load, no chance: one saga, one fault, at every place where it can strike. Nothing may be left of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from harness.core.saga import Saga
from harness.core.verdict import Verdict
from harness.participants.dispatcher import LEDGER, RECORDS
from harness.sagas.create_order import SAGA as CREATE_ORDER
from harness.topologies.choreographed import subscriptions
from tests.planted_bugs.participant_bugs import PARTICIPANT_BUGS
from tests.planted_bugs.planted import PlantedBug
from tests.planted_bugs.topology_bugs import TOPOLOGY_BUGS
from tests.step_faults.cases import FAULTS, SAGA_ID, Case, cases
from tests.step_faults.shapes import SAGAS
from tests.world.chronicle import audit_snapshot
from tests.world.trace import Occasion
from tests.world.world import HEALTHY, Parts, World

MATRIX = tuple(cases())


def played(case: Case, parts: Parts) -> World:
    """The world of a case, at rest."""
    world = World(parts, case.plan)
    world.run()
    return world


def judge(case: Case, world: World) -> None:
    """What must hold after every case. A fault that did not strike where it was meant to proves nothing, so it fails."""
    story = f"{case}\n{world.trace.in_words()}"
    assert Counter(world.trace.struck) == Counter(case.script), story
    assert (world.drained, world.bus.pending, world.bus.dead_letters, world.driver.running()) == (True, 0, [], 0), story
    assert world.ingress.rows[SAGA_ID].outcome == case.course.outcome, story
    assert effects(world) == Counter(case.course.done), story
    assert tombstones(world) == ({case.course.tombstone} if case.course.tombstone else set()), story
    audit = audit_snapshot(world)
    assert audit.anomalies == [], story
    assert set(audit.checks.values()) == {Verdict.VALID}, story


def effects(world: World) -> Counter[tuple[str, str]]:
    """What the ledgers hold."""
    tables = [world.store.table(participant, LEDGER) for participant in world.plan.saga.participants]
    return Counter((str(entry["step"]), str(entry["result"])) for table in tables for entry in table.values())


def tombstones(world: World) -> set[str]:
    """The steps that are barred."""
    tables = [world.store.table(participant, RECORDS) for participant in world.plan.saga.participants]
    items = [item for table in tables for item in table.items()]
    return {item_id.partition("#")[2] for item_id, record in items if record["result"] == "tombstoned"}


@pytest.mark.parametrize("case", MATRIX, ids=str)
def test_nothing_is_left_when(case: Case) -> None:
    judge(case, played(case, HEALTHY[case.topology]))


@pytest.mark.parametrize("topology", HEALTHY)
@pytest.mark.parametrize("saga", SAGAS.values(), ids=lambda saga: saga.name)
def test_matrix_meets_everything_that_a_saga_can_be_asked_for(saga: Saga, topology: str) -> None:
    met = {case.work for case in MATRIX if (case.course.saga, case.topology) == (saga, topology)}
    asked_for = set(saga.works())
    if topology == "choreographed":  # the undoing of the last step that can be undone answers what no event announces
        asked_for = {subscription.work for subscription in subscriptions(saga)}
    assert met == asked_for


@pytest.mark.parametrize("topology", HEALTHY)
def test_every_fault_strikes_every_work_of_create_order(topology: str) -> None:
    faults = {fault.in_words for fault in FAULTS if topology != "choreographed" or not fault.needs_orchestrator}
    met = {(case.work, case.fault) for case in MATRIX if (case.course.saga, case.topology) == (CREATE_ORDER, topology)}
    works = {work for work, _ in met}
    # Release is reached only where reserve is given up, and reserve itself is not struck there once more.
    assert {(work, fault) for work in works for fault in faults} <= met


@pytest.mark.parametrize(
    "never",
    [
        pytest.param(Occasion("lose", SAGA_ID, "refund"), id="a step that the saga never comes to"),
        pytest.param(Occasion("lose", SAGA_ID, "charge", receives=2), id="a delivery that there is none of"),
    ],
)
def test_fault_that_does_not_strike_is_a_failure(never: Occasion) -> None:
    case = replace(MATRIX[0], script=(never,))
    with pytest.raises(AssertionError):
        judge(case, played(case, HEALTHY[case.topology]))


BITING = [
    pytest.param(bug, topology, id=f"{bug.name}, {topology}")
    for bug in (*PARTICIPANT_BUGS, *TOPOLOGY_BUGS)
    for topology in bug.topologies
    if bug.name.split("-")[0] not in ("forged", "lost")  # who asks, and chance: neither is a step's fault
]


@pytest.mark.parametrize(("bug", "topology"), BITING)
def test_matrix_finds_planted_bug(bug: PlantedBug, topology: str) -> None:
    assert any(fails(case, bug.plant(HEALTHY[topology])) for case in MATRIX if case.topology == topology)


def fails(case: Case, parts: Parts) -> bool:
    """Whether this case is too much for such a world."""
    if case.course.saga is not CREATE_ORDER:
        return False
    try:
        judge(case, played(case, parts))
    except AssertionError:
        return True
    return False
