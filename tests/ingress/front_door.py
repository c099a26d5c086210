"""The ingress behind a test client, with a topology that does what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter

from harness.aws.pending import PendingSagas
from harness.core.envelope import Envelope
from harness.core.identity import issue
from harness.ingress.app import Ingress
from harness.ingress.sagas import Sagas
from harness.sagas.create_order import SAGA
from harness.topologies.base import Delivery
from tests.samples import AUDIENCE, KEY

ORDER = {"customer": "ann", "lines": [{"sku": "sku-1", "quantity": 2, "unit_price_cents": 350}]}


class FakeConnection:
    """Takes every saga, after the errors that it was given, when its gate is open."""

    def __init__(self, *errors: Exception) -> None:
        self.started: list[Envelope] = []
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._errors = list(errors)

    async def start(self, envelope: Envelope) -> None:
        self.asked += 1
        await self.gate.wait()
        if self._errors:
            raise self._errors.pop(0)
        self.started.append(envelope)

    def read(self, participant: str, body: str, receives: int) -> Delivery:
        raise AssertionError("the ingress reads no commands")

    async def reply(self, delivered: Delivery, reply: Any) -> None:
        raise AssertionError("the ingress answers no commands")


class FrontDoor:
    """A caller's view of the ingress."""

    def __init__(self, client: TestClient, connection: FakeConnection, sagas: Sagas) -> None:
        self.client = client
        self.connection = connection
        self.sagas = sagas

    async def post(
        self, order: Any = ORDER, *, token: str | None = None, saga: str = "create-order", **headers: str
    ) -> ClientResponse:
        """Ask for an order, as ann unless a token says otherwise; ``idempotency_key`` is the header of that name."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Authorization": f"Bearer {token or issue(KEY, 'ann', AUDIENCE)}"} | named
        body = {"data": order} if isinstance(order, bytes) else {"json": order}
        return await self.client.post(f"/sagas/{saga}", headers=given, **body)

    async def status(self, saga_id: str, wait: str = "0") -> dict[str, Any]:
        """What is known of a saga."""
        response = await self.client.get(f"/sagas/{saga_id}", params={"wait": wait})
        assert response.status == 200, await response.text()
        return dict(await response.json())


@asynccontextmanager
async def front_door(
    connection: FakeConnection | None = None,
    sagas: Sagas | None = None,
    registry: CollectorRegistry | None = None,
    pending: PendingSagas | None = None,
) -> AsyncIterator[FrontDoor]:
    """Open for as long as the context lasts."""
    connection, sagas = connection or FakeConnection(), sagas or Sagas()
    ingress = Ingress(
        SAGA,
        connection,
        sagas,
        key=KEY,
        audience=AUDIENCE,
        registry=registry or CollectorRegistry(),
        pending=pending,
    )
    async with TestClient(TestServer(ingress.app())) as client:
        yield FrontDoor(client, connection, sagas)


def counting_registry() -> CollectorRegistry:
    """A registry with one counter that stands at 3."""
    registry = CollectorRegistry()
    Counter("sagastorm_sample_total", "A sample", registry=registry).inc(3)
    return registry
