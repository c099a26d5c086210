"""Waits until nothing is under way any more: no message in a queue, no execution running, no saga left to be swept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from harness.aws.backlog import queue_depths, running_executions
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.pending import PendingSagas
from harness.topologies.base import Deployed

CALM_LOOKS = 3
"""SQS's counts are approximate: so many empty looks in a row are believed."""
LOOK_EVERY_S = 0.4


async def _no_redrive() -> int:
    return 0


async def drain(
    gateway: Gateway,
    deployed: Deployed,
    limit_s: float,
    pending: PendingSagas | None = None,
    redrive: Callable[[], Awaitable[int]] = _no_redrive,
) -> bool:
    """True once everything has run empty, False if that did not happen within the limit.

    ``pending``: the sagas that the sweeper watches over, if there is one. One that has been dropped lies in no queue, and
    is under way all the same until the sweeper has given it up. ``redrive`` sends dead letters back to their queues,
    and says how many: whenever all else is empty they are, and those that go back are under way.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    calm = 0
    while calm < CALM_LOOKS:
        if loop.time() >= deadline:
            return False
        try:
            calm = calm + 1 if await _empty(gateway, deployed, pending, redrive) else 0
        except TRANSIENT:
            calm = 0
        await asyncio.sleep(LOOK_EVERY_S)
    return True


async def _empty(
    gateway: Gateway, deployed: Deployed, pending: PendingSagas | None, redrive: Callable[[], Awaitable[int]]
) -> bool:
    for url in deployed.queue_urls.values():
        if any((await queue_depths(gateway, url)).values()):
            return False
    for arn in (deployed.state_machine_arn, deployed.resuming_arn):
        if arn and await running_executions(gateway, arn):
            return False
    if await redrive():
        return False
    return pending is None or await pending.count() == 0
