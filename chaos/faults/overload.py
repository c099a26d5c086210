"""A participant's capacity drops to a stated number of actions per second.

With ``patience_actions``, work that waited too long is wasted work, as in *Metastable Failures in Distributed Systems*
(Bronson and others, HotOS 2021): its caller has given it up, and it takes its slot all the same. Whoever tries again at
once waits behind everybody else who does, and once the queue is longer than the patience nothing that comes out of it is
wanted any more: more than enough capacity, and no goodput.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.injector import Port, Strike
from chaos.rate import Rate
from harness.core.errors import Indefinite


class Overload:
    """Stands around the participant's work: actions queue for the next free slot, in the order in which they came."""

    port: ClassVar = Port.WORK
    by_arrival: ClassVar = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``actions_per_s``: what all workers together get done. ``patience_actions``: for how many slots of its
        worker's an action's caller waits; none: for ever.

        In slots and not in seconds, so that with a share of the offered rate the storm means the same at every rate.
        """

        actions_per_s: Rate
        patience_actions: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def __init__(self, options: Options, workers: int) -> None:
        self._interval_s = workers / options.actions_per_s
        self._patience_s = self._interval_s * (options.patience_actions or float("inf"))
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
        """Wait for the slot that was taken. It comes too late: :class:`Indefinite`.

        Raised when its slot comes and not when the patience ends, so that no more is tried than the capacity allows: or
        what limits the tries would be the emulator.
        """
        del strike
        wait_s = self._slot_s - asyncio.get_running_loop().time()
        await asyncio.sleep(wait_s)
        if wait_s > self._patience_s:
            raise Indefinite(f"injected: given up, as its turn came after {wait_s:.1f} s")
        return await proceed()


FAULT = Overload
