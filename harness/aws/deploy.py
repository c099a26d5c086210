"""Makes a saga's AWS resources in a namespace, fills its tables, and reads them again after the run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any

from harness.aws.dynamo_store import from_dynamo, table_name, to_dynamo
from harness.aws.gateway import Gateway
from harness.core.saga import Saga
from harness.participants.dispatcher import LEDGER, RECORDS
from harness.topologies.base import Blueprint, Deployed, Topology, event_source
from harness.topologies.policy import RetryPolicy

DEAD = "-dead"
"""Ending of a dead-letter queue's name."""
_ROLE = "arn:aws:iam::000000000000:role/sagastorm"
_BATCH_WRITE = 25
_UNPROCESSED_TRIES = 8


async def deploy(gateway: Gateway, saga: Saga, topology: Topology, namespace: str, policy: RetryPolicy) -> Deployed:
    """Create everything the saga needs in this topology; returns where it is."""
    blueprint = topology.blueprint(saga)
    await asyncio.gather(*(_create_table(gateway, name) for name in table_names(saga, namespace)))
    queues = await asyncio.gather(*(_create_queue(gateway, f"{namespace}-{name}", policy) for name in blueprint.queues))
    urls = {name: url for name, (url, _) in zip(blueprint.queues, queues, strict=True)}
    arns = {name: arn for name, (_, arn) in zip(blueprint.queues, queues, strict=True)}
    bus = f"{namespace}-bus"
    await gateway.call("events", "CreateEventBus", Name=bus)
    await _create_rules(gateway, saga, blueprint, bus, arns)
    deployed = Deployed(queue_urls=urls, bus=bus)
    if not blueprint.has_state_machine:
        return deployed
    machine = await gateway.call(
        "stepfunctions",
        "CreateStateMachine",
        name=f"{namespace}-{saga.name}",
        definition=json.dumps(topology.state_machine(saga, deployed, policy)),
        roleArn=_ROLE,
        type="STANDARD",
    )
    return Deployed(queue_urls=urls, bus=bus, state_machine_arn=machine["stateMachineArn"])


def table_names(saga: Saga, namespace: str) -> list[str]:
    """Every table of every participant."""
    return [
        table_name(namespace, participant, table)
        for participant in saga.participants
        for table in (*saga.tables[participant], RECORDS, LEDGER)
    ]


async def seed(gateway: Gateway, namespace: str, items: Iterable[tuple[str, str, Mapping[str, object]]]) -> None:
    """Write the items that are there before the first arrival: (participant, table, item)."""
    puts = ((table_name(namespace, participant, table), item) for participant, table, item in items)
    while batch := list(islice(puts, _BATCH_WRITE)):
        request: dict[str, list[dict[str, Any]]] = {}
        for table, item in batch:
            request.setdefault(table, []).append({"PutRequest": {"Item": to_dynamo(item)}})
        for _ in range(_UNPROCESSED_TRIES):
            response = await gateway.call("dynamodb", "BatchWriteItem", RequestItems=request)
            request = response.get("UnprocessedItems") or {}
            if not request:
                break
        else:
            raise RuntimeError(f"DynamoDB left items unprocessed {_UNPROCESSED_TRIES} times: {list(request)}")


async def scan(gateway: Gateway, namespace: str, participant: str, table: str) -> AsyncIterator[dict[str, object]]:
    """All items of a participant's table."""
    more: dict[str, Any] = {}
    while True:
        page = await gateway.call(
            "dynamodb", "Scan", TableName=table_name(namespace, participant, table), ConsistentRead=True, **more
        )
        for item in page["Items"]:
            yield from_dynamo(item)
        if not page.get("LastEvaluatedKey"):
            return
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


async def _create_table(gateway: Gateway, name: str) -> None:
    await gateway.call(
        "dynamodb",
        "CreateTable",
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


async def _create_queue(gateway: Gateway, name: str, policy: RetryPolicy) -> tuple[str, str]:
    """A queue with a dead-letter queue: its URL and ARN."""
    _, dead_arn = await _queue(gateway, name + DEAD, {})
    return await _queue(
        gateway,
        name,
        {
            "VisibilityTimeout": str(policy.visibility_timeout_s),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": policy.max_receives}),
        },
    )


async def _queue(gateway: Gateway, name: str, attributes: dict[str, str]) -> tuple[str, str]:
    url = (await gateway.call("sqs", "CreateQueue", QueueName=name, Attributes=attributes))["QueueUrl"]
    described = await gateway.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return url, described["Attributes"]["QueueArn"]


async def _create_rules(
    gateway: Gateway, saga: Saga, blueprint: Blueprint, bus: str, queue_arns: Mapping[str, str]
) -> None:
    for rule in blueprint.rules:
        pattern = {"source": [event_source(saga)], "detail-type": list(rule.event_types)}
        await gateway.call(
            "events", "PutRule", Name=rule.subscriber, EventBusName=bus, EventPattern=json.dumps(pattern)
        )
        await gateway.call(
            "events",
            "PutTargets",
            Rule=rule.subscriber,
            EventBusName=bus,
            Targets=[{"Id": rule.subscriber, "Arn": queue_arns[rule.subscriber]}],
        )


async def queue_depths(gateway: Gateway, queue_url: str) -> dict[str, int]:
    """Messages that are ``visible``, ``in_flight`` and ``delayed``; by SQS's own word approximate."""
    names = {
        "visible": "ApproximateNumberOfMessages",
        "in_flight": "ApproximateNumberOfMessagesNotVisible",
        "delayed": "ApproximateNumberOfMessagesDelayed",
    }
    response = await gateway.call("sqs", "GetQueueAttributes", QueueUrl=queue_url, AttributeNames=list(names.values()))
    return {state: int(response["Attributes"].get(attribute, 0)) for state, attribute in names.items()}


async def running_executions(gateway: Gateway, state_machine_arn: str) -> int:
    """How many executions are still running, counting at most one page of 1,000."""
    page = await gateway.call(
        "stepfunctions",
        "ListExecutions",
        stateMachineArn=state_machine_arn,
        statusFilter="RUNNING",
        maxResults=1000,
    )
    return len(page["executions"])
