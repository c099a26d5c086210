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
from tests.world.drivers import Choreography, Driver, Orchestration
from tests.world.simulation import Simulation
from tests.world.store import MemoryStore
from tests.world.trouble import Trouble

LIMIT_S = 600.0
"""Virtual time after which the world is cut off. Healthy worlds need a fraction of it."""
ARRIVAL_GAP_S = 0.2


def own_store(_: World, store: Store) -> Store:
    """The healthy store."""
    return store


def dispatcher(world: World, store: Store) -> Dispatcher:
    """The healthy dispatcher."""
    return Dispatcher(world.parts.saga, store, world.simulation.now_ns)


@dataclass(frozen=True)
class Parts:
    """What the world is made of. A planted bug is one part replaced.

    ``saga`` is what participants run by; the auditor always takes the healthy definition.
    """

    topology: Callable[[World], Driver]
    saga: Saga = SAGA
    store: Callable[[World, Store], Store] = own_store
    dispatcher: Callable[[World, Store], Dispatcher] = dispatcher
    worker: Callable[[World], Worker] = Worker
    ingress: Callable[[World], Ingress] = Ingress


@dataclass(frozen=True)
class Plan:
    """What is to be run: how many sagas, of which kinds, and into what trouble."""

    sagas: int = 40
    trouble: Trouble = field(default_factory=Trouble)
    cannot_pay_share: float = 0.15
    out_of_stock_share: float = 0.15
    forged_share: float = 0.0
    """Requests whose identity the ingress must refuse."""


def choreographed(world: World) -> Driver:
    """The healthy choreography."""
    return Choreography(world.parts.saga, world.bus)


def orchestrated(world: World) -> Driver:
    """The healthy orchestration."""
    return Orchestration(world.parts.saga, world.bus, world.simulation, world.plan.trouble.seed)


HEALTHY = {"choreographed": Parts(choreographed), "orchestrated": Parts(orchestrated)}


class World:
    """One run. ``fired`` counts what went wrong, by kind; planted bugs count there too."""

    def __init__(self, parts: Parts, plan: Plan) -> None:
        self.parts: Parts = parts
        self.plan: Plan = plan
        self.fired: Counter[str] = Counter()
        self.workload: Any = parts.saga.workload(
            WorkloadPlan(plan.trouble.seed, plan.sagas, plan.cannot_pay_share, plan.out_of_stock_share)
        )
        self.initial_items = list(self.workload.initial_items())
        self.store = MemoryStore(self.initial_items)
        self.simulation: Simulation = Simulation()
        self.bus = Bus(self.simulation, plan.trouble, self.fired)
        self.arrival_of = {f"s-{arrival:04}": arrival for arrival in range(plan.sagas)}
        self.step_rows: list[StepRow] = []
        self.driver = parts.topology(self)
        self.ingress = parts.ingress(self)
        self._worker = parts.worker(self)
        self.bus.handler = self._handle
        self.drained = False

    def is_forged(self, arrival: int) -> bool:
        """Whether this arrival comes with an identity that is none."""
        trouble = self.plan.trouble
        return trouble.strikes_at("forged", self.plan.forged_share, 1, arrival)

    def run(self) -> None:
        """Let every saga arrive, and virtual time pass until nothing is left to do."""
        for saga_id, arrival in self.arrival_of.items():
            self.simulation.spawn(self.ingress.request(arrival, saga_id), ARRIVAL_GAP_S * arrival)
        self.drained = self.simulation.run(LIMIT_S)

    async def _handle(self, delivery: Delivery) -> None:
        if delivery.message.queue == OUTCOMES:
            self.ingress.outcome(delivery.message.saga_id, delivery.message.work)
        else:
            await self._worker.handle(delivery)
