"""The real SDK against a small server: who stands below its retries, and how it is told apart from real AWS."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from botocore import retryhandler
from botocore.exceptions import ReadTimeoutError
from botocore.retries import standard
from prometheus_client import CollectorRegistry

from harness.aws import clients
from harness.aws.clients import MAX_ATTEMPTS, Send, open_clients
from harness.aws.gateway import Gateway
from harness.aws.services import SERVICES
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from tests.aws.loopback import Backend, serving

TABLES = {"TableNames": ["orders"]}


class LosingTransport:
    """Loses the first ``lose`` requests to DynamoDB."""

    def __init__(self, lose: int) -> None:
        self._left = lose
        self.wrapped: list[tuple[str, float]] = []
        self.attempts: list[str] = []

    def __call__(self, service: str, read_timeout_s: float, send: Send) -> Send:
        self.wrapped.append((service, read_timeout_s))

        async def losing_send(request: Any) -> Any:
            header = request.headers["amz-sdk-request"]
            self.attempts.append(header.decode() if isinstance(header, bytes) else header)
            self._left -= 1
            if self._left >= 0:
                raise ReadTimeoutError(endpoint_url="injected")
            return await send(request)

        return losing_send


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits up to seconds between its tries; here it need not."""
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0)


async def test_wrapper_stands_below_the_retries_of_the_sdk() -> None:
    backend, transport = Backend(TABLES), LosingTransport(lose=2)
    async with (
        serving(backend) as urls,
        open_clients(urls, "us-east-1", emulator=True, wrap_transport=transport) as made,
    ):
        response = await made["dynamodb"].list_tables()
    assert response["TableNames"] == ["orders"]
    assert response["ResponseMetadata"]["RetryAttempts"] == 2
    assert [attempt.partition("attempt=")[2][0] for attempt in transport.attempts] == ["1", "2", "3"]
    assert len(backend.headers) == 1, "only what the wrapper let through arrived"


async def test_sdk_gives_up_after_its_last_try_and_says_that_there_was_no_answer() -> None:
    backend, transport = Backend(TABLES), LosingTransport(lose=MAX_ATTEMPTS)
    async with (
        serving(backend) as urls,
        open_clients(urls, "us-east-1", emulator=True, wrap_transport=transport) as made,
    ):
        with pytest.raises(ReadTimeoutError, match="injected"):
            await made["dynamodb"].list_tables()
    assert len(transport.attempts) == MAX_ATTEMPTS
    assert backend.headers == []


async def test_wrapper_is_told_the_service_and_how_long_the_sdk_would_wait() -> None:
    transport = LosingTransport(lose=0)
    async with (
        serving(Backend(TABLES)) as urls,
        open_clients(urls, "us-east-1", emulator=True, wrap_transport=transport),
    ):
        assert sorted(transport.wrapped) == sorted((name, clients.READ_TIMEOUT_S[name]) for name in SERVICES)


async def test_emulator_is_called_unsigned_where_it_is_and_nowhere_else() -> None:
    backend = Backend(TABLES)
    async with serving(backend) as urls, open_clients(urls, "us-east-1", emulator=True) as made:
        await made["events"].list_event_buses()
        await made["dynamodb"].list_tables()
        assert {name: client.meta.endpoint_url for name, client in made.items()} == urls
    on_bus, on_tables = backend.headers
    assert "Authorization" not in on_bus
    assert on_tables["X-Amz-Target"] == "DynamoDB_20120810.ListTables"
    # DynamoDB Local wants to see a signature, and does not look at it: nothing was computed from the request.
    assert on_tables["Authorization"].endswith("SignedHeaders=host, Signature=none")


async def test_service_without_an_endpoint_is_an_error_and_never_a_call_to_real_aws() -> None:
    with pytest.raises(KeyError):
        async with open_clients({"sqs": "http://127.0.0.1:1"}, "us-east-1", emulator=True):
            pass


@pytest.mark.parametrize(
    ("mode", "lost", "made"),
    [("standard", 9, 3), ("standard", 1, 2), ("adaptive", 9, 3), ("legacy", 4, 5), ("legacy", 99, 10), ("off", 9, 1)],
)
async def test_every_request_is_counted_that_the_mode_allows(
    mode: str, lost: int, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retryhandler, "delay_exponential", lambda *args, **options: 0)
    transport, registry = LosingTransport(lose=lost), CollectorRegistry()
    async with (
        serving(Backend(TABLES)) as urls,
        open_clients(urls, "us-east-1", emulator=True, wrap_transport=transport, retries=mode) as clients,
    ):
        with suppress(Indefinite):
            await Gateway(clients, Metrics(registry, topology="t", saga="s")).call("dynamodb", "ListTables")
    assert len(transport.attempts) == made
    labels = {"topology": "t", "saga": "s", "layer": "sdk"}
    assert registry.get_sample_value("sagastorm_attempts_total", labels) == made
    assert (registry.get_sample_value("sagastorm_retries_total", labels) or 0) == made - 1


async def test_tries_that_the_quota_of_the_sdk_refuses_are_not_counted() -> None:
    transport, registry = LosingTransport(lose=10_000), CollectorRegistry()
    calls = 60
    async with (
        serving(Backend(TABLES)) as urls,
        open_clients(urls, "us-east-1", emulator=True, wrap_transport=transport) as clients,
    ):
        gateway = Gateway(clients, Metrics(registry, topology="t", saga="s"))
        for _ in range(calls):
            with suppress(Indefinite):
                await gateway.call("dynamodb", "ListTables")
    assert len(transport.attempts) < MAX_ATTEMPTS * calls
    labels = {"topology": "t", "saga": "s", "layer": "sdk"}
    assert registry.get_sample_value("sagastorm_attempts_total", labels) == len(transport.attempts)
