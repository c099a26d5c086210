"""A clock that jumps to the next thing that is due, so that no test waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time, from 0 s on, passes only while there is nothing to do but wait for it."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__()

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def _run_once(self) -> None:
        due = [handle.when() for handle in self._scheduled if not handle.cancelled()]
        if due and not self._ready:
            self._now_s = max(self._now_s, min(due))
        super()._run_once()


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """What ``main`` returns, without a moment's waiting."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
