"""A participant's capacity drops to a stated number of actions per second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from chaos.injector import Port, Strike
from chaos.rate import Rate


class Overload:
    """Stands around the participant's work: actions queue for the next free slot, in the order in which they came."""

    port: ClassVar = Port.WORK
    by_arrival: ClassVar = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``actions_per_s``: what all workers together get done."""

        actions_per_s: Rate

    def __init__(self, options: Options, workers: int) -> None:
        self._interval_s = workers / options.actions_per_s
        self._slot_s = 0.0
        self._next_slot_s = 0.0

    def bites(self, strike: Strike) -> bool:
        """Take the next slot of this process's share; false where it is free now, so that nobody is held up."""
        del strike
        now_s = asyncio.get_running_loop().time()
        self._slot_s = max(now_s, self._next_slot_s)
        self._next_slot_s = self._slot_s + self._interval_s
        return self._slot_s > now_s

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Wait for the slot that was taken."""
        del strike
        await asyncio.sleep(self._slot_s - asyncio.get_running_loop().time())
        return await proceed()


FAULT = Overload
