"""Waits until nothing is under way any more: no message in a queue, no execution running."""

from __future__ import annotations

import asyncio

from harness.aws.backlog import queue_depths, running_executions
from harness.aws.gateway import TRANSIENT, Gateway
from harness.topologies.base import Deployed

CALM_LOOKS = 3
"""SQS's counts are approximate: so many empty looks in a row are believed."""
LOOK_EVERY_S = 0.4


async def drain(gateway: Gateway, deployed: Deployed, limit_s: float) -> bool:
    """True once everything has run empty, False if that did not happen within the limit."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    calm = 0
    while calm < CALM_LOOKS:
        if loop.time() >= deadline:
            return False
        try:
            calm = calm + 1 if await _empty(gateway, deployed) else 0
        except TRANSIENT:
            calm = 0
        await asyncio.sleep(LOOK_EVERY_S)
    return True


async def _empty(gateway: Gateway, deployed: Deployed) -> bool:
    for url in deployed.queue_urls.values():
        if any((await queue_depths(gateway, url)).values()):
            return False
    arn = deployed.state_machine_arn
    return arn is None or await running_executions(gateway, arn) == 0
