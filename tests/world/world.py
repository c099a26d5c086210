"""A whole small run in memory: sagas through the real dispatcher, in either topology, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.core.saga import Saga, WorkloadPlan
from harness.history.records import StepRow
from harness.participants.dispatcher import Dispatcher
from harness.participants.ports import Store
from harness.sagas.create_order import SAGA
from harness.topologies.base import OUTCOMES
from tests.world.actors import Ingress, Worker
from tests.world.bus import Bus, Delivery
from tests.world.drivers import Choreography, Driver, Orchestration, reentering, state_machine
from tests.world.simulation import Simulation
from tests.world.store import MemoryStore
from tests.world.trace import Trace
from tests.world.trouble import Adversary, Trouble

LIMIT_S = 600.0
"""Virtual time after which the world is cut off. Healthy worlds need a fraction of it."""
ARRIVAL_GAP_S = 0.2


def own_store(_: World, store: Store) -> Store:
    """The healthy store."""
    return store


def dispatcher(world: World, store: Store) -> Dispatcher:
    """The healthy dispatcher."""
    return Dispatcher(world.plan.saga, store, world.simulation.now_ns)


@dataclass(frozen=True)
class Parts:
    """What the world is made of. A planted bug is one part replaced."""

    topology: Callable[[World], Driver]
    store: Callable[[World, Store], Store] = own_store
    dispatcher: Callable[[World, Store], Dispatcher] = dispatcher
    worker: Callable[[World], Worker] = Worker
    ingress: Callable[[World], Ingress] = Ingress


@dataclass(frozen=True)
class Plan:
    """What is to be run: which saga, how often, with which requests, and into what trouble."""

    sagas: int = 40
    trouble: Trouble = field(default_factory=Trouble)
    cannot_pay_share: float = 0.15
    out_of_stock_share: float = 0.15
    forged_share: float = 0.0
    """Requests whose identity the ingress must refuse."""
    saga: Saga = SAGA


def choreographed(world: World) -> Driver:
    """The healthy choreography."""
    return Choreography(world.plan.saga, world.bus, world.trace)


def orchestrated(world: World) -> Driver:
    """The healthy orchestration."""
    return orchestration(world, state_machine(world.plan.saga))


def reentered(world: World) -> Driver:
    """The healthy orchestration on a backend that cannot retry a callback task."""
    return orchestration(world, reentering(world.plan.saga))


def orchestration(world: World, machine: dict[str, Any]) -> Orchestration:
    """This state machine at work."""
    return Orchestration(world.bus, world.simulation, world.trace, world.plan.trouble.seed, machine)


HEALTHY = {
    "choreographed": Parts(choreographed),
    "orchestrated": Parts(orchestrated),
    "orchestrated by re-entry": Parts(reentered),
}


class World:
    """One run. Its ``trace`` tells what happened in it."""

    def __init__(self, parts: Parts, plan: Plan) -> None:
        self.parts: Parts = parts
        self.plan: Plan = plan
        self.simulation: Simulation = Simulation()
        self.trace: Trace = Trace(self.simulation)
        self.adversary: Adversary = Adversary(plan.trouble, self.simulation, self.trace)
        self.workload: Any = plan.saga.workload(
            WorkloadPlan(plan.trouble.seed, plan.sagas, plan.cannot_pay_share, plan.out_of_stock_share)
        )
        self.initial_items = list(self.workload.initial_items())
        self.store = MemoryStore(self.initial_items)
        self.bus = Bus(self.simulation, self.adversary, self.trace)
        self.arrival_of = {f"s-{arrival:04}": arrival for arrival in range(plan.sagas)}
        self.step_rows: list[StepRow] = []
        self.driver = parts.topology(self)
        self.ingress = parts.ingress(self)
        self._worker = parts.worker(self)
        self.bus.handler = self._handle
        self.drained = False
        for saga_id, arrival in self.arrival_of.items():
            self.simulation.spawn(self.ingress.request(arrival, saga_id), ARRIVAL_GAP_S * arrival)

    @property
    def fired(self) -> Counter[str]:
        """How often what went wrong."""
        return self.trace.fired

    def run(self, limit_s: float = LIMIT_S) -> None:
        """Let virtual time pass until nothing is left to do, or until the limit, and then no more."""
        try:
            self.run_on(limit_s)
        finally:
            self.simulation.close()

    def run_on(self, limit_s: float) -> None:
        """The same, but it can be run on, and has to be closed."""
        self.drained = self.simulation.run(limit_s)

    async def _handle(self, delivery: Delivery) -> None:
        if delivery.message.queue == OUTCOMES:
            self.ingress.outcome(delivery.message.saga_id, delivery.message.work)
        else:
            await self._worker.handle(delivery)
