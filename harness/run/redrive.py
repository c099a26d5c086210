"""Puts what is in dead-letter queues back into the queues that it came from.

By receiving, sending and deleting, so that a message can be marked as redriven and is so only once: whatever nobody can
handle comes back, and would go round for ever. ``StartMessageMoveTask`` marks nothing; besides it works in the
background, one task a queue, and has to be asked how far it is. A message whose deletion failed is in both queues, as a
message that SQS delivers twice would be.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from harness.aws.backlog import DEAD, REDRIVEN, queue_depths
from harness.aws.clients import open_clients
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.namespaces import NAMESPACE, queues
from harness.backends.base import Backend
from harness.core.errors import EnvironmentFailure, Problem, UsageError
from harness.measure.metrics import Metrics

MAX_REDRIVES = 1
"""Of one message, unless a person asks for more: what still fails after the faults were lifted will fail again."""
HIDDEN_S = 30
"""How long what is received is out of the way of the next receive: far longer than a pass over one queue takes."""


async def redrive(gateway: Gateway, queue_urls: Iterable[str], most: int = MAX_REDRIVES) -> int:
    """Send every dead letter of these queues back that was sent back fewer than ``most`` times; how many there were.

    Raises one of ``TRANSIENT`` where dead letters cannot be had. One that could not be sent stays where it is.
    """
    return sum(await asyncio.gather(*(_redrive_queue(gateway, url, most) for url in queue_urls)))


async def redrive_by_name(backend: Backend, prefix: str, say: Callable[[str], None]) -> None:
    """The same for every queue whose name begins so, on a backend that is still there; as often as it is asked for.

    Raises :class:`EnvironmentFailure` where the queues cannot be listed or read.
    """
    endpoints = await backend.start()
    try:
        async with open_clients(endpoints.urls, endpoints.region, emulator=endpoints.emulator) as clients:
            gateway = Gateway(clients, Metrics(CollectorRegistry(), topology="", saga=""))
            dead = [one for one in await queues(gateway, prefix) if one.name.endswith(DEAD)]
            if not dead:
                say(f"No dead-letter queue here has a name that begins with {prefix}")
            for queue in dead:
                back = await redrive(gateway, [queue.handle.removesuffix(DEAD)], most=sys.maxsize)
                say(f"  {queue.name}: {back} went back")
    except TRANSIENT as error:
        raise EnvironmentFailure(f"the dead letters could not be had: {error}") from error
    finally:
        await backend.stop()


def prefixes_of(names: Iterable[str]) -> dict[str, str]:
    """:func:`prefix_of` each of them. Raises :class:`UsageError` for all that are neither."""
    prefixes: dict[str, str] = {}
    problems: list[Problem] = []
    for name in names:
        try:
            prefixes[name] = prefix_of(name)
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    return prefixes


def prefix_of(name: str) -> str:
    """How the queues begin of a block, named by its namespace, or of a run, named by its id or its folder.

    Raises :class:`UsageError` for what is neither.
    """
    of_run = f"ss-{Path(name).name}-"
    for prefix, example in ((f"{name}-", f"{name}-"), (of_run, f"{of_run}0-")):
        if NAMESPACE.fullmatch(example):
            return prefix
    raise UsageError([Problem("NAMESPACE|RUN", name, "a namespace such as ss-20260101-120000-ab12-0, or a run's id")])


async def _redrive_queue(gateway: Gateway, url: str, most: int) -> int:
    # What comes back while this goes on is for the next time.
    left = (await queue_depths(gateway, url + DEAD))["visible"]
    back = 0
    while left > 0:
        response = await gateway.call(
            "sqs",
            "ReceiveMessage",
            QueueUrl=url + DEAD,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,  # a short poll may find nothing where there is something
            VisibilityTimeout=HIDDEN_S,
            MessageAttributeNames=["All"],
        )
        messages = response.get("Messages") or []
        if not messages:
            break
        left -= len(messages)
        going = [message for message in messages if _redrives(message) < most]
        back += sum(await asyncio.gather(*(_send_back(gateway, url, message) for message in going)))
    return back


def _redrives(message: dict[str, Any]) -> int:
    mark = (message.get("MessageAttributes") or {}).get(REDRIVEN)
    return int(mark["StringValue"]) if mark else 0


async def _send_back(gateway: Gateway, url: str, message: dict[str, Any]) -> bool:
    mark = {REDRIVEN: {"DataType": "Number", "StringValue": str(_redrives(message) + 1)}}
    attributes = (message.get("MessageAttributes") or {}) | mark
    try:
        # One by one: ten that are too large to read would be too large for one call.
        await gateway.call(
            "sqs", "SendMessage", QueueUrl=url, MessageBody=message["Body"], MessageAttributes=attributes
        )
        await gateway.call("sqs", "DeleteMessage", QueueUrl=url + DEAD, ReceiptHandle=message["ReceiptHandle"])
    except TRANSIENT:
        return False
    return True
