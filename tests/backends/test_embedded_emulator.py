"""What the patched emulator must still do: deliver, delay, make visible again, wait and back off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from harness.backends import emulator_env
from harness.backends.embedded import Embedded

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]

TARGETS = {"sqs": "AmazonSQS.", "stepfunctions": "AWSStepFunctions.", "events": "AWSEvents."}
ROLE = "arn:aws:iam::000000000000:role/test"
LONGEST_POLL_S = 20


class Emulator:
    """The JSON protocols by hand: no SDK that retries, and nothing between the test and the wire."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._names = iter(range(10**6))

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        headers = {"X-Amz-Target": TARGETS[service] + operation, "Content-Type": "application/x-amz-json-1.0"}
        async with self._session.post(self._url, data=json.dumps(parameters), headers=headers) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            assert response.status == 200, answer
            return answer

    def name(self, kind: str) -> str:
        return f"{kind}-{next(self._names)}"

    async def queue(self, **attributes: str) -> str:
        created = await self.call("sqs", "CreateQueue", QueueName=self.name("queue"), Attributes=attributes)
        url: str = created["QueueUrl"]
        return url

    async def send(self, queue: str, body: str, **more: Any) -> None:
        await self.call("sqs", "SendMessage", QueueUrl=queue, MessageBody=body, **more)

    async def receive(self, queue: str, wait_s: int = LONGEST_POLL_S, **more: Any) -> list[dict[str, Any]]:
        answer = await self.call("sqs", "ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=wait_s, **more)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    async def delete(self, queue: str, message: dict[str, Any]) -> None:
        await self.call("sqs", "DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    async def execute(self, states: dict[str, Any], **input_: Any) -> dict[str, Any]:
        """Run a state machine to its end."""
        machine = await self.call(
            "stepfunctions",
            "CreateStateMachine",
            name=self.name("machine"),
            roleArn=ROLE,
            definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        )
        started = await self.call(
            "stepfunctions", "StartExecution", stateMachineArn=machine["stateMachineArn"], input=json.dumps(input_)
        )
        while True:
            execution = await self.call("stepfunctions", "DescribeExecution", executionArn=started["executionArn"])
            if execution["status"] != "RUNNING":
                return execution
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Emulator]:
    log_path: Path = tmp_path_factory.mktemp("emulator") / "emulator.log"
    backend = Embedded(log_path, interpreter=await emulator_env.ensure())
    endpoints = await backend.start()
    try:
        assert "sleeps removed" in endpoints.version
        async with aiohttp.ClientSession() as session:
            yield Emulator(session, endpoints.urls["sqs"])
    finally:
        await backend.stop()


async def parked(*polls: asyncio.Task[list[dict[str, Any]]]) -> None:
    """Give polls the time to reach the emulator. One that does not is answered at once and tests less, not worse."""
    await asyncio.sleep(0.2)
    assert not any(poll.done() for poll in polls)


async def test_a_message_sent_during_a_long_poll_is_delivered(emulator: Emulator) -> None:
    queue = await emulator.queue()
    poll = asyncio.create_task(emulator.receive(queue))
    await parked(poll)
    await emulator.send(queue, "hello")
    assert [message["Body"] for message in await poll] == ["hello"]


async def test_every_message_reaches_one_of_several_polls_and_only_one(emulator: Emulator) -> None:
    queue = await emulator.queue()
    polls = [asyncio.create_task(emulator.receive(queue)) for _ in range(4)]
    await parked(*polls)
    await asyncio.gather(*(emulator.send(queue, str(n)) for n in range(4)))
    received = [message["Body"] for messages in await asyncio.gather(*polls) for message in messages]
    assert sorted(received) == ["0", "1", "2", "3"]


async def test_a_batch_is_delivered_to_a_poll_that_asks_for_ten(emulator: Emulator) -> None:
    queue = await emulator.queue()
    poll = asyncio.create_task(emulator.receive(queue, MaxNumberOfMessages=10))
    await parked(poll)
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
    await emulator.call("sqs", "SendMessageBatch", QueueUrl=queue, Entries=entries)
    assert [message["Body"] for message in await poll] == [str(n) for n in range(10)]


async def test_a_delayed_message_is_delivered_when_its_delay_is_over_and_not_before(emulator: Emulator) -> None:
    queue = await emulator.queue()
    poll = asyncio.create_task(emulator.receive(queue))
    await parked(poll)
    sent_s = time.monotonic()
    await emulator.send(queue, "later", DelaySeconds=1)
    assert [message["Body"] for message in await poll] == ["later"]
    assert time.monotonic() - sent_s >= 0.99  # a lower bound: however slow the machine, it must not be early


async def test_a_message_whose_visibility_runs_out_is_delivered_again_to_a_parked_poll(emulator: Emulator) -> None:
    queue = await emulator.queue(VisibilityTimeout="1")
    await emulator.send(queue, "again")
    assert len(await emulator.receive(queue)) == 1
    messages = await emulator.receive(queue, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert [(m["Body"], m["Attributes"]["ApproximateReceiveCount"]) for m in messages] == [("again", "2")]


async def test_a_message_made_visible_at_once_is_delivered_again_to_a_parked_poll(emulator: Emulator) -> None:
    queue = await emulator.queue()
    await emulator.send(queue, "back")
    [message] = await emulator.receive(queue)
    poll = asyncio.create_task(emulator.receive(queue))
    await parked(poll)
    await emulator.call(
        "sqs",
        "ChangeMessageVisibility",
        QueueUrl=queue,
        ReceiptHandle=message["ReceiptHandle"],
        VisibilityTimeout=0,
    )
    assert [message["Body"] for message in await poll] == ["back"]


async def test_a_message_given_up_wakes_the_poll_on_the_dead_letter_queue(emulator: Emulator) -> None:
    dead_letters = await emulator.queue()
    attributes = await emulator.call("sqs", "GetQueueAttributes", QueueUrl=dead_letters, AttributeNames=["QueueArn"])
    redrive = {"deadLetterTargetArn": attributes["Attributes"]["QueueArn"], "maxReceiveCount": "1"}
    queue = await emulator.queue(VisibilityTimeout="1", RedrivePolicy=json.dumps(redrive))
    await emulator.send(queue, "poison")
    assert len(await emulator.receive(queue)) == 1
    dead = asyncio.create_task(emulator.receive(dead_letters))
    assert await emulator.receive(queue, wait_s=3) == []
    assert [message["Body"] for message in await dead] == ["poison"]


async def test_the_next_message_of_a_busy_fifo_group_is_delivered_when_the_group_is_free(emulator: Emulator) -> None:
    created = await emulator.call(
        "sqs",
        "CreateQueue",
        QueueName=emulator.name("queue") + ".fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )
    queue = created["QueueUrl"]
    for body in ("first", "second"):
        await emulator.send(queue, body, MessageGroupId="group")
    [first] = await emulator.receive(queue)
    poll = asyncio.create_task(emulator.receive(queue))
    await parked(poll)
    await emulator.delete(queue, first)
    assert [message["Body"] for message in await poll] == ["second"]


async def test_an_empty_long_poll_ends_when_its_time_is_over(emulator: Emulator) -> None:
    queue = await emulator.queue()
    started_s = time.monotonic()
    assert await emulator.receive(queue, wait_s=1) == []
    assert time.monotonic() - started_s >= 0.99


async def test_an_event_reaches_a_poll_that_is_parked_on_its_rules_queue(emulator: Emulator) -> None:
    queue = await emulator.queue()
    attributes = await emulator.call("sqs", "GetQueueAttributes", QueueUrl=queue, AttributeNames=["QueueArn"])
    rule = emulator.name("rule")
    await emulator.call("events", "PutRule", Name=rule, EventPattern=json.dumps({"source": [rule]}))
    target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
    await emulator.call("events", "PutTargets", Rule=rule, Targets=[target])
    poll = asyncio.create_task(emulator.receive(queue))
    await parked(poll)
    event = {"Source": rule, "DetailType": "happened", "Detail": json.dumps({"n": 1})}
    await emulator.call("events", "PutEvents", Entries=[event])
    [message] = await poll
    assert json.loads(message["Body"])["detail"] == {"n": 1}


async def test_an_execution_reaches_a_parked_poll_and_goes_on_when_its_token_comes_back(emulator: Emulator) -> None:
    queue = await emulator.queue()
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
    }
    execution = asyncio.create_task(
        emulator.execute({"One": {**task, "Next": "Two"}, "Two": {**task, "ResultPath": "$.two", "End": True}})
    )
    for _ in range(2):
        [message] = await emulator.receive(queue)
        token = json.loads(message["Body"])["token"]
        await emulator.call("stepfunctions", "SendTaskSuccess", taskToken=token, output='{"done": true}')
        await emulator.delete(queue, message)
    ended = await execution
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"done": True, "two": {"done": True}}


async def test_a_wait_as_long_as_the_removed_sleep_is_waited(emulator: Emulator) -> None:
    started_s = time.monotonic()
    ended = await emulator.execute({"Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "End": True}}, seconds=0.15)
    assert ended["status"] == "SUCCEEDED"
    assert time.monotonic() - started_s >= 0.15


async def test_a_retry_backoff_as_long_as_the_removed_sleep_is_waited(emulator: Emulator) -> None:
    queue = await emulator.queue()
    failing = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 0.15, "MaxAttempts": 1}],
        "End": True,
    }
    execution = asyncio.create_task(emulator.execute({"Fail": failing}))
    failed_s: list[float] = []
    for _ in range(2):
        [message] = await emulator.receive(queue)
        failed_s.append(time.monotonic())
        token = json.loads(message["Body"])["token"]
        await emulator.call("stepfunctions", "SendTaskFailure", taskToken=token, error="Busy")
        await emulator.delete(queue, message)
    assert (await execution)["status"] == "FAILED"
    assert failed_s[1] - failed_s[0] >= 0.15
