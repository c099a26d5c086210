"""What an injector is given: an act that would have happened, and a queue to put messages on."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.worker.ports import Received
from tests.samples import delivery


class Act:
    """What would have happened: it takes ``takes_s``, is counted, and ends with the next of ``ends``."""

    def __init__(self, *ends: Exception | str, takes_s: float = 0.0) -> None:
        self.begun_s: list[float] = []
        self.ended = 0
        self._ends = list(ends)
        self._takes_s = takes_s

    async def __call__(self) -> Any:
        self.begun_s.append(asyncio.get_running_loop().time())
        end = self._ends.pop(0) if self._ends else "done"
        await asyncio.sleep(self._takes_s)
        self.ended += 1
        if isinstance(end, Exception):
            raise end
        return end


class Queue:
    """Remembers what was put on it: (body, seconds until it is delivered)."""

    def __init__(self) -> None:
        self.put: list[tuple[str, int]] = []

    def received(self, body: str = "body") -> Received:
        """A message that came from it."""
        return Received(delivery("charge"), body, self._put)

    async def _put(self, body: str, delay_s: int) -> None:
        self.put.append((body, delay_s))
