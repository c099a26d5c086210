"""A message comes late: it goes back to its queue with a delay, and is struck no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.injector import Port, Strike


class MessageDelayed:
    """Stands around the handling of a message. By arrival: it is one saga's message."""

    port: ClassVar = Port.PROCESS
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``delay_s``: whole seconds, which is what SQS can count."""

        delay_s: Annotated[int, msgspec.Meta(ge=1, le=900)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process delays what it receives
        self._delay_s = options.delay_s

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> None:
        """Send it once more and have this one acknowledged; should the sending fail, this one comes again."""
        del proceed
        assert strike.received is not None
        await strike.received.resend(self._delay_s)


FAULT = MessageDelayed
