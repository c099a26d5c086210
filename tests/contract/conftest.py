"""The backends under contract, each started once, and the deviations that must show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from harness.aws.clients import open_clients
from harness.aws.gateway import Gateway
from harness.backends.base import Backend, Endpoints
from harness.backends.deviations import deviations
from harness.backends.embedded import Embedded
from harness.backends.localstack import KIND as LOCALSTACK
from harness.measure.metrics import Metrics
from tests.contract.cloud import Cloud
from tests.contract.pages import page_of

PRODUCTS: Final = {"embedded": "ministack", "localstack": "localstack"}
"""The backends under contract, by their names and marks, and what answers there."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test on every backend; where a backend is known to deviate, the test must fail."""
    if "backend" in metafunc.fixturenames:
        backends = [
            pytest.param(name, id=name, marks=[getattr(pytest.mark, name), *_deviates(metafunc, product)])
            for name, product in PRODUCTS.items()
        ]
        metafunc.parametrize("backend", backends, indirect=True, scope="session")


def _deviates(metafunc: pytest.Metafunc, product: str) -> list[pytest.MarkDecorator]:
    if page_of(metafunc.function) is None:
        return []
    name = metafunc.function.__name__.removeprefix("test_")
    return [
        pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"{known.what} Consequence: {known.consequence}")
        for known in deviations(product)
        if known.behaviour == name
    ]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Endpoints, Gateway]]:
    """A started backend and the clients to it, by the parameter's name."""
    logs = tmp_path_factory.mktemp("contract")
    backend: Backend
    if request.param == "embedded":
        backend = Embedded(logs / "emulator.log")
    else:
        environ = request.getfixturevalue("localstack")
        # By another variable, since localstack-client looks for its own in this process's environment only.
        urls = LOCALSTACK.resolve(None, environ | {"AWS_ENDPOINT_URL": f"http://{environ['LOCALSTACK_HOST']}"})
        backend = LOCALSTACK.backend(urls, logs / "localstack.log")
    endpoints = await backend.start()
    try:
        assert endpoints.product == PRODUCTS[request.param]
        async with open_clients(endpoints.urls, endpoints.region, emulator=endpoints.emulator) as clients:
            metrics = Metrics(CollectorRegistry(), topology="contract", saga="contract")
            yield endpoints, Gateway(clients, metrics)
    finally:
        await backend.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def cloud(backend: tuple[Endpoints, Gateway]) -> AsyncIterator[Cloud]:
    """The backend, and resources that are removed after the test."""
    endpoints, gateway = backend
    cloud = Cloud(gateway, endpoints)
    yield cloud
    await cloud.remove()
