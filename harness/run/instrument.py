"""What the backend does by itself, measured before the first load: the yardstick beside the results."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from statistics import median, quantiles
from typing import Any

from harness.aws.gateway import TRANSIENT
from harness.core.errors import EnvironmentFailure
from harness.history.run_file import Instrument, Reading
from harness.run import bare
from harness.topologies.deploy import ROLE

SAMPLES = 50
PARKED_S = 0.01
"""How long before a message is sent its receiver starts to wait for it."""
STATES = 40
CPU_SAGAS = 40
CPU_READINGS = 3
CALLS_A_SAGA = 5 + 4 + 3 + 1
CPU_CONCURRENCY = 8
EVENT = "Probe"
DEPTHS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
MESSAGE = json.dumps({"text": bare.TEXT})


async def read_instrument(clients: dict[str, Any], namespace: str) -> Instrument:
    """Time the backend's hops, one at a time, and the CPU of a bare call. Takes about two seconds on the embedded emulator, ten on LocalStack.

    Works on the clients themselves, with no storm, no metrics and nothing else running.
    """
    probe = await _Probe.make(clients, f"{namespace}-probe")
    try:
        state_ms = await probe.state_transition_ms()
        return Instrument(
            hops={
                "queue": _reading([await probe.queue_hop_ms() for _ in range(SAMPLES)]),
                "bus_to_queue": _reading([await probe.bus_hop_ms() for _ in range(SAMPLES)]),
                "state_transition": _reading(state_ms),
                "conditional_write": _reading([await probe.write_ms() for _ in range(SAMPLES)]),
            },
            idle_call=_reading([await probe.attributes_ms() for _ in range(SAMPLES)]),
            call_cpu_ms=await probe.call_cpu_ms(),
        )
    finally:
        await probe.remove()


class _Probe:
    """A queue, a bus with a rule, two state machines and a table of its own."""

    def __init__(self, clients: dict[str, Any], name: str, queue_url: str, machines: dict[int, str]) -> None:
        self._clients = clients
        self._name = name
        self._queue_url = queue_url
        self._machines = machines

    @classmethod
    async def make(cls, clients: dict[str, Any], name: str) -> _Probe:
        queue_url, queue_arn = await bare.create_queue(clients, name)
        await clients["events"].create_event_bus(Name=name)
        await bare.create_rule(clients, name, name, EVENT, queue_arn)
        await bare.create_table(clients, name)
        machines = {}
        for passes in (0, STATES):
            made = await clients["stepfunctions"].create_state_machine(
                name=f"{name}-{passes}", definition=json.dumps(_machine(passes, queue_url)), roleArn=ROLE
            )
            machines[passes] = made["stateMachineArn"]
        return cls(clients, name, queue_url, machines)

    async def remove(self) -> None:
        """Delete all of it again; what cannot be deleted is the backend's affair."""
        clients = self._clients
        deletions = [
            clients["events"].remove_targets(Rule=self._name, EventBusName=self._name, Ids=[self._name]),
            clients["events"].delete_rule(Name=self._name, EventBusName=self._name),
            clients["events"].delete_event_bus(Name=self._name),
            clients["sqs"].delete_queue(QueueUrl=self._queue_url),
            clients["dynamodb"].delete_table(TableName=self._name),
            *(clients["stepfunctions"].delete_state_machine(stateMachineArn=arn) for arn in self._machines.values()),
        ]
        for deletion in deletions:
            with suppress(*TRANSIENT):
                await deletion

    async def queue_hop_ms(self) -> float:
        return await self._received_ms(
            lambda: self._clients["sqs"].send_message(QueueUrl=self._queue_url, MessageBody="probe")
        )

    async def bus_hop_ms(self) -> float:
        return await self._received_ms(self._put)

    async def write_ms(self) -> float:
        return await self._took_ms(bare.commit(self._clients, self._name, 3))

    async def attributes_ms(self) -> float:
        """The call that the sampler times once a second (:func:`harness.aws.backlog.queue_depths`)."""
        await asyncio.sleep(PARKED_S)  # It does not come on the heels of another there either.
        return await self._took_ms(
            self._clients["sqs"].get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=DEPTHS)
        )

    async def _took_ms(self, call: Awaitable[Any]) -> float:
        started = time.perf_counter()
        await call
        return 1000 * (time.perf_counter() - started)

    async def _put(self) -> None:
        await bare.put(self._clients, self._name, EVENT, {"text": bare.TEXT})

    async def state_transition_ms(self) -> list[float]:
        """Forty more states in a row, divided by forty; in pairs, so that the start and the send cancel out."""
        differences = []
        for _ in range(SAMPLES // 3):
            took = {passes: await self._execution_ms(arn) for passes, arn in self._machines.items()}
            differences.append((took[STATES] - took[0]) / STATES)
        return differences

    async def call_cpu_ms(self) -> float:
        """CPU time of this process for one call: the mean over the calls that a saga's steps come to, bare; the median of
        three readings.

        Those are, at a moderate rate, five local transactions of four writes, four receives, three puts of an event
        and one batch of deletes.
        """
        for _ in range(4 * CPU_SAGAS * CPU_READINGS):
            await self._clients["sqs"].send_message(QueueUrl=self._queue_url, MessageBody=MESSAGE)

        async def saga() -> None:
            messages: list[dict[str, Any]] = []
            for step in range(5):
                if step < 4:
                    received = await self._clients["sqs"].receive_message(
                        QueueUrl=self._queue_url, AttributeNames=["ApproximateReceiveCount"], WaitTimeSeconds=1
                    )
                    messages += received.get("Messages") or []
                await bare.commit(self._clients, self._name, 4)
                if step < 3:
                    await self._put()
            if messages:
                await bare.delete(self._clients, self._queue_url, messages)

        async def caller(first: int) -> None:
            for _ in range(first, CPU_SAGAS, CPU_CONCURRENCY):
                await saga()

        readings_ms = []
        for _ in range(CPU_READINGS):
            started = time.process_time()
            await asyncio.gather(*(caller(first) for first in range(CPU_CONCURRENCY)))
            readings_ms.append(1000 * (time.process_time() - started) / (CALLS_A_SAGA * CPU_SAGAS))
        return round(median(readings_ms), 4)

    async def _execution_ms(self, machine: str) -> float:
        return await self._received_ms(
            lambda: self._clients["stepfunctions"].start_execution(stateMachineArn=machine, input="{}")
        )

    async def _received_ms(self, send: Callable[[], Awaitable[Any]]) -> float:
        """From the start of sending until a receiver that was waiting already has the message."""
        receiving = asyncio.ensure_future(
            self._clients["sqs"].receive_message(QueueUrl=self._queue_url, WaitTimeSeconds=5)
        )
        await asyncio.sleep(PARKED_S)
        started = time.perf_counter()
        await send()
        messages = (await receiving).get("Messages")
        took_ms = 1000 * (time.perf_counter() - started)
        if not messages:
            raise EnvironmentFailure("the backend did not deliver a message within 5 s, with nothing else to do")
        await bare.delete(self._clients, self._queue_url, messages)
        return took_ms


def _reading(took_ms: list[float]) -> Reading:
    return Reading(
        p50_ms=round(median(took_ms), 3), p95_ms=round(quantiles(took_ms, n=20)[-1], 3), samples=len(took_ms)
    )


def _machine(passes: int, queue_url: str) -> dict[str, Any]:
    """``passes`` Pass states, then a message."""
    states: dict[str, Any] = {f"P{i}": {"Type": "Pass", "Next": f"P{i + 1}"} for i in range(passes)}
    states[f"P{passes}"] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue_url, "MessageBody": "probe"},
        "TimeoutSeconds": 5,
        "End": True,
    }
    return {"StartAt": "P0", "States": states}
