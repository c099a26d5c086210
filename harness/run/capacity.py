"""How many sagas a second the backend carries: the calls of a saga in each shape, with none of a participant's code.

A closed loop: so many sagas are under way, and each that ends is followed by another. What ends after the ramp, by the time
that it took, is the capacity.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from harness.core.errors import EnvironmentFailure
from harness.run import bare
from harness.topologies.deploy import ROLE

UNDER_WAY = 8
"""More carry no more: 4, 8 and 16 gave 2.9, 2.8 and 2.8 orchestrated sagas/s on LocalStack, and each of them has to end
before the window begins and again after it. On the embedded emulator 8 give 105 and 16 give 125."""
WINDOW_SAGAS = 64
WINDOW_S = 2.5
"""Ends, with the ramp's, and seconds after which the window ends: whichever comes first."""
LIMIT_S = 10.0
"""For one shape, without the sagas that are still under way then."""
STALLED_S = 10.0
"""Without the end of a single saga."""
WRITES = 4
"""Of one step: its business, the idempotency record and the ledger."""
LONG_POLL_S = 1
SETTLED_S = 2.0
"""For executions to end, once their last event has been received."""
LOOK_EVERY_S = 0.05
STEP, ENDED = "Step", "Ended"

Start = Callable[[], Awaitable[Any]]
Ends = asyncio.Queue[float | BaseException]
"""When sagas have ended, by the loop's clock; or why none will."""


async def read_capacity(clients: dict[str, Any], name: str, steps: int) -> dict[str, float]:
    """Sagas of ``steps`` steps that end in a second, by the shape of the topology. Takes about 3 s, or 12 on LocalStack.

    Raises ``EnvironmentFailure`` where none ends. All that is made is called ``name``, and removed again.
    """
    bench = await _Bench.make(clients, name, steps)
    try:
        serving = asyncio.create_task(bench.serve())
        serving.add_done_callback(bench.tell_failure)
        try:
            shapes: dict[str, Start] = {"orchestrated": bench.execute, "choreographed": bench.publish}
            return {shape: await _sagas_per_s(start, bench.ends) for shape, start in shapes.items()}
        finally:
            # Not cancelled: a long poll that is would swallow the next message of a queue of that name.
            bench.over = True
            await asyncio.gather(serving, return_exceptions=True)
    finally:
        await bench.remove()


async def _sagas_per_s(start: Start, ends: Ends) -> float:
    """Keep :data:`UNDER_WAY` sagas under way until enough have ended, then let the last of them end."""
    began_s = asyncio.get_running_loop().time()
    ended_s: list[float] = []
    await asyncio.gather(*(start() for _ in range(UNDER_WAY)))
    while not _is_enough(began_s, ended_s):
        ended_s.append(await _next(ends))
        await start()
    for _ in range(UNDER_WAY):
        await _next(ends)
    return round(_rate_per_s(began_s, ended_s), 2)


def _is_enough(began_s: float, ended_s: list[float]) -> bool:
    """The ramp and the window are whole generations: sagas that were started together end together, then none for a while."""
    if ended_s and ended_s[-1] - began_s >= LIMIT_S:
        return True
    generations, others = divmod(len(ended_s), UNDER_WAY)
    if generations < 2 or others:
        return False
    return len(ended_s) >= WINDOW_SAGAS or ended_s[-1] - ended_s[UNDER_WAY - 1] >= WINDOW_S


def _rate_per_s(began_s: float, ended_s: list[float]) -> float:
    """By the whole generations after the first; of a backend that was too slow for two, by all, which is too little."""
    whole = len(ended_s) - len(ended_s) % UNDER_WAY
    if whole < 2 * UNDER_WAY:
        return len(ended_s) / (ended_s[-1] - began_s)
    return (whole - UNDER_WAY) / (ended_s[whole - 1] - ended_s[UNDER_WAY - 1])


async def _next(ends: Ends) -> float:
    try:
        end = await asyncio.wait_for(ends.get(), STALLED_S)
    except TimeoutError:
        raise EnvironmentFailure(
            f"the backend did not carry a single saga to its end in {STALLED_S:g} s, with nothing else to do"
        ) from None
    if isinstance(end, BaseException):
        raise end
    return end


class _Bench:
    """A queue of steps and one of endings, the bus before them, a state machine and a table."""

    def __init__(self, clients: dict[str, Any], name: str, steps: int) -> None:
        self._clients = clients
        self._name = name
        self._steps = steps
        self._queues: dict[str, str] = {}
        self._machine = ""
        self._handling: set[asyncio.Task[None]] = set()
        self.ends: Ends = asyncio.Queue()
        self.over = False

    @classmethod
    async def make(cls, clients: dict[str, Any], name: str, steps: int) -> _Bench:
        bench = cls(clients, name, steps)
        try:
            await bench._make()
        except BaseException:
            await bench.remove()
            raise
        return bench

    async def _make(self) -> None:
        clients, name = self._clients, self._name
        await clients["events"].create_event_bus(Name=name)
        for event in (STEP, ENDED):
            self._queues[event], arn = await bare.create_queue(clients, f"{name}-{event}")
            await bare.create_rule(clients, name, f"{name}-{event}", event, arn)
        await bare.create_table(clients, name)
        made = await clients["stepfunctions"].create_state_machine(
            name=name, definition=json.dumps(_machine(self._steps, self._queues[STEP], name)), roleArn=ROLE
        )
        self._machine = made["stateMachineArn"]

    async def execute(self) -> None:
        """Start an orchestrated saga."""
        await self._clients["stepfunctions"].start_execution(
            stateMachineArn=self._machine, name=uuid4().hex, input=json.dumps({"text": bare.TEXT})
        )

    async def publish(self, step: int = 0) -> None:
        """Start a choreographed saga, or go on with it: ask for its next step, or say that there is none."""
        event = STEP if step < self._steps else ENDED
        await bare.put(self._clients, self._name, event, {"step": step, "text": bare.TEXT})

    async def serve(self) -> None:
        """Take steps, and note endings, until it is over."""
        await asyncio.gather(self._serve(STEP, self._take), self._serve(ENDED, self._note))
        if self._handling:
            await asyncio.wait(self._handling)

    async def _serve(self, event: str, handle: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        async def handle_all(messages: list[dict[str, Any]]) -> None:
            await asyncio.gather(*(handle(json.loads(message["Body"])) for message in messages))
            await bare.delete(self._clients, self._queues[event], messages)

        while not self.over:
            received = await self._clients["sqs"].receive_message(
                QueueUrl=self._queues[event], MaxNumberOfMessages=10, WaitTimeSeconds=LONG_POLL_S
            )
            if messages := received.get("Messages"):
                task = asyncio.create_task(handle_all(messages))
                self._handling.add(task)
                task.add_done_callback(self._handling.discard)
                task.add_done_callback(self.tell_failure)

    async def _take(self, body: dict[str, Any]) -> None:
        """One step, in either shape: a local transaction, and then the reply."""
        await bare.commit(self._clients, self._name, WRITES)
        if token := body.get("token"):
            with suppress(ClientError):  # The SDK asked twice, and the first was heard; else the saga never ends.
                await self._clients["stepfunctions"].send_task_success(taskToken=token, output="{}")
        else:
            await self.publish(body["detail"]["step"] + 1)

    async def _note(self, body: dict[str, Any]) -> None:
        self.ends.put_nowait(asyncio.get_running_loop().time())

    def tell_failure(self, task: asyncio.Task[None]) -> None:
        """Let whoever waits for an end know that serving has failed."""
        if not task.cancelled() and (error := task.exception()):
            self.ends.put_nowait(error)

    async def remove(self) -> None:
        """Delete all of it again; what cannot be deleted is the backend's affair."""
        clients, name = self._clients, self._name
        with suppress(ClientError, BotoCoreError):
            await self._end_executions()
        deletions = [clients["stepfunctions"].delete_state_machine(stateMachineArn=self._machine)]
        for event, url in self._queues.items():
            rule = f"{name}-{event}"
            deletions += [
                clients["events"].remove_targets(Rule=rule, EventBusName=name, Ids=[rule]),
                clients["events"].delete_rule(Name=rule, EventBusName=name),
                clients["sqs"].delete_queue(QueueUrl=url),
            ]
        deletions += [clients["events"].delete_event_bus(Name=name), clients["dynamodb"].delete_table(TableName=name)]
        for deletion in deletions:
            with suppress(ClientError, BotoCoreError):
                await deletion

    async def _end_executions(self) -> None:
        """An execution publishes its ending a moment before it has ended; one that does not end is stopped."""
        if not self._machine:
            return
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLED_S
        while running := await self._running():
            if loop.time() >= until_s:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        for arn in running:
            with suppress(ClientError, BotoCoreError):
                await self._clients["stepfunctions"].stop_execution(executionArn=arn)

    async def _running(self) -> list[str]:
        page = await self._clients["stepfunctions"].list_executions(
            stateMachineArn=self._machine, statusFilter="RUNNING"
        )
        return [execution["executionArn"] for execution in page["executions"]]


def _machine(steps: int, queue_url: str, bus: str) -> dict[str, Any]:
    """As many callback tasks as the saga has steps, and the event that tells its end."""
    states: dict[str, Any] = {
        f"Step{number}": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": queue_url, "MessageBody": {"token.$": "$$.Task.Token", "text.$": "$.text"}},
            "TimeoutSeconds": 60,
            "ResultPath": None,
            "Next": f"Step{number + 1}" if number + 1 < steps else "Tell",
        }
        for number in range(steps)
    }
    entry = {"EventBusName": bus, "Source": bare.SOURCE, "DetailType": ENDED, "Detail": {"text.$": "$.text"}}
    states["Tell"] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Parameters": {"Entries": [entry]},
        "TimeoutSeconds": 60,
        "End": True,
    }
    return {"StartAt": "Step0", "States": states}
