"""A message is overtaken: it is held until so many later ones of the same participant have been handled.

It stays in the worker's hand meanwhile. Held for longer than the visibility timeout it is delivered a second time, as
on AWS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.injector import Port, Strike
from harness.topologies.base import Delivery


class _Held:
    def __init__(self, participant: str, overtaken_by: int) -> None:
        self.participant = participant
        self.left = overtaken_by
        self.free = asyncio.Event()


class MessageReordered:
    """Stands around the handling of a message. By arrival: it is one saga's message."""

    port: ClassVar = Port.PROCESS
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``overtaken_by``: how many go before it; ``at_most_s``: it waits no longer for them."""

        overtaken_by: Annotated[int, msgspec.Meta(ge=1, le=100)]
        at_most_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2.0

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process reorders what it receives
        self._overtaken_by = options.overtaken_by
        self._at_most_s = options.at_most_s
        self._held: set[_Held] = set()

    def handled(self, delivery: Delivery) -> None:
        """One more has gone before those that are held."""
        for held in self._held:
            if held.participant == delivery.participant:
                held.left -= 1
                if held.left == 0:
                    held.free.set()

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Hold it, then handle it."""
        assert strike.delivery is not None
        held = _Held(strike.delivery.participant, self._overtaken_by)
        self._held.add(held)
        with suppress(TimeoutError):
            await asyncio.wait_for(held.free.wait(), self._at_most_s)
        self._held.discard(held)
        return await proceed()


FAULT = MessageReordered
