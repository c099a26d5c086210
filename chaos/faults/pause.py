"""A worker process stands still for a while, with all that it has in hand: SIGSTOP, as in a long collection of garbage
or on a host that has no time for it.

A small process of its own stops it and wakes it again, whatever becomes of the harness in the meantime.
"""

from __future__ import annotations

import os
from asyncio.subprocess import create_subprocess_exec
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.injector import Port, Strike

_STOP_AND_WAKE = 'kill -STOP "$1"; sleep "$2"; kill -CONT "$1"'


class Pause:
    """By the clock: what is struck is a process. The first step taken in the window stops it, once in each process.

    A participant or a step as its target says whose step that is; the others in the process stand still with it.
    """

    port: ClassVar = Port.WORK
    by_arrival: ClassVar = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``length_s``: how long it stands still."""

        length_s: Annotated[float, msgspec.Meta(gt=0, le=60)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process is stopped
        self._length_s = options.length_s
        self._had = False

    def bites(self, strike: Strike) -> bool:
        """Once."""
        del strike
        had, self._had = self._had, True
        return not had

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Stand still; then go on as if nothing had been."""
        del strike
        arguments = (str(os.getpid()), f"{self._length_s:.3f}")
        await (await create_subprocess_exec("/bin/sh", "-c", _STOP_AND_WAKE, "pause", *arguments)).wait()
        return await proceed()


FAULT = Pause
