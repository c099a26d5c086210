"""A worker process is killed at a named point of a step: SIGKILL, so it says nothing, closes nothing, answers nobody.

Whatever else the process had in hand is lost with it, and comes again once its visibility timeout is over. The fleet
starts another process, a bounded number of times.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal, NoReturn

import msgspec

from chaos.injector import Port, Strike


class Crash:
    """By arrival: a worker dies of the same steps of the same sagas in both topologies.

    Each delivery is an attempt of its own, so the one that comes again is decided anew. Each attempt kills once: those
    who had not been acknowledged when the process died send what they had sent again, and in a choreography that makes
    the deadly attempt anew, in another message, each time.
    """

    port: Port = Port.WORK
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``at``: before the local transaction; after it and before the reply; after the reply and before the message
        is deleted."""

        at: Literal["before-commit", "after-commit", "after-reply"]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process dies by its own hand
        self._before = options.at != "after-reply"
        if options.at != "before-commit":
            self.port = Port.REPLY  # the next thing after the commit, and after an acknowledgement that comes early

    def bites(self, strike: Strike) -> bool:
        """Once."""
        return strike.first()

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Die; also of a reply that failed, for then nobody hears of that either."""
        del strike
        try:
            if not self._before:
                await proceed()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives this")


FAULT = Crash
