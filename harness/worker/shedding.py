"""Load shedding: a worker takes no more messages than it can handle while they are its own.

A message that is in hand for longer than its visibility timeout is delivered again, to somebody else or to the same
worker, and is then handled twice: the more there is to do, the more is done in vain. So few are in hand at a time that
none should come to wait so long, and one that has all the same is not begun any more.
"""

from __future__ import annotations

import asyncio

from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery
from harness.worker.ports import Work

CONCURRENCY = 32
"""Messages in hand, of each participant in each process."""
UNSHED = 1_000
"""The same without shedding: more than ever wait in a run that has not failed already."""


class Outlived(Indefinite):
    """The step was not begun, as its message is no longer this worker's. Its next delivery is, or was, another try."""


def while_ours(work: Work, metrics: Metrics) -> Work:
    """``work``, unless it is too late to begin it. To be put inside of faults: what slows a participant down makes its
    messages wait in hand, and it is right before the work that it counts how long they did."""

    async def timely_work(delivery: Delivery) -> Reply:
        late_s = asyncio.get_running_loop().time() - delivery.expires_s
        if late_s >= 0:
            metrics.shed(delivery.participant)
            raise Outlived(f"{delivery.step}: its message became somebody else's {late_s:.1f} s ago")
        return await work(delivery)

    return timely_work
