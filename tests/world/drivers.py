"""Both topologies in the world, by what the real ones are compiled to: subscriptions, and a state machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.core.saga import Saga
from harness.core.seeded import uniform
from harness.participants.dispatcher import Reply
from harness.topologies.base import OUTCOMES, Deployed, ending_events
from harness.topologies.choreographed import Subscription, subscriptions
from harness.topologies.orchestrated import REFUSED, TOPOLOGY
from harness.topologies.policy import RetryPolicy
from tests.world.bus import Bus, Message
from tests.world.simulation import Simulation

POLICY = RetryPolicy(step_timeout_s=3, interval_s=1, max_delay_s=4, max_tries=2)
"""Impatient, so that outcomes are unknown often."""
TIMEOUT = "States.Timeout"


class Driver(Protocol):
    """A topology in the world."""

    def start(self, saga_id: str) -> None:
        """Start a saga."""
        ...

    def reply(self, message: Message, reply: Reply) -> None:
        """Tell whoever must know how a step ended."""
        ...


class Choreography:
    """Events go to whoever subscribes to them."""

    def __init__(self, saga: Saga, bus: Bus, routes: Sequence[Subscription] | None = None) -> None:
        self._saga = saga
        self._works = saga.works()
        self._endings = ending_events(saga)
        self._bus = bus
        self._routes = subscriptions(saga) if routes is None else tuple(routes)

    def start(self, saga_id: str) -> None:
        """Ask for the first step."""
        self.publish(saga_id, self._saga.requested)

    def reply(self, message: Message, reply: Reply) -> None:
        """Publish what happened; a step that its tombstone refused has nothing to say."""
        work = self._works[message.work]
        if reply.result == "tombstoned":
            return
        event = work.refused if reply.result == "refused" else work.succeeded
        assert event is not None
        self.publish(message.saga_id, event)

    def publish(self, saga_id: str, event: str) -> None:
        """Bring an event to the queues of those who listen."""
        for route in self._routes:
            if route.event == event:
                self._bus.send(Message(route.participant, saga_id, route.work))
        if event in self._endings:
            self._bus.send(Message(OUTCOMES, saga_id, event))


def state_machine(saga: Saga) -> dict[str, Any]:
    """What the orchestrated topology compiles the saga to."""
    deployed = Deployed(queue_urls={name: name for name in saga.participants}, bus="bus")
    return TOPOLOGY.state_machine(saga, deployed, POLICY)


@dataclass
class _Execution:
    saga_id: str
    tries: dict[tuple[str, int], int] = field(default_factory=dict)
    commands: int = 0


class Orchestration:
    """Interprets the state machine: tasks that wait for a callback, timeouts, ``Retry`` and ``Catch``."""

    def __init__(
        self, saga: Saga, bus: Bus, simulation: Simulation, seed: int, machine: dict[str, Any] | None = None
    ) -> None:
        self._machine = machine or state_machine(saga)
        self._bus = bus
        self._simulation = simulation
        self._seed = seed
        self._waiting: dict[str, tuple[_Execution, str]] = {}

    def start(self, saga_id: str) -> None:
        """Start an execution."""
        self._enter(_Execution(saga_id), self._machine["StartAt"])

    def reply(self, message: Message, reply: Reply) -> None:
        """Call back. Nobody waits for a token that has timed out, nor twice for the same."""
        assert message.token is not None
        self._settle(message.token, REFUSED if reply.result in ("refused", "tombstoned") else None)

    def gave_up(self, state: str) -> None:
        """The outcome of a state's step is unknown and no retry is left."""

    def _enter(self, execution: _Execution, name: str) -> None:
        execution.tries.clear()
        self._attempt(execution, name)

    def _attempt(self, execution: _Execution, name: str) -> None:
        state = self._machine["States"][name]
        if state["Type"] != "Task":
            return  # Succeed and Fail end the execution
        parameters = state["Parameters"]
        if "Entries" in parameters:
            for entry in parameters["Entries"]:
                self._bus.send(Message(OUTCOMES, execution.saga_id, entry["DetailType"]))
            self._enter(execution, state["Next"])
            return
        execution.commands += 1
        token = f"{execution.saga_id}/{execution.commands}"
        self._waiting[token] = (execution, name)
        work, retry = parameters["MessageBody"]["step"], sum(execution.tries.values())
        self._bus.send(Message(parameters["QueueUrl"], execution.saga_id, work, token, retry))
        self._simulation.spawn(self._time_out(token), state["TimeoutSeconds"])

    async def _time_out(self, token: str) -> None:
        self._settle(token, TIMEOUT)

    def _settle(self, token: str, error: str | None) -> None:
        execution, name = self._waiting.pop(token, (None, ""))
        if execution is None:
            return
        state = self._machine["States"][name]
        if error is None:
            self._enter(execution, state["Next"])
        elif not self._retry(execution, name, state, error):
            if error == TIMEOUT:
                self.gave_up(name)
            caught = next((catch for catch in state.get("Catch", ()) if _matches(catch, error)), None)
            if caught is not None:  # an error that nothing catches fails the execution
                self._enter(execution, caught["Next"])

    def _retry(self, execution: _Execution, name: str, state: dict[str, Any], error: str) -> bool:
        for index, retrier in enumerate(state.get("Retry", ())):
            if not _matches(retrier, error):
                continue
            tries = execution.tries.get((name, index), 0)
            if tries >= retrier["MaxAttempts"]:
                return False
            execution.tries[name, index] = tries + 1
            ceiling_s = min(retrier["MaxDelaySeconds"], retrier["IntervalSeconds"] * retrier["BackoffRate"] ** tries)
            wait_s = ceiling_s * uniform(self._seed, "jitter", execution.saga_id, name, tries)
            self._simulation.spawn(_later(lambda: self._attempt(execution, name)), wait_s)
            return True
        return False


def _matches(rule: dict[str, Any], error: str) -> bool:
    return error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]


async def _later(act: Callable[[], None]) -> None:
    act()
