"""A request gets no answer: it never arrived, or it took effect and its response was lost.

The SDK sees its own read timeout and then does whatever it does about one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal, NoReturn

import msgspec
from botocore.exceptions import ReadTimeoutError

from chaos.injector import Port, Strike


class Timeout:
    """Stands below the SDK."""

    port: ClassVar = Port.TRANSPORT
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``lost``: what goes missing, the ``request`` or the ``response``."""

        lost: Literal["request", "response"]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process loses its own requests
        self._response_lost = options.lost == "response"

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Keep the SDK waiting for as long as it will wait."""
        assert strike.read_timeout_s is not None
        if self._response_lost:
            await proceed()
        await asyncio.sleep(strike.read_timeout_s)
        raise ReadTimeoutError(
            endpoint_url=f"injected: the {'response' if self._response_lost else 'request'} was lost"
        )


FAULT = Timeout
