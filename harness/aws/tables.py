"""The participants' tables as a whole: made, filled before the load, read after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any

from harness.aws.dynamo_store import from_dynamo, table_name, to_dynamo
from harness.aws.gateway import Gateway
from harness.core.saga import Saga
from harness.participants.dispatcher import LEDGER, RECORDS

_BATCH_WRITE = 25
_UNPROCESSED_TRIES = 8


def table_names(saga: Saga, namespace: str) -> list[str]:
    """Every table of every participant."""
    return [
        table_name(namespace, participant, table)
        for participant in saga.participants
        for table in (*saga.tables[participant], RECORDS, LEDGER)
    ]


async def create_table(gateway: Gateway, name: str) -> None:
    """One string key, ``id``; paid by request."""
    await gateway.call(
        "dynamodb",
        "CreateTable",
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


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
