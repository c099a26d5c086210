"""The AWS calls of the instrument's readings: straight on the clients, with no storm, no metrics and no saga."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from harness.aws.dynamo_store import to_dynamo

SOURCE = "sagastorm.probe"
"""The ``source`` of the readings' own events."""
TEXT = "x" * 700
"""Makes a message about as long as a saga's events."""


async def create_queue(clients: dict[str, Any], name: str) -> tuple[str, str]:
    """A queue's URL and ARN."""
    url = (await clients["sqs"].create_queue(QueueName=name))["QueueUrl"]
    described = await clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, described["Attributes"]["QueueArn"]


async def create_rule(clients: dict[str, Any], bus: str, name: str, event: str, queue_arn: str) -> None:
    """Route an event of :data:`SOURCE` to a queue; the rule's one target is called like it."""
    pattern = json.dumps({"source": [SOURCE], "detail-type": [event]})
    await clients["events"].put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    await clients["events"].put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": queue_arn}])


async def create_table(clients: dict[str, Any], name: str) -> None:
    """One string key, ``id``, as all tables of sagas have it."""
    await clients["dynamodb"].create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


async def commit(clients: dict[str, Any], table: str, writes: int) -> None:
    """A local transaction of so many conditional writes."""
    transaction = uuid4().hex
    await clients["dynamodb"].transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": table,
                    "Item": to_dynamo({"id": f"{transaction}-{which}", "status": "PENDING", "reply": "x" * 80}),
                    "ConditionExpression": "attribute_not_exists(id)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
            for which in range(writes)
        ]
    )


async def put(clients: dict[str, Any], bus: str, event: str, detail: dict[str, Any]) -> None:
    """One event."""
    entry = {"EventBusName": bus, "Source": SOURCE, "DetailType": event, "Detail": json.dumps(detail)}
    await clients["events"].put_events(Entries=[entry])


async def delete(clients: dict[str, Any], queue_url: str, messages: list[dict[str, Any]]) -> None:
    """Acknowledge what was received, at most ten messages."""
    entries = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)]
    await clients["sqs"].delete_message_batch(QueueUrl=queue_url, Entries=entries)
