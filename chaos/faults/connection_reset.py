"""A connection is reset, before the request was sent or after it took effect.

The SDK cannot tell the two apart: aiobotocore says of either that it could not connect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from errno import ECONNRESET
from typing import Any, ClassVar, Literal, NoReturn

import msgspec
from aiohttp import ClientOSError
from botocore.exceptions import EndpointConnectionError

from chaos.injector import Port, Strike


class ConnectionReset:
    """Stands below the SDK. By arrival: it loses one saga's request, or the answer to it."""

    port: ClassVar = Port.TRANSPORT
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``when``: before or after the request was sent."""

        when: Literal["before-sending", "after-sending"]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process has connections of its own
        self._sent = options.when == "after-sending"

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """What aiobotocore makes of a reset."""
        if self._sent:
            await proceed()
        raise EndpointConnectionError(
            endpoint_url=f"injected: connection reset {'after' if self._sent else 'before'} sending",
            error=ClientOSError(ECONNRESET, "Connection reset by peer"),
        )


FAULT = ConnectionReset
