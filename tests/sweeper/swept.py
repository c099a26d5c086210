"""The world with a sweeper in it, and with executions that somebody stops in the middle."""

from __future__ import annotations

from typing import Any

from harness.core.seeded import uniform
from harness.topologies.resume import RESUME, resumable, resumption
from tests.world.drivers import Choreography, Driver, Orchestration, reentering, state_machine
from tests.world.drivers import _Execution as Execution
from tests.world.simulation import sleep
from tests.world.world import Parts, World


class Dropping(Choreography):
    """Some events are published and never arrive; a repaired saga's are others than the first time."""

    def __init__(self, world: World, lost: float) -> None:
        super().__init__(world.plan.saga, world.bus, world.trace)
        self._world = world
        self._lost = lost
        self.repairs: dict[str, int] = {}

    def publish(self, saga_id: str, event: str) -> None:
        key = ("lost event", saga_id, event, self.repairs.get(saga_id, 0))
        if uniform(self._world.plan.trouble.seed, *key) < self._lost:
            self._world.fired["lost event"] += 1
        else:
            super().publish(saga_id, event)

    def repair(self, saga_id: str) -> None:
        """Ask for the first step again."""
        self.repairs[saga_id] = self.repairs.get(saga_id, 0) + 1
        self.start(saga_id, self._world.arrival_of[saga_id])


class Breaking(Orchestration):
    """Some executions are stopped right after they have entered a state; what that has sent is under way all the same."""

    def __init__(self, world: World, machine: dict[str, Any], stopped: float, *, from_the_start: bool) -> None:
        super().__init__(world.bus, world.simulation, world.trace, world.plan.trouble.seed, resumable(machine))
        self._start_at = machine["StartAt"]
        self._world = world
        self._stopped = stopped
        self._from_the_start = from_the_start
        self._last: dict[str, tuple[str, Any]] = {}
        self._dead: list[Execution] = []
        self._entered: dict[str, int] = {}
        self.repairs: dict[str, int] = {}

    def repair(self, saga_id: str) -> None:
        """As the connection does: leave alone what runs, go on where it broke off."""
        if saga_id in self._executions:
            return
        number = self.repairs[saga_id] = self.repairs.get(saga_id, 0) + 1
        state, data = self._last[saga_id]
        if self._from_the_start:
            state, data = "", {name: data[name] for name in data.keys() - {"resume", "failure"}}
        self._executions.add(saga_id)
        again = Execution(saga_id, resumption(state, data, number), commands=1000 * number)
        self._enter(again, RESUME)

    def _enter(self, execution: Execution, name: str) -> None:
        if any(execution is dead for dead in self._dead):
            return
        saga_id = execution.saga_id
        self._last[saga_id] = name, execution.data
        entered = self._entered[saga_id] = self._entered.get(saga_id, 0) + 1
        super()._enter(execution, name)
        is_in_it = execution.state == name and saga_id in self._executions
        if is_in_it and uniform(self._world.plan.trouble.seed, "stopped", saga_id, entered) < self._stopped:
            self._world.fired["stopped"] += 1
            self._world.trace.note(saga_id, f"its execution is stopped in {name}")
            self._dead.append(execution)
            self._executions.discard(saga_id)
            self._waiting = {token: one for token, one in self._waiting.items() if one is not execution}

    def _attempt(self, execution: Execution) -> None:
        if not any(execution is dead for dead in self._dead):
            super()._attempt(execution)


def dropping(lost: float) -> Parts:
    """A choreography that drops events."""
    return Parts(lambda world: Dropping(world, lost))


def breaking(form: str, stopped: float, *, from_the_start: bool = False) -> Parts:
    """An orchestration of one form whose executions break off."""

    def topology(world: World) -> Driver:
        saga = world.plan.saga
        machine = reentering(saga) if "re-entry" in form else state_machine(saga)
        return Breaking(world, machine, stopped, from_the_start=from_the_start)

    return Parts(topology)


async def sweep(world: World, *, patience_s: float, every_s: float, until_s: float, ended_too: bool = False) -> None:
    """Repairs every saga that has not ended so long after its arrival; ``ended_too``: and those that have."""
    driver = world.driver
    assert isinstance(driver, Dropping | Breaking)
    while world.simulation.now_s < until_s:
        await sleep(every_s)
        for saga_id, row in list(world.ingress.rows.items()):
            if row.status == "rejected":
                continue  # it was never registered
            waited_s = world.simulation.now_s - row.scheduled_s
            if waited_s >= patience_s and (ended_too or saga_id not in world.ingress.ended_s):
                driver.repair(saga_id)
