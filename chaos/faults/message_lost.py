"""A message is gone before anybody has handled it.

SQS does not lose messages; those who acknowledge before they have finished do, and so does whoever purges a queue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from chaos.injector import Port, Strike


class MessageLost:
    """Stands around the handling of a message. By arrival: it is one saga's message."""

    port: ClassVar = Port.PROCESS
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """There are none."""

    def __init__(self, options: Options, workers: int) -> None:
        del options, workers

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> None:
        """Nothing happens, so the message is acknowledged and does not come again."""
        del strike, proceed


FAULT = MessageLost
