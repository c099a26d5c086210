"""AWS calls counted by operation, and the SDK's retries beside them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from prometheus_client import CollectorRegistry

from harness.aws.gateway import Gateway
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from tests.fake_gateway import aws_error

LABELS = {"topology": "t", "saga": "s"}


class Meta:
    method_to_api_mapping: ClassVar = {"send_message": "SendMessage", "receive_message": "ReceiveMessage"}


class FakeSqs:
    """A client with two methods and one answer."""

    meta = Meta()

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self._answer = answer
        self.received: list[dict[str, Any]] = []

    async def send_message(self, **parameters: Any) -> dict[str, Any]:
        self.received.append(parameters)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    receive_message = send_message


class Counted:
    """A gateway to one fake client, and its counters."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self._registry = CollectorRegistry()
        self.client = FakeSqs(answer)
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


def answered(retries: int) -> dict[str, Any]:
    return {"MessageId": "m", "ResponseMetadata": {"RetryAttempts": retries}}


async def test_call_is_passed_on_and_its_answer_comes_back() -> None:
    counted = Counted(answered(0))
    response = await counted.gateway.call("sqs", "SendMessage", QueueUrl="u", MessageBody="b")
    assert response["MessageId"] == "m"
    assert counted.client.received == [{"QueueUrl": "u", "MessageBody": "b"}]


async def test_calls_are_counted_by_operation_and_retries_beside_them() -> None:
    counted = Counted(answered(2))
    for _ in range(3):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.calls("SendMessage") == 3
    assert counted.calls("ReceiveMessage") is None
    assert counted.sdk() == (9, 6)


async def test_error_of_the_service_is_raised_and_counted_with_its_code_and_its_retries() -> None:
    counted = Counted(aws_error("Throttled", ResponseMetadata={"RetryAttempts": 2}))
    with pytest.raises(ClientError, match="Throttled"):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.errors("SendMessage", "Throttled") == 1
    assert counted.sdk() == (3, 2)


async def test_call_without_an_answer_is_indefinite_and_counts_all_its_tries() -> None:
    counted = Counted(ReadTimeoutError(endpoint_url="http://backend"))
    with pytest.raises(Indefinite, match="sqs:SendMessage: no answer"):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.errors("SendMessage", "ReadTimeoutError") == 1
    assert counted.sdk() == (3, 2)


async def test_call_that_never_left_is_raised_as_it_is() -> None:
    counted = Counted(EndpointConnectionError(endpoint_url="http://backend"))
    with pytest.raises(EndpointConnectionError):
        await counted.gateway.call("sqs", "SendMessage")
    assert counted.errors("SendMessage", "EndpointConnectionError") == 1


@pytest.mark.parametrize("answer", [answered(1), ReadTimeoutError(endpoint_url="http://backend")], ids=["", "failed"])
async def test_long_poll_is_a_call_but_not_a_try_at_anything(answer: dict[str, Any] | Exception) -> None:
    counted = Counted(answer)
    try:
        await counted.gateway.call("sqs", "ReceiveMessage")
    except Indefinite:
        assert isinstance(answer, Exception)
    assert counted.calls("ReceiveMessage") == 1
    assert counted.sdk() == (None, None)
