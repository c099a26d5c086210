"""How fast the machine is just now: the processor time that a fixed piece of work takes.

On a shared host the same instructions take half as long again in one second as in the next, because of neighbours that no
program in it can see, and every saga takes longer with them. Blocks that are held against each other did not have the same
machine then, and how unlike it was is what this tells.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
import time
from statistics import fmean

INTERVAL_S = 0.1
"""From one piece of work to the next. Slow moments last for fractions of a second, so it takes many short looks; together they
are about 2 % of one processor."""
_DOCUMENT = {
    "saga_id": "s-0123456789abcdef",
    "step": "reserve",
    "attempt": "0.1",
    "lines": [{"sku": f"sku-{number}", "quantity": number, "price_cents": 1999 + number} for number in range(20)],
}
_TIMES = 80
WORK = hashlib.sha256(f"{_TIMES} {platform.python_version()} {json.dumps(_DOCUMENT)}".encode()).hexdigest()[:8]
"""Which work it is: what took one revision so long says nothing of another one's."""


class MachineSpeed:
    """Looks again and again while it runs."""

    def __init__(self) -> None:
        self._took_s: list[float] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._took_s.append(work_s())
            await asyncio.sleep(INTERVAL_S)

    def take_s(self) -> float:
        """What the work took on average since this was last asked."""
        took_s, self._took_s = self._took_s, []
        return fmean(took_s) if took_s else work_s()


def work_s() -> float:
    """Seconds of this thread's processor time for the work: about what participants do with messages, 2 ms of it.

    Waiting for a processor does not count, so that a run that leaves none idle is not taken for a slow machine.
    """
    began_s = time.thread_time()
    for _ in range(_TIMES):
        json.loads(json.dumps(_DOCUMENT))
    return time.thread_time() - began_s
