"""The table of what was accepted and has not ended, on the emulator that keeps its conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from harness.aws.clients import open_clients
from harness.aws.gateway import Gateway
from harness.aws.pending import PendingSaga, PendingSagas, pending_table
from harness.aws.tables import create_table
from harness.backends.embedded import Embedded
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from tests.fake_gateway import FakeGateway, aws_error
from tests.samples import envelope

on_the_emulator = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    backend = Embedded(tmp_path_factory.mktemp("emulator") / "emulator.log")
    try:
        endpoints = await backend.start()
        async with open_clients(endpoints.urls, endpoints.region, emulator=True) as clients:
            yield Gateway(clients, Metrics(CollectorRegistry(), topology="t", saga="s"))
    finally:
        await backend.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def pending(gateway: Gateway, request: pytest.FixtureRequest) -> PendingSagas:
    namespace = request.node.name.replace("_", "-")[:60]
    await create_table(gateway, pending_table(namespace))
    return PendingSagas(gateway, namespace)


class TestTable:
    pytestmark = on_the_emulator

    async def test_saga_is_found_as_it_was_registered_once_it_was_long_ago(self, pending: PendingSagas) -> None:
        await pending.register(envelope(), 100)
        assert await pending.asked_before(99) == []
        assert await pending.asked_before(100) == [PendingSaga(envelope(), 100, 100, 0)]
        assert await pending.count() == 1

    async def test_repair_counts_and_the_saga_is_not_asked_for_again_at_once(self, pending: PendingSagas) -> None:
        await pending.register(envelope(), 100)
        await pending.asked_again("saga-7", 2, 200)
        assert await pending.asked_before(199) == []
        assert await pending.asked_before(200) == [PendingSaga(envelope(), 100, 200, 2)]

    async def test_second_registration_changes_nothing(self, pending: PendingSagas) -> None:
        await pending.register(envelope(), 100)
        await pending.asked_again("saga-7", 1, 200)
        await pending.register(envelope(), 300)
        assert await pending.asked_before(300) == [PendingSaga(envelope(), 100, 200, 1)]

    async def test_forgotten_saga_does_not_come_back_with_a_repair_or_an_end(self, pending: PendingSagas) -> None:
        await pending.register(envelope(), 100)
        assert await pending.forget(["saga-7", "saga-8", "saga-7"]) == [None] * 3
        await pending.asked_again("saga-7", 1, 200)
        await pending.expire("saga-7", 200)
        assert await pending.count() == 0

    async def test_saga_that_is_given_up_is_neither_found_nor_counted(self, pending: PendingSagas) -> None:
        for name in ("saga-7", "saga-8"):
            await pending.register(envelope(saga_id=name), 100)
        await pending.expire("saga-7", 200)
        assert [saga.envelope.saga_id for saga in await pending.asked_before(300)] == ["saga-8"]
        assert await pending.count() == 1


async def test_batch_names_each_saga_once_and_tells_which_are_left() -> None:
    left = {"ns-ingress-pending": [{"DeleteRequest": {"Key": {"id": {"S": "b"}}}}]}
    gateway = FakeGateway(BatchWriteItem={"UnprocessedItems": left})
    told = await PendingSagas(gateway, "ns").forget(["a", "b", "a"])
    assert [type(each) for each in told] == [type(None), Indefinite, type(None)]
    [call] = gateway.asked("BatchWriteItem")
    assert len(call["RequestItems"]["ns-ingress-pending"]) == 2


async def test_all_pages_are_counted() -> None:
    pages = [{"Count": 3, "LastEvaluatedKey": {"id": {"S": "c"}}}, {"Count": 2}]
    gateway = FakeGateway(Scan=pages)
    assert await PendingSagas(gateway, "ns").count() == 5
    assert [call.get("ExclusiveStartKey") for call in gateway.asked("Scan")] == [None, {"id": {"S": "c"}}]


async def test_table_that_cannot_be_written_is_an_error() -> None:
    gateway = FakeGateway(PutItem=aws_error("ThrottlingException"))
    with pytest.raises(Exception, match="ThrottlingException"):
        await PendingSagas(gateway, "ns").register(envelope(), 1)
