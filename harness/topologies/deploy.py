"""Makes the AWS resources of one saga, in one topology, in a namespace of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from harness.aws.backlog import DEAD
from harness.aws.gateway import Gateway
from harness.aws.tables import create_table, table_names
from harness.core.saga import Saga
from harness.topologies.base import Blueprint, Deployed, Topology, event_source
from harness.topologies.policy import RetryPolicy

ROLE = "arn:aws:iam::000000000000:role/sagastorm"


async def deploy(gateway: Gateway, saga: Saga, topology: Topology, namespace: str, policy: RetryPolicy) -> Deployed:
    """Create everything the saga needs in this topology; returns where it is."""
    blueprint = topology.blueprint(saga)
    await asyncio.gather(*(create_table(gateway, name) for name in table_names(saga, namespace)))
    queues = await asyncio.gather(*(_create_queue(gateway, f"{namespace}-{name}", policy) for name in blueprint.queues))
    urls = {name: url for name, (url, _) in zip(blueprint.queues, queues, strict=True)}
    arns = {name: arn for name, (_, arn) in zip(blueprint.queues, queues, strict=True)}
    bus = f"{namespace}-bus"
    await gateway.call("events", "CreateEventBus", Name=bus)
    await _create_rules(gateway, saga, blueprint, bus, arns)
    deployed = Deployed(queue_urls=urls, bus=bus)
    definition = topology.state_machine(saga, deployed, policy)
    if definition is None:
        return deployed
    machine = await gateway.call(
        "stepfunctions",
        "CreateStateMachine",
        name=f"{namespace}-{saga.name}",
        definition=json.dumps(definition),
        roleArn=ROLE,
        type="STANDARD",
    )
    return Deployed(queue_urls=urls, bus=bus, state_machine_arn=machine["stateMachineArn"])


async def undeploy(gateway: Gateway, saga: Saga, topology: Topology, namespace: str, deployed: Deployed) -> None:
    """Delete what :func:`deploy` made; what is gone already is no error."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("dynamodb", "DeleteTable", {"TableName": name}) for name in table_names(saga, namespace)
    ]
    for url in deployed.queue_urls.values():
        calls += [("sqs", "DeleteQueue", {"QueueUrl": url}), ("sqs", "DeleteQueue", {"QueueUrl": url + DEAD})]
    for rule in topology.blueprint(saga).rules:
        on_bus = {"EventBusName": deployed.bus}
        calls += [
            ("events", "RemoveTargets", {"Rule": rule.subscriber, "Ids": [rule.subscriber], **on_bus}),
            ("events", "DeleteRule", {"Name": rule.subscriber, **on_bus}),
        ]
    calls.append(("events", "DeleteEventBus", {"Name": deployed.bus}))
    if deployed.state_machine_arn:
        calls.append(("stepfunctions", "DeleteStateMachine", {"stateMachineArn": deployed.state_machine_arn}))
    for service, operation, parameters in calls:
        with suppress(ClientError):
            await gateway.call(service, operation, **parameters)


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
