"""What runs leave on a backend that is not theirs, found and removed by name.

Every name that a block gives begins with its namespace (``harness/run/turn.py``), the ones of the instrument's probe
too. Going by names, and not by what a deployment returned, also finds what was made half.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from harness.aws.gateway import TRANSIENT, Gateway

NAMESPACE = re.compile(r"(?P<namespace>ss-(?P<run_id>\d{8}-\d{6}-[0-9a-f]{4})-\d+)-")
"""How every name of a run's resource begins."""
PASSES = 3
"""Over everything: a call that was given up may take effect after the first listing, and a failure may pass."""
PAGES = 1_000
"""Of one listing, at most: a backend that never comes to an end is not followed for ever."""
CONCURRENCY = 8
TARGETS_A_CALL = 100
GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
        "ExecutionDoesNotExist",
    }
)
"""Error codes that say that there is nothing to remove any more."""


@dataclass(frozen=True)
class Resource:
    """One thing on the backend. ``handle`` is what calls name it by: an ARN, a URL or the name itself."""

    name: str
    handle: str


@dataclass(frozen=True)
class ResourceKind:
    """One kind of resource: what one is called, all of them whose names may begin so, and how one goes."""

    label: str
    plural: str
    listed: Callable[[Gateway, str], Awaitable[list[Resource]]]
    remove: Callable[[Gateway, str], Awaitable[None]]


async def find(gateway: Gateway) -> dict[str, dict[str, int]]:
    """Every namespace on the backend, with how many resources of each kind (by its label) are left of it.

    Raises what a call raises (:data:`~harness.aws.gateway.TRANSIENT`).
    """
    found: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        for resource in await kind.listed(gateway, "ss-"):
            if named := NAMESPACE.match(resource.name):
                counts = found.setdefault(named["namespace"], {})
                counts[kind.label] = counts.get(kind.label, 0) + 1
    return dict(sorted(found.items()))


async def remove(gateway: Gateway, namespaces: Collection[str]) -> list[str]:
    """Remove all that these namespaces hold; a sentence for each thing that could not be, the rest is gone.

    State machines go first, their running executions stopped, so that nothing sends any more. What is gone already is
    no error.
    """
    prefixes = tuple(f"{namespace}-" for namespace in namespaces)
    problems: list[str] = []
    for _ in range(PASSES):
        listings = await asyncio.gather(*(_left(gateway, kind, prefixes) for kind in KINDS))
        problems = [listed for listed in listings if isinstance(listed, str)]
        for kind, listed in zip(KINDS, listings, strict=True):
            if not isinstance(listed, str):
                problems += await _remove_all(gateway, kind, listed)
        if not any(listings) or all(isinstance(listed, str) for listed in listings):
            # Nothing is left, or nobody answers.
            break
    return problems


async def _left(gateway: Gateway, kind: ResourceKind, prefixes: tuple[str, ...]) -> list[Resource] | str:
    """What there is of a kind, or why it could not be listed."""
    try:
        listed = await kind.listed(gateway, "ss-")
    except TRANSIENT as error:
        return f"the {kind.plural} could not be listed: {error}"
    return [resource for resource in listed if resource.name.startswith(prefixes)]


async def _remove_all(gateway: Gateway, kind: ResourceKind, resources: Collection[Resource]) -> list[str]:
    places = asyncio.Semaphore(CONCURRENCY)

    async def one(resource: Resource) -> str | None:
        async with places:
            try:
                await kind.remove(gateway, resource.handle)
            except TRANSIENT as error:
                return f"the {kind.label} {resource.name} could not be removed: {error}"
        return None

    told = await asyncio.gather(*(one(resource) for resource in resources))
    return [problem for problem in told if problem]


async def _call(gateway: Gateway, service: str, operation: str, **parameters: Any) -> Any:
    """An empty answer where what the call is about is gone."""
    try:
        return await gateway.call(service, operation, **parameters)
    except ClientError as error:
        if error.response["Error"].get("Code") in GONE:
            return {}
        raise


async def _all(
    gateway: Gateway, service: str, operation: str, key: str, token: tuple[str, str], **parameters: Any
) -> AsyncIterator[Any]:
    """What all pages of a listing hold under ``key``; ``token``: what it is called in an answer, and in a question."""
    given, asked = token
    for _ in range(PAGES):
        page = await _call(gateway, service, operation, **parameters)
        for item in page.get(key) or []:
            yield item
        if not page.get(given):
            return
        parameters[asked] = page[given]


async def _machines(gateway: Gateway, prefix: str) -> list[Resource]:
    listed = _all(gateway, "stepfunctions", "ListStateMachines", "stateMachines", ("nextToken", "nextToken"))
    return [Resource(each["name"], each["stateMachineArn"]) async for each in listed if each["name"].startswith(prefix)]


async def _remove_machine(gateway: Gateway, arn: str) -> None:
    token = ("nextToken", "nextToken")
    listed = _all(
        gateway, "stepfunctions", "ListExecutions", "executions", token, stateMachineArn=arn, statusFilter="RUNNING"
    )
    # All of them are listed before any is stopped: pages shift under what leaves the list.
    for execution in [each["executionArn"] async for each in listed]:
        await _call(gateway, "stepfunctions", "StopExecution", executionArn=execution)
    await _call(gateway, "stepfunctions", "DeleteStateMachine", stateMachineArn=arn)


async def _buses(gateway: Gateway, prefix: str) -> list[Resource]:
    token = ("NextToken", "NextToken")
    listed = _all(gateway, "events", "ListEventBuses", "EventBuses", token, NamePrefix=prefix)
    return [Resource(each["Name"], each["Name"]) async for each in listed]


async def _remove_bus(gateway: Gateway, bus: str) -> None:
    token = ("NextToken", "NextToken")
    rules = [each["Name"] async for each in _all(gateway, "events", "ListRules", "Rules", token, EventBusName=bus)]
    for rule in rules:
        on_rule = {"Rule": rule, "EventBusName": bus}
        targets = _all(gateway, "events", "ListTargetsByRule", "Targets", token, **on_rule)
        ids = [each["Id"] async for each in targets]
        for start in range(0, len(ids), TARGETS_A_CALL):
            await _call(gateway, "events", "RemoveTargets", Ids=ids[start : start + TARGETS_A_CALL], **on_rule)
        await _call(gateway, "events", "DeleteRule", Name=rule, EventBusName=bus)
    await _call(gateway, "events", "DeleteEventBus", Name=bus)


async def queues(gateway: Gateway, prefix: str) -> list[Resource]:
    """The queues whose names begin so, each with its URL."""
    token = ("NextToken", "NextToken")
    listed = _all(gateway, "sqs", "ListQueues", "QueueUrls", token, QueueNamePrefix=prefix, MaxResults=1_000)
    return [Resource(url.rpartition("/")[2], url) async for url in listed]


async def _remove_queue(gateway: Gateway, url: str) -> None:
    await _call(gateway, "sqs", "DeleteQueue", QueueUrl=url)


async def _tables(gateway: Gateway, prefix: str) -> list[Resource]:
    token = ("LastEvaluatedTableName", "ExclusiveStartTableName")
    listed = _all(gateway, "dynamodb", "ListTables", "TableNames", token)
    return [Resource(name, name) async for name in listed if name.startswith(prefix)]


async def _remove_table(gateway: Gateway, name: str) -> None:
    await _call(gateway, "dynamodb", "DeleteTable", TableName=name)


KINDS = (
    ResourceKind("state machine", "state machines", _machines, _remove_machine),
    ResourceKind("event bus", "event buses", _buses, _remove_bus),
    ResourceKind("queue", "queues", queues, _remove_queue),
    ResourceKind("table", "tables", _tables, _remove_table),
)
