"""AWS answers with an error of its own: it throttles, or something inside it broke.

The SDK gets the service's own code, status and body, and then does whatever it does about them. Codes: the errors of
TransactWriteItems and DeleteMessageBatch in their API references, and the "Common errors" of each service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from json import dumps
from typing import Any, ClassVar, Literal

import msgspec

from chaos.injector import Port, Strike

_DYNAMODB, _SQS, _CORAL = "com.amazonaws.dynamodb.v20120810#", "com.amazonaws.sqs#", "com.amazon.coral.availability#"
_STATUS = {"throttling": 400, "internal": 500, "unavailable": 503}
_TYPES = {
    "throttling": {
        "dynamodb": f"{_DYNAMODB}ProvisionedThroughputExceededException",
        "events": f"{_CORAL}ThrottlingException",
        "sqs": f"{_SQS}RequestThrottled",
        "stepfunctions": f"{_CORAL}ThrottlingException",
    },
    "internal": {
        "dynamodb": f"{_DYNAMODB}InternalServerError",
        "events": "InternalException",
        "sqs": f"{_SQS}InternalFailure",
        "stepfunctions": "InternalFailure",
    },
    "unavailable": dict.fromkeys(("dynamodb", "events", "sqs", "stepfunctions"), "ServiceUnavailable"),
}


@dataclass(frozen=True)
class Answer:
    """As much of an HTTP response as the SDK looks at in an error."""

    status_code: int
    headers: dict[str, str]
    body: bytes

    @property
    async def content(self) -> bytes:
        """What is to be parsed."""
        return self.body


class AwsError:
    """Stands below the SDK. By arrival: it answers one saga's request."""

    port: ClassVar = Port.TRANSPORT
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``applied``: the request took effect all the same, which only the errors of the 5xx class leave open."""

        error: Literal["throttling", "internal", "unavailable"]
        applied: bool = False

        def __post_init__(self) -> None:
            if self.applied and self.error == "throttling":
                raise ValueError("a request that was throttled was not applied")

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process has its own requests answered
        self._error = options.error
        self._applied = options.applied

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Answer:
        """The error, in place of an answer or of the chance to take effect."""
        assert strike.call is not None
        if self._applied:
            await proceed()
        service, status = strike.call.partition(":")[0], _STATUS[self._error]
        kind = _TYPES[self._error][service]
        headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "injected"}
        if service == "sqs":  # it had another protocol once, whose codes its clients still know
            headers["x-amzn-query-error"] = f"{kind.rpartition('#')[2]};{'Sender' if status < 500 else 'Receiver'}"
        body = dumps({"__type": kind, "message": f"injected: {self._error}"}).encode()
        return Answer(status, headers, body)


FAULT = AwsError
