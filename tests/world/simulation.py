"""Virtual time: coroutines that sleep are resumed in the order of their waking, and no second really passes."""

from __future__ import annotations

import heapq
from collections.abc import Coroutine, Generator
from itertools import count
from types import coroutine
from typing import Any

Activity = Coroutine[Any, Any, None]


@coroutine
def sleep(seconds: float) -> Generator[float, None, None]:
    """Let virtual time pass. To be awaited in coroutines that a :class:`Simulation` runs."""
    yield seconds


class Simulation:
    """Runs coroutines that wait for nothing but :func:`sleep`. The same coroutines always interleave the same way."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._order = count()
        self._waiting: list[tuple[float, int, Activity]] = []

    def now_ns(self) -> int:
        """Virtual nanoseconds since the start."""
        return round(self.now_s * 1e9)

    def spawn(self, activity: Activity, after_s: float = 0.0) -> None:
        """Start a coroutine after some time."""
        heapq.heappush(self._waiting, (self.now_s + after_s, next(self._order), activity))

    def run(self, limit_s: float) -> bool:
        """Run until nothing is left to do (true), or until the limit passes (false); then it can be run on."""
        while self._waiting and self._waiting[0][0] <= limit_s:
            self.now_s, _, activity = heapq.heappop(self._waiting)
            try:
                pause_s = activity.send(None)
            except StopIteration:
                continue
            self.spawn(activity, pause_s)
        return not self._waiting

    def close(self) -> None:
        """Give up what is still to do."""
        for _, _, activity in self._waiting:
            activity.close()
        self._waiting.clear()
