"""Nobody hears how a step ended: an orchestrator's callback is lost, or in a choreography the event.

The one who replied believes that it has, so its message is acknowledged and does not come again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from chaos.injector import Port, Strike


class ReplyLost:
    """Stands around the reply. By arrival: it is one saga's reply."""

    port: ClassVar = Port.REPLY
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """There are none."""

    def __init__(self, options: Options, workers: int) -> None:
        del options, workers

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> None:
        """Nothing is told."""
        del strike, proceed


FAULT = ReplyLost
