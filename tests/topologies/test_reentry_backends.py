"""The machine that enters its tasks anew, on the real emulators: a new token for every try, and the waits of the seed."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from harness.aws.clients import open_clients
from harness.aws.gateway import Gateway
from harness.backends.base import DEFAULT_REGION
from harness.backends.embedded import Embedded
from harness.backends.localstack import KIND as LOCALSTACK
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery, Deployed
from harness.topologies.deploy import ROLE
from harness.topologies.orchestrated import TOPOLOGY
from harness.topologies.policy import DrawnWaits, RetryPolicy
from harness.topologies.reentry import WAIT, reentered
from tests.samples import envelope, saga, undoable

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAGA = saga(undoable("book"), undoable("pay"))
POLICY = RetryPolicy(step_timeout_s=1, max_tries=3, jitter="decorrelated", max_delay_s=3)
DRAWN = DrawnWaits(POLICY, seed=7)
DONE = Reply(result="done")
REFUSED = Reply(result="refused", reason="no-money")
BACKENDS = [
    pytest.param("embedded", marks=pytest.mark.embedded),
    pytest.param("localstack", marks=pytest.mark.localstack),
]


class Execution:
    """One execution of a state machine of its own, and the participant that it commands."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self._gateway = gateway
        self._name = name

    async def begin(self) -> None:
        queue = await self._gateway.call("sqs", "CreateQueue", QueueName=self._name)
        self._deployed = Deployed(queue_urls={"shop": queue["QueueUrl"]}, bus="default")
        definition = reentered(TOPOLOGY.state_machine(SAGA, self._deployed, POLICY))
        made = await self._gateway.call(
            "stepfunctions",
            "CreateStateMachine",
            name=self._name,
            definition=json.dumps(definition),
            roleArn=ROLE,
        )
        self._deployed = Deployed(
            queue_urls=self._deployed.queue_urls,
            bus="default",
            state_machine_arn=made["stateMachineArn"],
            waits=DRAWN,
        )
        self._connection = TOPOLOGY.connect(self._gateway, SAGA, self._deployed)
        await self._connection.start(envelope(saga_id=self._name))

    async def remove(self) -> None:
        described = await self._described()
        if described["status"] == "RUNNING":
            await self._call("StopExecution", executionArn=described["executionArn"])
        await self._call("DeleteStateMachine", stateMachineArn=self._deployed.state_machine_arn)
        await self._gateway.call("sqs", "DeleteQueue", QueueUrl=self._deployed.queue_urls["shop"])

    async def command(self) -> Delivery:
        url = self._deployed.queue_urls["shop"]
        got = await self._gateway.call("sqs", "ReceiveMessage", QueueUrl=url, WaitTimeSeconds=10)
        [message] = got["Messages"]
        await self._gateway.call("sqs", "DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return self._connection.read("shop", message["Body"], receives=1)

    async def expect(self, step: str, retry: int) -> Delivery:
        command = await self.command()
        assert (command.step, command.retry) == (step, retry)
        return command

    async def reply(self, command: Delivery, reply: Reply) -> None:
        await self._connection.reply(command, reply)

    async def ended(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while (described := await self._described())["status"] == "RUNNING":
                await asyncio.sleep(0.05)
        return described

    async def input_of(self, state: str) -> list[dict[str, Any]]:
        """What a state was given, each time that it was entered."""
        execution = await self._described()
        history = await self._call("GetExecutionHistory", executionArn=execution["executionArn"], maxResults=1000)
        entered = [
            event["stateEnteredEventDetails"] for event in history["events"] if "stateEnteredEventDetails" in event
        ]
        return [json.loads(one["input"]) for one in entered if one["name"] == state]

    async def _described(self) -> dict[str, Any]:
        arn = (self._deployed.state_machine_arn or "").replace(":stateMachine:", ":execution:")
        return await self._call("DescribeExecution", executionArn=f"{arn}:{self._name}")

    async def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._gateway.call("stepfunctions", operation, **parameters)
        return answer


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=BACKENDS)
async def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Calls to a backend that is started once."""
    async with AsyncExitStack() as stack:
        if request.param == "localstack":
            environ = request.getfixturevalue("localstack")
            urls = LOCALSTACK.resolve(None, environ | {"AWS_ENDPOINT_URL": f"http://{environ['LOCALSTACK_HOST']}"})
        else:
            emulator = Embedded(Path(tmp_path_factory.mktemp("emulator")) / "emulator.log")
            stack.push_async_callback(emulator.stop)
            urls = (await emulator.start()).urls
        assert urls is not None
        clients = await stack.enter_async_context(open_clients(urls, DEFAULT_REGION, emulator=True))
        yield Gateway(clients, Metrics(CollectorRegistry(), topology="orchestrated", saga=SAGA.name))


@pytest_asyncio.fixture(loop_scope="module")
async def execution(gateway: Gateway) -> AsyncIterator[Execution]:
    """One execution that has begun."""
    begun = Execution(gateway, f"reentry-{secrets.token_hex(6)}")
    await begun.begin()
    yield begun
    await begun.remove()


async def test_second_try_has_a_token_of_its_own_and_succeeds_after_the_first_timed_out(execution: Execution) -> None:
    first = await execution.expect("book", 0)
    second = await execution.expect("book", 1)
    assert first.extra["token"] != second.extra["token"]
    await execution.reply(second, DONE)
    await execution.expect("pay", 0)


async def test_late_answer_to_the_first_try_does_no_harm_and_does_not_end_the_second(execution: Execution) -> None:
    await execution.reply(await execution.expect("book", 0), DONE)
    first = await execution.expect("pay", 0)
    second = await execution.expect("pay", 1)
    await execution.reply(first, DONE)
    await execution.reply(second, REFUSED)
    await execution.reply(await execution.expect("un-book", 0), DONE)
    assert (await execution.ended())["error"] == "SagaCompensated"
    for command in (first, second):
        await execution.reply(command, DONE)


async def test_refused_step_is_compensated_at_once_and_its_cause_is_told(execution: Execution) -> None:
    await execution.reply(await execution.expect("book", 0), DONE)
    await execution.reply(await execution.expect("pay", 0), REFUSED)
    await execution.reply(await execution.expect("un-book", 0), DONE)
    assert (await execution.ended())["status"] == "FAILED"
    [told] = await execution.input_of("PublishCompensated")
    assert told["failure"] == {"Error": "Refused", "Cause": "no-money"}


async def test_step_that_never_answers_is_undone_after_its_tries_which_waited_as_the_seed_decides(
    execution: Execution,
) -> None:
    for retry in range(POLICY.max_tries):
        await execution.expect("book", retry)
    await execution.reply(await execution.expect("un-book", 0), DONE)
    assert (await execution.ended())["error"] == "SagaCompensated"
    waited = [given["tries"]["wait_s"] for given in await execution.input_of(WAIT)]
    assert waited == DRAWN.of(envelope().arrival)[: POLICY.max_tries - 1]
