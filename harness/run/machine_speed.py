"""How fast the machine is just now: the processor time that a fixed piece of work takes.

On a shared host the same instructions take half as long again in one minute as in the next, because of neighbours that no
program in it can see, and every saga takes longer with them. Blocks that are held against each other did not have the same
machine then, and how unlike it was is what this tells.
"""

from __future__ import annotations

import json
import time

_DOCUMENT = {
    "saga_id": "s-0123456789abcdef",
    "step": "reserve",
    "attempt": "0.1",
    "lines": [{"sku": f"sku-{number}", "quantity": number, "price_cents": 1999 + number} for number in range(20)],
}
_TIMES = 300


def work_s() -> float:
    """Seconds of this thread's processor time for the work: about what participants do with messages, some ms of it.

    Waiting for a processor does not count, so that a run that leaves none idle is not taken for a slow machine.
    """
    began_s = time.thread_time()
    for _ in range(_TIMES):
        json.loads(json.dumps(_DOCUMENT))
    return time.thread_time() - began_s
