"""DynamoDB: conditions, transactions, and reading what was written."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.contract import pages
from tests.contract.cloud import Cloud, Json
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")


def put(table: str, id_: str, **more: Any) -> Json:
    """A put that refuses to replace."""
    item = {"id": {"S": id_}, "n": {"N": "1"}}
    condition = {"ConditionExpression": "attribute_not_exists(id)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return {"TableName": table, "Item": item} | condition | more


def add(table: str, id_: str, amount: int) -> Json:
    return {
        "TableName": table,
        "Key": {"id": {"S": id_}},
        "UpdateExpression": "ADD n :amount",
        "ExpressionAttributeValues": {":amount": {"N": str(amount)}},
    }


async def transact(cloud: Cloud, *items: Json, **more: Any) -> Json | None:
    """The error that it is answered with, if it is."""
    return await cloud.error("dynamodb", "TransactWriteItems", TransactItems=list(items), **more)


@behaviour(pages.DYNAMODB_PUT)
async def test_write_whose_condition_fails_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    table = await cloud.table()
    await cloud.call("dynamodb", "PutItem", **put(table, "a"))
    other = {"Item": {"id": {"S": "a"}, "n": {"N": "2"}}}
    assert await cloud.refusal("dynamodb", "PutItem", **put(table, "a") | other) == "ConditionalCheckFailedException"
    assert await cloud.item(table, "a") == {"id": {"S": "a"}, "n": {"N": "1"}}


@behaviour(pages.DYNAMODB_PUT)
async def test_failed_condition_returns_the_item_that_failed_it(cloud: Cloud) -> None:
    table = await cloud.table()
    await cloud.call("dynamodb", "PutItem", **put(table, "a"))
    error = await cloud.error("dynamodb", "PutItem", **put(table, "a"))
    assert error is not None
    assert error["Item"] == {"id": {"S": "a"}, "n": {"N": "1"}}


@behaviour(pages.DYNAMODB_UPDATE)
async def test_condition_on_an_item_that_is_not_there_fails_without_an_item(cloud: Cloud) -> None:
    table = await cloud.table()
    guard = {"ConditionExpression": "n >= :amount", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    error = await cloud.error("dynamodb", "UpdateItem", **add(table, "a", -1) | guard)
    assert error is not None
    assert error["Error"]["Code"] == "ConditionalCheckFailedException"
    assert "Item" not in error
    assert await cloud.item(table, "a") is None


@behaviour(pages.DYNAMODB_TRANSACT)
async def test_cancelled_transaction_gives_the_reasons_in_the_order_of_its_items(cloud: Cloud) -> None:
    table = await cloud.table()
    await cloud.call("dynamodb", "PutItem", **put(table, "b"))
    error = await transact(cloud, *({"Put": put(table, id_)} for id_ in "abc"))
    assert error is not None
    assert error["Error"]["Code"] == "TransactionCanceledException"
    codes = [reason.get("Code") for reason in error["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed", "None"]


@behaviour(pages.DYNAMODB_TRANSACT)
async def test_cancelled_transaction_returns_the_item_that_failed_its_condition(cloud: Cloud) -> None:
    table = await cloud.table()
    await cloud.call("dynamodb", "PutItem", **put(table, "b"))
    error = await transact(cloud, {"Put": put(table, "a")}, {"Put": put(table, "b")})
    assert error is not None
    items = [reason.get("Item") for reason in error["CancellationReasons"]]
    assert items == [None, {"id": {"S": "b"}, "n": {"N": "1"}}]


@behaviour(pages.DYNAMODB_TRANSACTIONS)
async def test_transaction_takes_effect_as_a_whole_or_not_at_all(cloud: Cloud) -> None:
    table, other = await cloud.table(), await cloud.table()
    assert await transact(cloud, {"Put": put(table, "a")}, {"Update": add(other, "a", 5)}) is None
    assert await cloud.item(other, "a") == {"id": {"S": "a"}, "n": {"N": "5"}}
    cancelled = await transact(
        cloud, {"Update": add(other, "a", 5)}, {"Put": put(table, "b")}, {"Put": put(table, "a")}
    )
    assert cancelled is not None
    assert await cloud.item(other, "a") == {"id": {"S": "a"}, "n": {"N": "5"}}
    assert await cloud.item(table, "b") is None


@behaviour(pages.DYNAMODB_TRANSACT)
async def test_condition_check_alone_cancels_a_transaction(cloud: Cloud) -> None:
    table = await cloud.table()
    check = {"TableName": table, "Key": {"id": {"S": "z"}}, "ConditionExpression": "attribute_exists(id)"}
    error = await transact(cloud, {"Put": put(table, "a")}, {"ConditionCheck": check})
    assert error is not None
    assert [reason["Code"] for reason in error["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert await cloud.item(table, "a") is None


@behaviour(pages.DYNAMODB_TRANSACTIONS)
async def test_transaction_repeated_with_its_token_has_no_second_effect(cloud: Cloud) -> None:
    table = await cloud.table()
    token = str(uuid.uuid4())
    for _ in range(2):
        assert await transact(cloud, {"Update": add(table, "a", 5)}, ClientRequestToken=token) is None
    assert await cloud.item(table, "a") == {"id": {"S": "a"}, "n": {"N": "5"}}


@behaviour(pages.DYNAMODB_TRANSACTIONS)
async def test_another_transaction_with_a_used_token_is_refused(cloud: Cloud) -> None:
    table = await cloud.table()
    token = str(uuid.uuid4())
    assert await transact(cloud, {"Update": add(table, "a", 5)}, ClientRequestToken=token) is None
    error = await transact(cloud, {"Update": add(table, "a", 6)}, ClientRequestToken=token)
    assert error is not None
    assert error["Error"]["Code"] == "IdempotentParameterMismatchException"
    assert await cloud.item(table, "a") == {"id": {"S": "a"}, "n": {"N": "5"}}


@behaviour(pages.DYNAMODB_TRANSACT)
async def test_transaction_with_an_item_twice_is_refused(cloud: Cloud) -> None:
    table = await cloud.table()
    error = await transact(cloud, {"Put": put(table, "a")}, {"Update": add(table, "a", 1)})
    assert error is not None
    assert error["Error"]["Code"] == "ValidationException"
    assert await cloud.item(table, "a") is None


@behaviour(pages.DYNAMODB_TRANSACT)
async def test_transaction_holds_100_items_and_not_101(cloud: Cloud) -> None:
    table = await cloud.table()
    puts = [{"Put": put(table, str(n))} for n in range(101)]
    error = await transact(cloud, *puts)
    assert error is not None
    assert error["Error"]["Code"] == "ValidationException"
    assert await transact(cloud, *puts[:100]) is None


@behaviour(pages.DYNAMODB_UPDATE)
async def test_concurrent_adds_lose_nothing(cloud: Cloud) -> None:
    table = await cloud.table()
    await asyncio.gather(*(cloud.call("dynamodb", "UpdateItem", **add(table, "a", n)) for n in range(1, 41)))
    assert await cloud.item(table, "a") == {"id": {"S": "a"}, "n": {"N": "820"}}


@behaviour(pages.DYNAMODB_TRANSACTIONS)
async def test_concurrent_transactions_count_once_each_or_are_cancelled(cloud: Cloud) -> None:
    table = await cloud.table()
    errors = await asyncio.gather(
        *(transact(cloud, {"Put": put(table, str(n))}, {"Update": add(table, "sum", 1)}) for n in range(40))
    )
    refused = {error["Error"]["Code"] for error in errors if error}
    assert refused <= {"TransactionCanceledException"}
    total = await cloud.item(table, "sum")
    assert total is not None
    assert int(total["n"]["N"]) == errors.count(None)


@behaviour(pages.DYNAMODB_PUT)
async def test_of_concurrent_inserts_of_one_item_one_succeeds(cloud: Cloud) -> None:
    table = await cloud.table()
    refusals = await asyncio.gather(*(cloud.refusal("dynamodb", "PutItem", **put(table, "a")) for _ in range(20)))
    assert sorted(refusals, key=str) == ["ConditionalCheckFailedException"] * 19 + [None]


@behaviour(pages.DYNAMODB_CONSISTENCY)
async def test_consistent_read_sees_every_write_before_it(cloud: Cloud) -> None:
    table = await cloud.table()
    for n in range(1, 11):
        await cloud.call("dynamodb", "UpdateItem", **add(table, "a", 1))
        assert await cloud.item(table, "a") == {"id": {"S": "a"}, "n": {"N": str(n)}}


@behaviour(pages.DYNAMODB_SCAN)
async def test_scan_gives_every_item_once_page_by_page(cloud: Cloud) -> None:
    table = await cloud.table()
    await transact(cloud, *({"Put": put(table, str(n))} for n in range(25)))
    seen: list[str] = []
    position: Json = {}
    for _ in range(5):
        page = await cloud.call("dynamodb", "Scan", TableName=table, Limit=10, ConsistentRead=True, **position)
        assert len(page["Items"]) <= 10
        seen += [item["id"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        position = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(seen, key=int) == [str(n) for n in range(25)]


@behaviour(pages.DYNAMODB_BATCH)
async def test_batch_writes_25_items_and_not_26(cloud: Cloud) -> None:
    table = await cloud.table()
    puts = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(26)]
    refusal = await cloud.refusal("dynamodb", "BatchWriteItem", RequestItems={table: puts})
    assert refusal == "ValidationException"
    answer = await cloud.call("dynamodb", "BatchWriteItem", RequestItems={table: puts[:25]})
    assert answer["UnprocessedItems"] == {}


@behaviour(pages.DYNAMODB_BATCH)
async def test_batch_with_an_item_twice_is_refused(cloud: Cloud) -> None:
    table = await cloud.table()
    puts = [{"PutRequest": {"Item": {"id": {"S": "same"}}}}] * 2
    assert await cloud.refusal("dynamodb", "BatchWriteItem", RequestItems={table: puts}) == "ValidationException"
