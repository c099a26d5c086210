"""Bugs of what is between participants: routes, state machines, acknowledgements, the front door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from harness.core.errors import Indefinite
from harness.core.saga import Outcome
from harness.core.seeded import uniform
from harness.participants.dispatcher import Reply
from harness.sagas.create_order import SAGA
from harness.topologies.base import ending_events
from harness.topologies.choreographed import Subscription, subscriptions
from tests.planted_bugs.planted import BITTEN, PlantedBug, fired, handled, with_result
from tests.world.actors import Ingress, Worker
from tests.world.asl import TIMEOUT
from tests.world.bus import Delivery, Message
from tests.world.drivers import Choreography, Orchestration, state_machine
from tests.world.trouble import Crashed, Trouble
from tests.world.world import Parts, Plan, World

CHOREOGRAPHED = ("choreographed",)
ORCHESTRATED = ("orchestrated",)


class _AcknowledgesFirst(Worker):
    """The queue forgets the message before the work is done."""

    async def handle(self, delivery: Delivery) -> None:
        try:
            await super().handle(delivery)
        except (Crashed, Indefinite):
            self.world.fired[BITTEN] += 1


class _AnswersOnce(Worker):
    """A duplicate is suppressed, and with it the answer that may have been lost the first time."""

    def tell(self, delivery: Delivery, reply: Reply) -> None:
        if reply.replayed:
            self.world.fired[BITTEN] += 1
        else:
            super().tell(delivery, reply)


class _LosesEvents(Choreography):
    """One event in twenty is published and never arrives."""

    def __init__(self, world: World) -> None:
        super().__init__(world.plan.saga, world.bus, world.trace)
        self._world = world

    def publish(self, saga_id: str, event: str) -> None:
        if uniform(self._world.plan.trouble.seed, "lost event", saga_id, event) < 0.05:
            self._world.fired[BITTEN] += 1
        else:
            super().publish(saga_id, event)


class _StartsForgedRequests(Ingress):
    """The client is turned away, its saga is not."""

    def forged(self, saga_id: str) -> None:
        self.world.fired[BITTEN] += 1
        self.world.driver.start(saga_id, self.world.arrival_of[saga_id])


def _rerouted(
    change: Callable[[list[Subscription]], Sequence[Subscription]], bites_on: str
) -> Callable[[Parts], Parts]:
    class Rerouted(Choreography):
        def __init__(self, world: World) -> None:
            routes = change(list(subscriptions(world.plan.saga)))
            super().__init__(world.plan.saga, world.bus, world.trace, routes)
            self._world = world

        def reply(self, message: Message, reply: Reply) -> None:
            self._world.fired[BITTEN] += message.work == bites_on
            super().reply(message, reply)

    return lambda parts: replace(parts, topology=Rerouted)


def _recompiled(change: Callable[[dict[str, Any]], None], bites_on: str) -> Callable[[Parts], Parts]:
    """``bites_on``: the work whose answer, or ``TIMEOUT`` where a state's giving up, is the bug doing harm."""

    class Recompiled(Orchestration):
        def __init__(self, world: World) -> None:
            machine = state_machine(world.plan.saga)
            change(machine["States"])
            super().__init__(world.bus, world.simulation, world.trace, world.plan.trouble.seed, machine)
            self._world = world

        def reply(self, message: Message, reply: Reply) -> None:
            self._world.fired[BITTEN] += message.work == bites_on
            super().reply(message, reply)

        def gave_up(self, state: str) -> None:
            self._world.fired[BITTEN] += bites_on == TIMEOUT

    return lambda parts: replace(parts, topology=Recompiled)


def _reject_before_refund(routes: list[Subscription]) -> Sequence[Subscription]:
    order = {
        "InventoryUnavailable": ("order", "reject"),
        "OrderRejected": ("payment", "refund"),
        "PaymentRefunded": ("notification", "cancel"),
    }
    return [
        replace(route, participant=order[route.event][0], work=order[route.event][1]) if route.event in order else route
        for route in routes
    ]


def _reject_state_before_refund(states: dict[str, Any]) -> None:
    states["Reserve"]["Catch"][0]["Next"] = "Reject"
    states["Reject"]["Next"] = "Refund"
    states["Refund"]["Next"] = "Cancel"


def _also_on(event: str, participant: str, work: str) -> Callable[[list[Subscription]], Sequence[Subscription]]:
    return lambda routes: [*routes, Subscription(participant, event, work, ())]


def _always_tells_completed(states: dict[str, Any]) -> None:
    events = {outcome: event for event, outcome in ending_events(SAGA).items()}
    states["PublishCompensated"]["Parameters"]["Entries"][0]["DetailType"] = events[Outcome.COMPLETED]


def _compensates_a_slow_approval(states: dict[str, Any]) -> None:
    caught = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Release"}
    states["Approve"] |= {"Retry": [], "Catch": [caught]}


def _catches_refusals_only(states: dict[str, Any]) -> None:
    for state in states.values():
        if "Catch" in state:
            state["Catch"] = [catch for catch in state["Catch"] if catch["ErrorEquals"] != ["States.ALL"]]


def _takes_timeouts_for_refusals(states: dict[str, Any]) -> None:
    for state in states.values():
        if "Catch" in state:
            refused, unknown = state["Catch"]
            unknown["Next"] = refused["Next"]


_CRASHES = Plan(trouble=Trouble(crash=0.1))
_LATE = Plan(trouble=Trouble(delay=0.3, delay_s=30.0))

TOPOLOGY_BUGS = (
    PlantedBug(
        "acknowledged-before-commit",
        frozenset({"unresolved-saga"}),
        lambda parts: replace(parts, worker=_AcknowledgesFirst),
        occasions=fired("crash before commit"),
        plan=_CRASHES,
        topologies=CHOREOGRAPHED,  # an orchestrator sends its command again
    ),
    PlantedBug(
        "duplicate-not-answered",
        frozenset({"unresolved-saga"}),
        lambda parts: replace(parts, worker=_AnswersOnce),
        occasions=fired("crash after commit"),
        plan=_CRASHES,
        topologies=CHOREOGRAPHED,
    ),
    PlantedBug(
        "lost-event",
        frozenset({"unresolved-saga"}),
        lambda parts: replace(parts, topology=_LosesEvents),
        occasions=handled("confirm"),
        topologies=CHOREOGRAPHED,
    ),
    PlantedBug(
        "forged-request-started",
        frozenset({"effect-without-saga"}),
        lambda parts: replace(parts, ingress=_StartsForgedRequests),
        occasions=fired("forged"),
        plan=Plan(forged_share=0.2),
    ),
    PlantedBug(
        "forged-request-started, beside enough unanswered ones to account for it",
        frozenset({"effect-without-saga"}),
        lambda parts: replace(parts, ingress=_StartsForgedRequests),
        occasions=lambda world: min(world.fired["forged"], max(0, world.fired["unanswered"] - world.fired["forged"])),
        plan=Plan(forged_share=0.1, trouble=Trouble(unanswered=0.5)),
    ),
    PlantedBug(
        "rejected-before-refunded, by its routes",
        frozenset({"compensation-order"}),
        _rerouted(_reject_before_refund, "refund"),
        occasions=handled("refund"),
        topologies=CHOREOGRAPHED,
    ),
    PlantedBug(
        "rejected-before-refunded, by its states",
        frozenset({"compensation-order"}),
        _recompiled(_reject_state_before_refund, "refund"),
        occasions=handled("refund"),
        topologies=ORCHESTRATED,
    ),
    PlantedBug(
        "confirmed-despite-refusal",
        # Who was first, the confirmation or the refund, differs from saga to saga: hence both of the last two.
        frozenset({"split-ending", "effect-missing", "compensation-after-pivot", "late-step"}),
        _rerouted(
            _also_on("InventoryUnavailable", "notification", "confirm"),
            "confirm",
        ),
        occasions=handled("reserve", "refused"),
        topologies=CHOREOGRAPHED,
    ),
    PlantedBug(
        "always-tells-completed",
        # Taken at its word, the saga also lacks the steps of a completed one.
        frozenset({"split-ending", "effect-missing"}),
        _recompiled(_always_tells_completed, "cancel"),
        occasions=handled("cancel"),
        topologies=ORCHESTRATED,
    ),
    PlantedBug(
        "released-after-approval",
        frozenset({"compensation-after-pivot", "late-step"}),  # the confirmation comes too late in some sagas
        _rerouted(_also_on("OrderApproved", "inventory", "release"), "release"),
        occasions=handled("approve"),
        topologies=CHOREOGRAPHED,
    ),
    PlantedBug(
        "slow-approval-compensated",
        frozenset({"compensation-after-pivot", "late-step"}),
        _recompiled(_compensates_a_slow_approval, "release"),
        occasions=lambda world: sum(row.step == "approve" and row.replayed for row in world.step_rows),
        plan=_LATE,
        topologies=ORCHESTRATED,
    ),
    PlantedBug(
        "timeout-not-caught",
        frozenset({"unresolved-saga"}),
        _recompiled(_catches_refusals_only, TIMEOUT),
        occasions=with_result("tombstoned"),
        plan=_LATE,
        topologies=ORCHESTRATED,
    ),
    PlantedBug(
        "timeout-taken-for-a-refusal",
        frozenset({"compensation-missing", "late-step", "split-ending"}),
        _recompiled(_takes_timeouts_for_refusals, TIMEOUT),
        occasions=with_result("tombstoned"),
        plan=_LATE,
        topologies=ORCHESTRATED,
    ),
)
