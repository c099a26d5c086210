"""A request reaches the service twice, as where something between tries again by itself; the second answer comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from chaos.injector import Port, Strike


class AppliedTwice:
    """Stands below the SDK, which counts one try. By arrival: it is one saga's request."""

    port: ClassVar = Port.TRANSPORT
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """There are none."""

    def __init__(self, options: Options, workers: int) -> None:
        del options, workers

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Send it, and send it again."""
        del strike
        await proceed()
        return await proceed()


FAULT = AppliedTwice
