"""It is heard late how a step ended: an orchestrator's callback comes late, or in a choreography the event.

Late by more than the step's timeout, an orchestrator has asked again by then, or given up. The message stays in the
worker's hand meanwhile, of which each participant has 32 in a process: more late replies than that at a time are a loss
of capacity as well. Late by more than the visibility timeout, the message is delivered a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.injector import Port, Strike


class ReplyLate:
    """Stands around the reply. By arrival: it is one saga's reply."""

    port: ClassVar = Port.REPLY
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``delay_s``: how late."""

        delay_s: Annotated[float, msgspec.Meta(gt=0, le=60)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process replies late
        self._delay_s = options.delay_s

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Keep it for a while."""
        del strike
        await asyncio.sleep(self._delay_s)
        return await proceed()


FAULT = ReplyLate
