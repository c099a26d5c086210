"""A message is delivered twice, as any at-least-once queue may do: at once and concurrently, or late.

The late copy goes through the real queue with a delay, so that it finds the saga ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.injector import Port, Strike


class DuplicateDelivery:
    """Stands around the handling of a message."""

    port: ClassVar = Port.PROCESS
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``delay_s``: 0 for a copy at once, handled concurrently; else the whole seconds until the copy comes."""

        delay_s: Annotated[int, msgspec.Meta(ge=0, le=900)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process duplicates what it receives
        self._delay_s = options.delay_s

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """The original's fate is its own: a copy that fails is one that will not come again."""
        assert strike.received is not None
        if self._delay_s == 0:
            copy = asyncio.ensure_future(proceed())
            try:
                return await proceed()
            finally:
                await asyncio.wait([copy])
                copy.exception()  # looked at, so that asyncio does not report it as forgotten
        await strike.received.resend(self._delay_s)
        return await proceed()


FAULT = DuplicateDelivery
