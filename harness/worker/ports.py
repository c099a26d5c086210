"""The three places in a worker where something can be put around the work: what chaos wraps, by composition only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery


@dataclass(frozen=True)
class Received:
    """A delivery, and the means to have the queue deliver it again: ``resend(delay_s)`` puts a copy on the queue."""

    delivery: Delivery
    resend: Callable[[int], Awaitable[None]]


Work = Callable[[Delivery], Awaitable[Reply]]
"""A participant taking a step."""

Process = Callable[[Received], Awaitable[None]]
"""Everything between receiving a message and acknowledging it: the work, its record, the reply."""
