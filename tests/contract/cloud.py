"""A backend as the contract's tests see it: calls, resources that no other test has, and what to wait for.

Nothing in here asserts: a known deviation must show in an assertion of the test itself, and a machine that was too slow
must not be mistaken for one. What does not come in time is a ``TimeoutError``.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from harness.aws.backlog import queue_depths
from harness.aws.gateway import Gateway
from harness.backends.base import Endpoints
from harness.topologies.deploy import ROLE

PATIENCE_S = 8
"""How long a test waits for what must come, on a machine that has other things to do."""
SETTLE_S = 5
"""How long the depths of a queue may be wrong."""
NOT_BEFORE = 0.95
"""Share of a wait that must have gone by when it is over: clocks differ by milliseconds, deviations by seconds."""

Json = dict[str, Any]


class Command(NamedTuple):
    """What a callback task has sent."""

    body: Json
    at_s: float

    @property
    def token(self) -> str:
        return str(self.body["token"])


class Cloud:
    """See the module. Everything that is made here has a name of its own, and is removed by :meth:`remove`."""

    def __init__(self, gateway: Gateway, endpoints: Endpoints) -> None:
        self._gateway = gateway
        self.endpoints = endpoints
        self._undo: list[Callable[[], Awaitable[Any]]] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> Json:
        answer: Json = await self._gateway.call(service, operation, **parameters)
        return answer

    async def refusal(self, service: str, operation: str, **parameters: Any) -> str | None:
        """The code of the error that the call is answered with; ``None`` where it succeeds."""
        error = await self.error(service, operation, **parameters)
        return None if error is None else str(error["Error"]["Code"])

    async def error(self, service: str, operation: str, **parameters: Any) -> Json | None:
        """As :meth:`refusal`, the whole answer."""
        try:
            await self.call(service, operation, **parameters)
        except ClientError as error:
            return dict(error.response)
        return None

    async def remove(self) -> None:
        """Delete what was made, the last first; what is gone already is no error."""
        while self._undo:
            with suppress(ClientError):
                await self._undo.pop()()

    def _remove_later(self, service: str, operation: str, **parameters: Any) -> None:
        self._undo.append(lambda: self.call(service, operation, **parameters))

    # SQS

    async def queue(self, **attributes: str) -> str:
        """A queue's URL."""
        created = await self.call("sqs", "CreateQueue", QueueName=name("queue"), Attributes=attributes)
        url = str(created["QueueUrl"])
        self._remove_later("sqs", "DeleteQueue", QueueUrl=url)
        return url

    async def queue_arn(self, queue: str) -> str:
        return str((await self.queue_attributes(queue, "QueueArn"))["QueueArn"])

    async def queue_attributes(self, queue: str, *names: str) -> dict[str, str]:
        answer = await self.call("sqs", "GetQueueAttributes", QueueUrl=queue, AttributeNames=list(names))
        return dict(answer.get("Attributes", {}))

    async def send(self, queue: str, body: str, **more: Any) -> Json:
        return await self.call("sqs", "SendMessage", QueueUrl=queue, MessageBody=body, **more)

    async def receive(self, queue: str, wait_s: int = PATIENCE_S, **more: Any) -> list[Json]:
        """With every attribute there is."""
        options = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]} | more
        answer = await self.call("sqs", "ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=wait_s, **options)
        return list(answer.get("Messages", []))

    async def receive_one(self, queue: str, wait_s: int = PATIENCE_S, **more: Any) -> Json:
        messages = await self.receive(queue, wait_s, **more)
        if not messages:
            raise TimeoutError(f"no message in {wait_s} s")
        [message] = messages
        return message

    async def delete(self, queue: str, message: Json) -> None:
        await self.call("sqs", "DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    async def send_batch(self, queue: str, bodies: list[str]) -> None:
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
        await self.call("sqs", "SendMessageBatch", QueueUrl=queue, Entries=entries)

    async def change_visibility(self, queue: str, message: Json, timeout_s: int) -> None:
        receipt = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
        await self.call("sqs", "ChangeMessageVisibility", VisibilityTimeout=timeout_s, **receipt)

    async def depths(self, queue: str) -> dict[str, int]:
        """As the drain of a run asks for them."""
        return await queue_depths(self._gateway, queue)

    async def settled(self, queue: str, *, visible: int = 0, in_flight: int = 0, delayed: int = 0) -> bool:
        """Whether the depths become these: they are approximate, so some time is given to them."""
        deadline_s = time.monotonic() + SETTLE_S
        while await self.depths(queue) != {"visible": visible, "in_flight": in_flight, "delayed": delayed}:
            if time.monotonic() >= deadline_s:
                return False
            await asyncio.sleep(0.1)
        return True

    async def take(self, queue: str, count: int, wait_s: int = PATIENCE_S) -> list[str]:
        """Bodies of ``count`` messages, deleted, in the order in which they came; fewer when the time is over."""
        taken: list[str] = []
        deadline_s = time.monotonic() + wait_s
        while len(taken) < count and time.monotonic() < deadline_s:
            for message in await self.receive(queue, 1, MaxNumberOfMessages=10):
                taken.append(message["Body"])
                await self.delete(queue, message)
        return taken

    # DynamoDB

    async def table(self) -> str:
        """A table with the string key ``id``, as participants have."""
        table = name("table")
        await self.call(
            "dynamodb",
            "CreateTable",
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self._remove_later("dynamodb", "DeleteTable", TableName=table)
        return table

    async def item(self, table: str, id_: str) -> Json | None:
        """Read consistently."""
        answer = await self.call("dynamodb", "GetItem", TableName=table, Key={"id": {"S": id_}}, ConsistentRead=True)
        return answer.get("Item")

    # EventBridge

    async def bus(self) -> str:
        bus = name("bus")
        await self.call("events", "CreateEventBus", Name=bus)
        self._remove_later("events", "DeleteEventBus", Name=bus)
        return bus

    async def rule(self, bus: str, pattern: Json, *queues: str) -> str:
        """A rule whose targets are these queues."""
        rule = name("rule")
        await self.call("events", "PutRule", Name=rule, EventBusName=bus, EventPattern=json.dumps(pattern))
        self._remove_later("events", "DeleteRule", Name=rule, EventBusName=bus)
        targets = [{"Id": str(n), "Arn": await self.queue_arn(queue)} for n, queue in enumerate(queues)]
        if targets:
            await self.call("events", "PutTargets", Rule=rule, EventBusName=bus, Targets=targets)
            ids = [target["Id"] for target in targets]
            self._remove_later("events", "RemoveTargets", Rule=rule, EventBusName=bus, Ids=ids)
        return rule

    async def put_events(self, *entries: Json) -> Json:
        return await self.call("events", "PutEvents", Entries=list(entries))

    # Step Functions

    async def machine(self, states: Json, **top: Any) -> str:
        """The ARN of a state machine that starts with the first of the states."""
        created = await self.call(
            "stepfunctions",
            "CreateStateMachine",
            name=name("machine"),
            roleArn=ROLE,
            type="STANDARD",
            definition=json.dumps({"StartAt": next(iter(states)), "States": states} | top),
        )
        arn = str(created["stateMachineArn"])
        self._remove_later("stepfunctions", "DeleteStateMachine", stateMachineArn=arn)
        return arn

    async def start(self, machine: str, input_: Json | None = None, **more: Any) -> str:
        """The ARN of the execution; one that is still running when the test is over is stopped."""
        started = await self.call(
            "stepfunctions", "StartExecution", stateMachineArn=machine, input=json.dumps(input_ or {}), **more
        )
        arn = str(started["executionArn"])
        self._remove_later("stepfunctions", "StopExecution", executionArn=arn)
        return arn

    async def begin(self, states: Json, input_: Json | None = None, **top: Any) -> str:
        """Start an execution of a state machine of its own."""
        return await self.start(await self.machine(states, **top), input_)

    async def status(self, execution: str) -> str:
        return str((await self.call("stepfunctions", "DescribeExecution", executionArn=execution))["status"])

    async def ended(self, execution: str, within_s: float = PATIENCE_S) -> Json:
        """The description of the execution when it has ended."""
        deadline_s = time.monotonic() + within_s
        while True:
            description = await self.call("stepfunctions", "DescribeExecution", executionArn=execution)
            if description["status"] != "RUNNING":
                return description
            if time.monotonic() >= deadline_s:
                raise TimeoutError(f"it still runs after {within_s} s")
            await asyncio.sleep(0.02)

    async def output(self, execution: str, within_s: float = PATIENCE_S) -> Any:
        """Of an execution that must succeed."""
        ended = await self.ended(execution, within_s)
        if ended["status"] != "SUCCEEDED":
            raise RuntimeError(f"{ended['status']}: {ended.get('error')}, {ended.get('cause')}")
        return json.loads(ended["output"])

    async def run(self, states: Json, input_: Json | None = None) -> Any:
        """The output of an execution of these states, which must succeed."""
        return await self.output(await self.begin(states, input_))

    async def history(self, execution: str) -> list[Json]:
        answer = await self.call(
            "stepfunctions", "GetExecutionHistory", executionArn=execution, maxResults=1000, includeExecutionData=True
        )
        return list(answer["events"])

    async def command(self, queue: str, wait_s: int = PATIENCE_S) -> Command:
        """The next command of a callback task."""
        message = await self.receive_one(queue, wait_s)
        at_s = time.monotonic()
        await self.delete(queue, message)
        return Command(json.loads(message["Body"]), at_s)

    async def succeed(self, command: Command, output: Any = None) -> None:
        await self.call("stepfunctions", "SendTaskSuccess", taskToken=command.token, output=json.dumps(output or {}))

    async def fail(self, command: Command, error: str = "Busy", cause: str = "") -> None:
        await self.call("stepfunctions", "SendTaskFailure", taskToken=command.token, error=error, cause=cause)


def name(kind: str) -> str:
    """One that nobody else has, on a backend that may be somebody else's."""
    return f"contract-{kind}-{uuid.uuid4().hex[:12]}"


def callback_task(queue: str, **more: Any) -> Json:
    """A task like those of an orchestrated saga; more fields of the state replace its own."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {
            "QueueUrl": queue,
            "MessageBody": {
                "token.$": "$$.Task.Token",
                "retry.$": "$$.State.RetryCount",
                "of.$": "$$.Execution.Name",
            },
        },
        "TimeoutSeconds": 30,
    }
    return task | more | ({} if "Next" in more else {"End": True})
