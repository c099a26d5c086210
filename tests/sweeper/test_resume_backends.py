"""A saga whose executions are stopped, on the real emulators: each repair goes on where the one before it was."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from harness.aws.clients import open_clients
from harness.aws.gateway import Gateway
from harness.aws.namespaces import remove
from harness.backends.base import DEFAULT_REGION
from harness.backends.embedded import Embedded
from harness.backends.localstack import KIND as LOCALSTACK
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import OUTCOMES, CallbackRetry, Delivery
from harness.topologies.deploy import deploy
from harness.topologies.orchestrated import TOPOLOGY
from harness.topologies.policy import RetryPolicy
from tests.samples import envelope, saga, undoable

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAGA = saga(undoable("book"), undoable("pay"))
BACKENDS = [
    pytest.param("embedded", marks=pytest.mark.embedded),
    pytest.param("localstack", marks=pytest.mark.localstack),
]


class Troubled:
    """One saga, its participant, and whoever stops its executions and repairs it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.namespace = f"resume-{secrets.token_hex(6)}"
        self.envelope = envelope(saga_id=f"saga-{secrets.token_hex(6)}")

    async def start(self) -> None:
        self._deployed = await deploy(
            self.gateway,
            SAGA,
            TOPOLOGY,
            self.namespace,
            RetryPolicy(),
            callback_retry=CallbackRetry.REENTER,
            seed=7,
            sweeper=True,
        )
        self._connection = TOPOLOGY.connect(self.gateway, SAGA, self._deployed)
        await self._connection.start(self.envelope)

    async def message(self, queue: str) -> str:
        url = self._deployed.queue_urls[queue]
        got = await self.gateway.call("sqs", "ReceiveMessage", QueueUrl=url, WaitTimeSeconds=10)
        [message] = got["Messages"]
        await self.gateway.call("sqs", "DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return str(message["Body"])

    async def expect(self, step: str) -> Delivery:
        command = self._connection.read("shop", await self.message("shop"), receives=1)
        assert (command.step, command.envelope.repairs) == (step, self.envelope.repairs)
        return command

    async def reply(self, step: str, result: str) -> None:
        await self._connection.reply(await self.expect(step), Reply(result=result))

    async def drop(self) -> None:
        """Somebody stops the execution, and the sweeper goes on."""
        assert not await self._connection.repair(replace(self.envelope, repairs=self.envelope.repairs + 1))
        await self._connection.abort(self.envelope.saga_id, self.envelope.repairs)
        await self.repair()

    async def repair(self) -> None:
        """Go on once the execution has ended."""
        self.envelope = replace(self.envelope, repairs=self.envelope.repairs + 1)
        async with asyncio.timeout(10):
            while not await self._connection.repair(self.envelope):
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=BACKENDS)
async def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Calls to a backend that is started once."""
    async with AsyncExitStack() as stack:
        urls: Any
        if request.param == "localstack":
            environ = request.getfixturevalue("localstack")
            urls = LOCALSTACK.resolve(None, environ | {"AWS_ENDPOINT_URL": f"http://{environ['LOCALSTACK_HOST']}"})
        else:
            emulator = Embedded(tmp_path_factory.mktemp("emulator") / "emulator.log")
            stack.push_async_callback(emulator.stop)
            urls = (await emulator.start()).urls
        clients = await stack.enter_async_context(open_clients(urls, DEFAULT_REGION, emulator=True))
        yield Gateway(clients, Metrics(CollectorRegistry(), topology="orchestrated", saga=SAGA.name))


@pytest_asyncio.fixture(loop_scope="module")
async def troubled(gateway: Gateway) -> AsyncIterator[Troubled]:
    """A saga that was started."""
    one = Troubled(gateway)
    await one.start()
    yield one
    await remove(gateway, [one.namespace])


async def test_saga_goes_on_forward_and_its_end_is_told_again(troubled: Troubled) -> None:
    await troubled.reply("book", "done")
    await troubled.expect("pay")
    await troubled.drop()
    await troubled.expect("pay")
    await troubled.drop()
    await troubled.reply("pay", "done")
    assert "pay-done" in await troubled.message(OUTCOMES)
    await troubled.repair()
    assert "pay-done" in await troubled.message(OUTCOMES)


async def test_saga_that_had_turned_back_goes_on_back_with_the_reason_it_had(troubled: Troubled) -> None:
    await troubled.reply("book", "done")
    await troubled.reply("pay", "refused")
    await troubled.expect("un-book")
    await troubled.drop()
    await troubled.reply("un-book", "done")
    for _ in range(2):
        told = await troubled.message(OUTCOMES)
        assert "book-undone" in told
        assert "Refused" in told
        await troubled.repair()
