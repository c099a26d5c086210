"""AWS calls counted by operation, and the SDK's retries beside them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError, ReadTimeoutError
from prometheus_client import CollectorRegistry

from harness.aws.clients import TRIES
from harness.aws.gateway import Gateway
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from tests.fake_gateway import aws_error

LABELS = {"topology": "t", "saga": "s"}


class Meta:
    method_to_api_mapping: ClassVar = {"send_message": "SendMessage", "receive_message": "ReceiveMessage"}


class FakeSqs:
    """A client with two methods and one answer, for which it takes so many HTTP requests."""

    meta = Meta()

    def __init__(self, answer: dict[str, Any] | Exception, tries: int) -> None:
        self._answer = answer
        self._tries = tries
        self.received: list[dict[str, Any]] = []

    async def send_message(self, **parameters: Any) -> dict[str, Any]:
        self.received.append(parameters)
        counted = TRIES.get()
        assert counted
        counted.made += self._tries
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    receive_message = send_message


class Counted:
    """A gateway to one fake client, and its counters."""

    def __init__(self, answer: dict[str, Any] | Exception, tries: int = 1) -> None:
        self._registry = CollectorRegistry()
        self.client = FakeSqs(answer, tries)
        self.gateway = Gateway({"sqs": self.client}, Metrics(self._registry, topology="t", saga="s"))

    def calls(self, operation: str) -> float | None:
        labels = LABELS | {"service": "sqs", "operation": operation}
        return self._registry.get_sample_value("sagastorm_aws_calls_total", labels)

    def errors(self, operation: str, error: str) -> float | None:
        labels = LABELS | {"service": "sqs", "operation": operation, "error": error}
        return self._registry.get_sample_value("sagastorm_aws_errors_total", labels)

    def sdk(self) -> tuple[float | None, float | None]:
        """(attempts, retries) in the layer of the SDK."""
        return (
            self._registry.get_sample_value("sagastorm_attempts_total", LABELS | {"layer": "sdk"}),
            self._registry.get_sample_value("sagastorm_retries_total", LABELS | {"layer": "sdk"}),
        )


ANSWER = {"MessageId": "m"}


async def test_call_is_passed_on_and_its_answer_comes_back() -> None:
    counted = Counted(ANSWER)
    response = await counted.gateway.call("sqs", "SendMessage", QueueUrl="u", MessageBody="b")
    assert response["MessageId"] == "m"
    assert counted.client.received == [{"QueueUrl": "u", "MessageBody": "b"}]


async def test_calls_are_counted_by_operation_and_retries_beside_them() -> None:
    counted = Counted(ANSWER, tries=3)
    for _ in range(3):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.calls("SendMessage") == 3
    assert counted.calls("ReceiveMessage") is None
    assert counted.sdk() == (9, 6)


async def test_error_of_the_service_is_raised_and_counted_with_its_code_and_its_retries() -> None:
    counted = Counted(aws_error("Throttled"), tries=3)
    with pytest.raises(ClientError, match="Throttled"):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.errors("SendMessage", "Throttled") == 1
    assert counted.sdk() == (3, 2)


async def test_call_without_an_answer_is_indefinite_and_counts_the_tries_that_it_had() -> None:
    counted = Counted(ReadTimeoutError(endpoint_url="http://backend"), tries=2)
    with pytest.raises(Indefinite, match="sqs:SendMessage: no answer"):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.errors("SendMessage", "ReadTimeoutError") == 1
    assert counted.sdk() == (2, 1)


async def test_call_that_never_left_is_raised_as_it_is() -> None:
    counted = Counted(EndpointConnectionError(endpoint_url="http://backend"))
    with pytest.raises(EndpointConnectionError):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.errors("SendMessage", "EndpointConnectionError") == 1


async def test_call_that_was_refused_before_any_request_is_no_try() -> None:
    counted = Counted(ParamValidationError(report="no"), tries=0)
    with pytest.raises(ParamValidationError):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.sdk() == (None, None)


@pytest.mark.parametrize("answer", [ANSWER, ReadTimeoutError(endpoint_url="http://backend")], ids=["", "failed"])
async def test_long_poll_is_a_call_but_not_a_try_at_anything(answer: dict[str, Any] | Exception) -> None:
    counted = Counted(answer)
    try:
        await counted.gateway.call("sqs", "ReceiveMessage")
    except Indefinite:
        assert isinstance(answer, Exception)
    assert counted.calls("ReceiveMessage") == 1
    assert counted.sdk() == (None, None)
