"""Faults below the SDK, as the SDK meets them: what it retries, and what it makes of it in the end."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import HTTPClientError

from chaos.engine import decides
from chaos.faults.applied_twice import AppliedTwice
from chaos.faults.aws_error import AwsError
from chaos.faults.connection_reset import ConnectionReset
from chaos.faults.latency import Latency
from chaos.injector import Injector, Strike
from harness.aws.clients import MAX_ATTEMPTS, open_clients
from harness.aws.gateway import TRANSIENT
from harness.aws.services import SERVICES
from harness.core.subject import SUBJECTS
from tests.aws.loopback import Backend, serving
from tests.chaos.acting import Act
from tests.chaos.scripted import Rig, ScriptedFault, subject
from tests.chaos.test_below_the_sdk import PARAMETERS
from tests.virtual_time import in_virtual_time


class Below:
    """One call through the real SDK, with a fault below it, to a backend on the loopback interface."""

    def __init__(self, rig: Rig, backend: Backend) -> None:
        self._rig = rig
        self._backend = backend

    async def call(self, call: str, arrival: int = 7) -> Any:
        service, _, operation = call.partition(":")
        wrap = self._rig.engine.wrap_transport
        async with (
            serving(self._backend) as urls,
            open_clients(urls, "us-east-1", emulator=True, wrap_transport=wrap) as clients,
        ):
            methods = {api: name for name, api in clients[service].meta.method_to_api_mapping.items()}
            SUBJECTS.set((subject(arrival),))
            return await getattr(clients[service], methods[operation])(**PARAMETERS[call])

    @property
    def reached(self) -> int:
        """How many requests came through to the backend."""
        return len(self._backend.headers)


@asynccontextmanager
async def below(folder: Path, injector: Injector, call: str, **fault: Any) -> AsyncIterator[tuple[Below, Rig]]:
    """With the fault on every try of the call, unless told otherwise."""
    with Rig(folder, ScriptedFault(injector, call=call, **fault)) as rig:
        yield Below(rig, Backend({})), rig


TRANSACT = "dynamodb:TransactWriteItems"
CODES = [
    ("throttling", TRANSACT, "ProvisionedThroughputExceededException", 400),
    ("throttling", "events:PutEvents", "ThrottlingException", 400),
    ("throttling", "sqs:DeleteMessageBatch", "RequestThrottled", 400),
    ("throttling", "stepfunctions:SendTaskSuccess", "ThrottlingException", 400),
    ("internal", TRANSACT, "InternalServerError", 500),
    ("internal", "events:PutEvents", "InternalException", 500),
    ("internal", "sqs:DeleteMessageBatch", "InternalFailure", 500),
    ("internal", "stepfunctions:SendTaskFailure", "InternalFailure", 500),
    ("unavailable", TRANSACT, "ServiceUnavailable", 503),
    ("unavailable", "events:PutEvents", "ServiceUnavailable", 503),
    ("unavailable", "sqs:DeleteMessageBatch", "ServiceUnavailable", 503),
    ("unavailable", "stepfunctions:SendTaskSuccess", "ServiceUnavailable", 503),
]


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits up to a second between its tries."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("error", "call", "code", "status"), CODES)
async def test_service_s_own_error_is_retried_by_the_sdk_and_then_surfaces_as_itself(
    error: str, call: str, code: str, status: int, tmp_path: Path
) -> None:
    injector = AwsError(AwsError.Options(error=error), 1)
    async with below(tmp_path, injector, call) as (sdk, rig):
        with pytest.raises(ClientError) as raised:
            await sdk.call(call)
        told = raised.value.response
        assert told["Error"]["Code"] == code
        assert told["Error"]["Message"] == f"injected: {error}"
        assert told["ResponseMetadata"]["HTTPStatusCode"] == status
        assert told["ResponseMetadata"]["RetryAttempts"] == MAX_ATTEMPTS - 1
        assert [row.attempt for row in rig.struck()] == [f"0.1.{number}" for number in range(1, MAX_ATTEMPTS + 1)]
        assert sdk.reached == 0


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("error", ["internal", "unavailable"])
async def test_error_can_hide_that_the_request_took_effect(error: str, tmp_path: Path) -> None:
    async with below(tmp_path, AwsError(AwsError.Options(error=error, applied=True), 1), TRANSACT) as (sdk, _):
        with pytest.raises(ClientError):
            await sdk.call(TRANSACT)
        assert sdk.reached == MAX_ATTEMPTS


@pytest.mark.usefixtures("no_backoff")
async def test_call_whose_next_try_is_spared_succeeds_and_tells_of_its_retry(tmp_path: Path) -> None:
    injector = AwsError(AwsError.Options(error="throttling"), 1)
    fault = ScriptedFault(injector, probability=0.5)
    struck = [
        [decides(1, fault, arrival, "charge", attempt) for attempt in ("0.1.1", "0.1.2")] for arrival in range(20)
    ]
    async with below(tmp_path, injector, TRANSACT, probability=0.5) as (sdk, rig):
        answer = await sdk.call(TRANSACT, arrival=struck.index([True, False]))
        assert [row.attempt for row in rig.struck()] == ["0.1.1"]
        assert (answer["ResponseMetadata"]["RetryAttempts"], sdk.reached) == (1, 1)


def test_request_that_was_throttled_was_not_applied() -> None:
    with pytest.raises(msgspec.ValidationError, match="was not applied"):
        msgspec.convert({"error": "throttling", "applied": True}, AwsError.Options)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("when", "reached"), [("before-sending", 0), ("after-sending", MAX_ATTEMPTS)])
async def test_reset_connection_is_retried_and_surfaces_as_something_to_try_again(
    when: str, reached: int, tmp_path: Path
) -> None:
    async with below(tmp_path, ConnectionReset(ConnectionReset.Options(when=when), 1), TRANSACT) as (sdk, rig):
        with pytest.raises(EndpointConnectionError) as raised:
            await sdk.call(TRANSACT)
        assert isinstance(raised.value, TRANSIENT)
        assert (sdk.reached, len(rig.struck())) == (reached, MAX_ATTEMPTS)


@pytest.mark.usefixtures("no_backoff")
async def test_injected_reset_is_what_the_sdk_makes_of_a_real_one() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger_for_no_time = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    urls = dict.fromkeys(SERVICES, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, open_clients(urls, "us-east-1", emulator=True) as clients:
        with pytest.raises(EndpointConnectionError) as real:
            await clients["dynamodb"].transact_write_items(TransactItems=[])
    with pytest.raises(EndpointConnectionError) as injected:
        await ConnectionReset(ConnectionReset.Options(when="before-sending"), 1).strike(Strike(), Act())
    errors = [raised.value.kwargs["error"] for raised in (real, injected)]
    assert type(errors[0]) is type(errors[1])
    assert errors[0].errno == errors[1].errno


async def test_request_applied_twice_reaches_the_service_twice_and_is_one_try_to_the_sdk(tmp_path: Path) -> None:
    async with below(tmp_path, AppliedTwice(AppliedTwice.Options(), 1), TRANSACT) as (sdk, rig):
        answer = await sdk.call(TRANSACT)
        assert (sdk.reached, answer["ResponseMetadata"]["RetryAttempts"], len(rig.struck())) == (2, 0, 1)


def test_answer_to_a_request_applied_twice_is_the_second() -> None:
    act = Act("the first", "the second")
    assert in_virtual_time(AppliedTwice(AppliedTwice.Options(), 1).strike(Strike(), act)) == "the second"


def latency(distribution: str, **options: float) -> Latency:
    return Latency(Latency.Options(distribution=distribution, **options), 1)


def test_fixed_latency_is_the_same_for_all() -> None:
    injector = latency("fixed", p50_ms=40)
    assert {injector.added_s(draw) for draw in (0.0, 0.5, 0.999)} == {0.04}


@pytest.mark.parametrize("distribution", ["lognormal", "pareto"])
def test_drawn_latency_has_the_median_and_the_p99_that_were_asked_for(distribution: str) -> None:
    injector = latency(distribution, p50_ms=20, p99_ms=200)
    assert injector.added_s(0.5) == pytest.approx(0.02)
    assert injector.added_s(0.99) == pytest.approx(0.2)
    drawn = [injector.added_s(number / 1000) for number in range(1000)]
    assert drawn == sorted(drawn)
    assert all(added_s >= 0 for added_s in drawn)


def test_pareto_has_the_heavier_tail_and_neither_exceeds_its_cap() -> None:
    lognormal, pareto = (latency(name, p50_ms=20, p99_ms=200, cap_ms=5_000) for name in ("lognormal", "pareto"))
    assert pareto.added_s(0.9999) > 2 * lognormal.added_s(0.9999)
    assert pareto.added_s(1 - 2**-53) == 5.0


def test_answer_comes_later_by_what_was_added() -> None:
    act = Act("answer", takes_s=0.25)

    async def main() -> tuple[Any, float]:
        answer = await latency("fixed", p50_ms=500).strike(Strike(read_timeout_s=1.0), act)
        return answer, asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == ("answer", 0.75)


def test_answer_that_is_later_than_the_sdk_waits_is_a_timeout_of_a_request_that_took_effect() -> None:
    act = Act()

    async def main() -> float:
        with pytest.raises(ReadTimeoutError, match=r"5\.000 s late") as raised:
            await latency("fixed", p50_ms=5_000).strike(Strike(read_timeout_s=1.0), act)
        assert isinstance(raised.value, HTTPClientError), "which is what the SDK retries"
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == 1.0
    assert act.ended == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"distribution": "fixed", "p50_ms": 1, "p99_ms": 2}, "p99_ms belongs to lognormal"),
        ({"distribution": "pareto", "p50_ms": 1}, "p99_ms belongs to lognormal"),
        ({"distribution": "lognormal", "p50_ms": 2, "p99_ms": 2}, "must be above p50_ms"),
        ({"distribution": "fixed", "p50_ms": 200, "cap_ms": 100}, "must not be below"),
    ],
)
def test_latency_that_contradicts_itself_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(options, Latency.Options)
