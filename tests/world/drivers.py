"""Both topologies in the world, by what the real ones are compiled to: subscriptions, and a state machine."""

from __future__ import annotations

from collections import Counter
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
from harness.topologies.reentry import reentered
from tests.world import asl
from tests.world.asl import TIMEOUT
from tests.world.bus import Bus, Message
from tests.world.simulation import Simulation
from tests.world.trace import Trace

POLICY = RetryPolicy(step_timeout_s=3, interval_s=1, max_delay_s=4, max_tries=2)
"""Impatient, so that outcomes are unknown often."""


class Driver(Protocol):
    """A topology in the world."""

    def start(self, saga_id: str, arrival: int) -> None:
        """Start a saga."""
        ...

    def reply(self, message: Message, reply: Reply) -> None:
        """Tell whoever must know how a step ended."""
        ...

    def running(self) -> int:
        """Sagas that somebody still keeps in mind."""
        ...


class Choreography:
    """Events go to whoever subscribes to them."""

    def __init__(self, saga: Saga, bus: Bus, trace: Trace, routes: Sequence[Subscription] | None = None) -> None:
        self._saga = saga
        self._works = saga.works()
        self._endings = ending_events(saga)
        self._bus = bus
        self._trace = trace
        self._routes = subscriptions(saga) if routes is None else tuple(routes)

    def start(self, saga_id: str, arrival: int) -> None:
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

    def running(self) -> int:
        """Nobody keeps anything in mind."""
        return 0

    def publish(self, saga_id: str, event: str) -> None:
        """Bring an event to the queues of those who listen."""
        self._trace.note(saga_id, f"{event} is published")
        for route in self._routes:
            if route.event == event:
                self._bus.send(Message(route.participant, saga_id, route.work))
        if event in self._endings:
            self._bus.send(Message(OUTCOMES, saga_id, event))


def state_machine(saga: Saga, policy: RetryPolicy = POLICY) -> dict[str, Any]:
    """What the orchestrated topology compiles the saga to."""
    deployed = Deployed(queue_urls={name: name for name in saga.participants}, bus="bus")
    return TOPOLOGY.state_machine(saga, deployed, policy)


def reentering(saga: Saga, policy: RetryPolicy = POLICY) -> dict[str, Any]:
    """The same for a backend on which a callback task must not be left to its ``Retry``."""
    return reentered(state_machine(saga, policy))


@dataclass
class _Execution:
    saga_id: str
    data: Any
    state: str = ""
    tries: Counter[int] = field(default_factory=Counter)
    """Retries of the state it is in, by the retrier that allowed them."""
    commands: int = 0


class Orchestration:
    """Interprets a state machine, as :mod:`tests.world.asl` understands it, in virtual time."""

    def __init__(self, bus: Bus, simulation: Simulation, trace: Trace, seed: int, machine: dict[str, Any]) -> None:
        asl.check(machine)
        self._states = machine["States"]
        self._start_at = machine["StartAt"]
        self._bus = bus
        self._simulation = simulation
        self._trace = trace
        self._seed = seed
        self._executions: set[str] = set()
        self._waiting: dict[str, _Execution] = {}

    def start(self, saga_id: str, arrival: int) -> None:
        """Start an execution."""
        self._executions.add(saga_id)
        waits_s = POLICY.waits_s(self._seed, arrival)
        data = {"envelope": {"saga_id": saga_id, "arrival": arrival}, "waits_s": waits_s}
        self._enter(_Execution(saga_id, data), self._start_at)

    def reply(self, message: Message, reply: Reply) -> None:
        """Call back. Nobody waits for a token that has timed out, nor twice for the same."""
        assert message.token is not None
        if message.token in self._waiting:
            self._settle(message.token, REFUSED if reply.result in ("refused", "tombstoned") else None)
        else:
            self._trace.note(message.saga_id, f"{message.work}: a callback that nobody waits for")

    def running(self) -> int:
        """Executions that have not ended."""
        return len(self._executions)

    def gave_up(self, state: str) -> None:
        """The outcome of a state's step is unknown and no retry is left."""

    def _enter(self, execution: _Execution, name: str) -> None:
        execution.state = name
        execution.tries.clear()
        self._trace.note(execution.saga_id, f"state {name}")
        state = self._states[name]
        match state["Type"]:
            case "Task":
                self._attempt(execution)
            case "Choice":
                self._enter(execution, asl.chosen(state, execution.data))
            case "Wait":
                wait_s = asl.at(state["SecondsPath"], execution.data) if "SecondsPath" in state else state["Seconds"]
                self._simulation.spawn(_later(lambda: self._enter(execution, state["Next"])), wait_s)
            case "Pass":
                result = asl.resolve(state.get("Parameters", execution.data), execution.data, self._context(execution))
                self._leave(execution, state, state.get("Result", result))
            case "Succeed" | "Fail":
                self._executions.discard(execution.saga_id)

    def _leave(self, execution: _Execution, state: asl.State, result: Any) -> None:
        if "ResultSelector" in state:
            result = asl.resolve(state["ResultSelector"], result, self._context(execution))
        execution.data = asl.put(state.get("ResultPath", "$"), result, execution.data)
        self._enter(execution, state["Next"])

    def _context(self, execution: _Execution, token: str = "") -> dict[str, Any]:
        retries = execution.tries.total()
        return {"Task": {"Token": token}, "State": {"Name": execution.state, "RetryCount": retries}}

    def _attempt(self, execution: _Execution) -> None:
        state = self._states[execution.state]
        execution.commands += 1
        token = f"{execution.saga_id}/{execution.commands}"
        parameters = asl.resolve(state["Parameters"], execution.data, self._context(execution, token))
        match state["Resource"].removeprefix("arn:aws:states:::"):
            case "sqs:sendMessage.waitForTaskToken":
                self._waiting[token] = execution
                if "TimeoutSeconds" in state:
                    self._simulation.spawn(_later(lambda: self._time_out(token)), state["TimeoutSeconds"])
                body = parameters["MessageBody"]
                saga_id, queue = body["envelope"]["saga_id"], parameters["QueueUrl"]
                self._bus.send(Message(queue, saga_id, body["step"], body["token"], body["retry"]))
            case "events:putEvents":
                for entry in parameters["Entries"]:
                    saga_id = entry["Detail"]["envelope"]["saga_id"]
                    self._bus.send(Message(OUTCOMES, saga_id, entry["DetailType"]))
                self._leave(execution, state, {"FailedEntryCount": 0})
            case resource:
                raise NotImplementedError(resource)

    def _time_out(self, token: str) -> None:
        if token in self._waiting:
            execution = self._waiting[token]
            self._trace.note(execution.saga_id, f"state {execution.state}: no callback in time")
            self._settle(token, TIMEOUT)

    def _settle(self, token: str, error: str | None) -> None:
        execution = self._waiting.pop(token)
        state = self._states[execution.state]
        if error is None:
            self._leave(execution, state, {})
        elif not self._retried(execution, state, error):
            self._fail(execution, state, error)

    def _fail(self, execution: _Execution, state: asl.State, error: str) -> None:
        if error == TIMEOUT:
            self.gave_up(execution.state)
        caught = asl.catcher(state, error)
        if caught is None:
            self._trace.note(execution.saga_id, f"the execution fails with {error}")
            self._executions.discard(execution.saga_id)
            return
        execution.data = asl.put(caught.get("ResultPath", "$"), {"Error": error, "Cause": ""}, execution.data)
        self._enter(execution, caught["Next"])

    def _retried(self, execution: _Execution, state: asl.State, error: str) -> bool:
        found = asl.retrier(state, error)
        if found is None:
            return False
        index, rule = found
        tries = execution.tries[index]
        if tries >= rule.get("MaxAttempts", 3):
            return False
        execution.tries[index] += 1
        jitter = uniform(self._seed, "jitter", execution.saga_id, execution.state, tries)
        self._simulation.spawn(_later(lambda: self._attempt(execution)), asl.backoff_s(rule, tries, jitter))
        return True


async def _later(act: Callable[[], None]) -> None:
    act()
