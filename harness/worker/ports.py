"""The places in a worker where something can be put around the work: what chaos wraps, by composition only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery

Put = Callable[[str, int], Awaitable[None]]
"""Puts a body on the queue that a message came from, to be delivered after so many whole seconds."""


async def _in_no_queue() -> None:
    """Of a message that was never in a queue nothing has to be deleted."""


@dataclass(frozen=True)
class Received:
    """A delivery, the body that it was read from, and the means to put more on the same queue.

    What is put there is marked as the work of a fault. ``acknowledge`` deletes the message at once, and returns when it
    is gone; without it, that is done some time after the processing has returned.
    """

    delivery: Delivery
    body: str
    put: Put
    acknowledge: Callable[[], Awaitable[None]] = _in_no_queue

    async def resend(self, delay_s: int) -> None:
        """Have the queue deliver the message once more."""
        await self.put(self.body, delay_s)


Work = Callable[[Delivery], Awaitable[Reply]]
"""A participant taking a step."""

Answer = Callable[[Delivery, Reply], Awaitable[None]]
"""Telling whoever must know how a step ended."""

Process = Callable[[Received], Awaitable[None]]
"""Everything between receiving a message and acknowledging it: the work, its record, the reply."""
