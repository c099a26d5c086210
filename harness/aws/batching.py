"""Gathers single entries into batched calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from harness.core.errors import Indefinite
from harness.core.subject import SUBJECTS, Subject

Entry = TypeVar("Entry")

BATCH = 10
"""What PutEvents and DeleteMessageBatch take at most."""

_Waiting = tuple[Entry, asyncio.Future[None], tuple[Subject, ...]]
Flush = Callable[[list[Entry]], Awaitable[list[BaseException | None]]]


class Batcher(Generic[Entry]):
    """Sends entries in batches of up to :data:`BATCH`, each at most ``linger_s`` after its first entry came.

    ``flush`` gets a batch and returns, for each entry in order, ``None`` or why it failed; what it raises fails the
    whole batch. No more than a batch ever waits.
    """

    def __init__(self, flush: Flush[Entry], linger_s: float) -> None:
        self._flush = flush
        self._linger_s = linger_s
        self._waiting: list[_Waiting[Entry]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    def add(self, entry: Entry) -> asyncio.Future[None]:
        """Send ``entry`` with the next batch; the future tells what became of it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((entry, done, SUBJECTS.get()))
        if len(self._waiting) >= BATCH:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._linger_s, self._send)
        return done

    @property
    def batches_under_way(self) -> int:
        """Sent and not yet answered."""
        return len(self._running)

    async def one_answered(self) -> None:
        """Wait until at least one of the batches under way has been answered."""
        if self._running:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Send what waits and return when all of it has been answered."""
        self._send()
        while self._running:
            await asyncio.gather(*self._running)

    def _send(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if batch:
            task = asyncio.get_running_loop().create_task(self._deliver(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _deliver(self, batch: list[_Waiting[Entry]]) -> None:
        SUBJECTS.set(tuple(subject for _, _, subjects in batch for subject in subjects))
        results: list[BaseException | None]
        try:
            results = await self._flush([entry for entry, _, _ in batch])
            if len(results) != len(batch):
                raise Indefinite(f"{len(results)} answers to {len(batch)} entries")
        except Exception as error:  # noqa: BLE001 - whatever fails a batch, its waiters must hear of it
            results = [error] * len(batch)
        for (_, done, _), failure in zip(batch, results, strict=True):
            if done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)
