"""The one place that makes AWS clients.

One aioboto3 session and one client for each service and process: a client costs 8 to 75 ms to make. Against an
emulator requests go unsigned and parameters unvalidated, which nearly halves the CPU of a call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from botocore import UNSIGNED

from harness.aws.services import SERVICES, UNCHECKED_SIGNATURE

MAX_ATTEMPTS = 3
"""Of one call, the first included: the SDK's default in its standard and adaptive modes."""
RETRIES: dict[str, dict[str, Any]] = {
    "standard": {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
    "adaptive": {"mode": "adaptive", "total_max_attempts": MAX_ATTEMPTS},
    "legacy": {"mode": "legacy"},
    "off": {"mode": "standard", "total_max_attempts": 1},
}
"""The SDK's retry modes, with the constants from before 2026. Legacy means its own: 5 attempts, of DynamoDB 10, without a
quota; ten requests lost in a row then take longer than a message stays invisible."""
CONNECT_TIMEOUT_S = 2.0
USER_AGENT = "sagastorm"
"""Said as it is: the SDK would compose a long one anew for each call, at a twentieth of the call's CPU."""
READ_TIMEOUT_S = {"sqs": 25.0, "dynamodb": 1.0, "stepfunctions": 2.0, "events": 2.0}
"""SQS holds long polls of up to 20 s; the rest answer in milliseconds, and the SDK's 60 s would hide a lost request."""

Send = Callable[[Any], Awaitable[Any]]
TransportWrapper = Callable[[str, float, Send], Send]
"""From (service, read timeout in seconds, the real send) to the send that the SDK will use, below its retries."""


@dataclass
class Tries:
    """HTTP requests that the SDK made for one call, as far as they left the SDK."""

    made: int = 0


TRIES: ContextVar[Tries | None] = ContextVar("tries", default=None)
"""Where the requests of the call under way are counted."""


@asynccontextmanager
async def open_clients(
    urls: Mapping[str, str],
    region: str,
    *,
    emulator: bool,
    wrap_transport: TransportWrapper | None = None,
    retries: str = "standard",
) -> AsyncIterator[dict[str, Any]]:
    """Service name to client, open until the context ends. ``retries``: one of :data:`RETRIES`.

    ``urls`` must name an endpoint for every service: a missing one would make the SDK call real AWS.
    """
    session = aioboto3.Session(region_name=region)
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} if emulator else {}
    async with AsyncExitStack() as stack:
        clients = {
            service: await stack.enter_async_context(
                session.client(
                    service,
                    endpoint_url=urls[service],
                    config=_config(service, RETRIES[retries], emulator=emulator, wrap_transport=wrap_transport),
                    **credentials,
                )
            )
            for service in SERVICES
        }
        for client in clients.values():
            client.meta.events.register("before-send", _count_try)
        if emulator:
            clients["dynamodb"].meta.events.register("before-sign.dynamodb", _name_somebody)
        yield clients


def _count_try(**_: Any) -> None:
    if tries := TRIES.get():
        tries.made += 1


def _name_somebody(request: Any, **_: Any) -> None:
    """DynamoDB Local refuses a request that has no signature: this one costs nothing."""
    request.headers["Authorization"] = UNCHECKED_SIGNATURE


def _config(
    service: str, retries: Mapping[str, Any], *, emulator: bool, wrap_transport: TransportWrapper | None
) -> AioConfig:
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S[service],
        "retries": dict(retries),
        "max_pool_connections": 200,
        "user_agent": USER_AGENT,
    }
    if emulator:
        options |= {"signature_version": UNSIGNED, "parameter_validation": False, "inject_host_prefix": False}
    if wrap_transport:
        options["http_session_cls"] = _wrapped_transport(service, wrap_transport)
    return AioConfig(**options)


def _wrapped_transport(service: str, wrap: TransportWrapper) -> type[AIOHTTPSession]:
    class WrappedTransport(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore ships no types
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._send = wrap(service, READ_TIMEOUT_S[service], super().send)

        async def send(self, request: Any) -> Any:
            return await self._send(request)

    return WrappedTransport
