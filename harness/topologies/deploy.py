"""Makes the AWS resources of one saga, in one topology, in a namespace of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.aws.backlog import DEAD
from harness.aws.gateway import Gateway
from harness.aws.pending import pending_table
from harness.aws.tables import create_table, table_names
from harness.core.saga import Saga
from harness.topologies.base import Blueprint, CallbackRetry, Deployed, Topology, event_source
from harness.topologies.policy import DrawnWaits, RetryPolicy
from harness.topologies.reentry import reentered
from harness.topologies.resume import resumable

ROLE = "arn:aws:iam::000000000000:role/sagastorm"


async def deploy(
    gateway: Gateway,
    saga: Saga,
    topology: Topology,
    namespace: str,
    policy: RetryPolicy,
    *,
    callback_retry: CallbackRetry,
    seed: int,
    sweeper: bool = False,
) -> Deployed:
    """Create everything the saga needs in this topology; returns where it is.

    ``callback_retry`` is the form that is right on this backend, ``seed`` decides the waits that are drawn for it.
    ``sweeper``: with what one needs besides.
    """
    blueprint = topology.blueprint(saga)
    tables = [*table_names(saga, namespace), *([pending_table(namespace)] if sweeper else [])]
    await asyncio.gather(*(create_table(gateway, name) for name in tables))
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
    if callback_retry is CallbackRetry.REENTER:
        definition = reentered(definition)
        deployed = msgspec.structs.replace(deployed, waits=DrawnWaits(policy, seed))
    name = f"{namespace}-{saga.name}"
    return msgspec.structs.replace(
        deployed,
        state_machine_arn=await _create_machine(gateway, name, definition),
        resuming_arn=await _create_machine(gateway, f"{name}-resumed", resumable(definition)) if sweeper else None,
    )


async def _create_machine(gateway: Gateway, name: str, definition: dict[str, Any]) -> str:
    """A state machine: its ARN."""
    made = await gateway.call(
        "stepfunctions",
        "CreateStateMachine",
        name=name,
        definition=json.dumps(definition),
        roleArn=ROLE,
        type="STANDARD",
    )
    return str(made["stateMachineArn"])


async def _create_queue(gateway: Gateway, name: str, policy: RetryPolicy) -> tuple[str, str]:
    """A queue with a dead-letter queue: its URL and ARN. Where no message is ever given up, that one stays empty."""
    _, dead_arn = await _queue(gateway, name + DEAD, {})
    attributes = {"VisibilityTimeout": str(policy.visibility_timeout_s)}
    if policy.max_receives:
        redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": policy.max_receives}
        attributes["RedrivePolicy"] = json.dumps(redrive)
    return await _queue(gateway, name, attributes)


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
