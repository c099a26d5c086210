"""A local transaction as one TransactWriteItems, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.aws.dynamo_store import TRANSIENT, DynamoStore, from_dynamo, to_dynamo
from harness.core.errors import Indefinite
from harness.core.local_transaction import Add, Change, Insert, Require, Write
from harness.participants.ports import ConditionFailed
from tests.fake_gateway import FakeGateway, aws_error

ADD = Add("balances", "ann", "cents", 5)
HELD = {"Code": "None"}


async def sent(*writes: Write) -> list[dict[str, Any]]:
    """The items of the call that the writes became."""
    gateway = FakeGateway(TransactWriteItems={})
    await DynamoStore(gateway, "ns").transact("payment", writes)
    [call] = gateway.asked("TransactWriteItems")
    return list(call["TransactItems"])


def cancelled(*reasons: dict[str, Any]) -> ClientError:
    return aws_error("TransactionCanceledException", CancellationReasons=list(reasons))


async def failing(error: Exception) -> None:
    await DynamoStore(FakeGateway(TransactWriteItems=error), "ns").transact("payment", [ADD, ADD, ADD])


async def test_insert_puts_an_item_that_must_not_be_there() -> None:
    [item, _] = await sent(Insert("journal", "saga-7", {"status": "CHARGED", "cents": 700}), ADD)
    assert item["Put"]["TableName"] == "ns-payment-journal"
    assert item["Put"]["Item"] == {"id": {"S": "saga-7"}, "status": {"S": "CHARGED"}, "cents": {"N": "700"}}
    assert item["Put"]["ConditionExpression"] == "attribute_not_exists(id)"


async def test_unconditional_insert_puts_an_item_whatever_is_there() -> None:
    [item, _] = await sent(Insert("journal", "saga-7", {"status": "CHARGED"}, unconditional=True), ADD)
    assert item["Put"] == {
        "TableName": "ns-payment-journal",
        "Item": {"id": {"S": "saga-7"}, "status": {"S": "CHARGED"}},
    }


async def test_insert_alone_needs_no_transaction() -> None:
    gateway = FakeGateway(PutItem={})
    await DynamoStore(gateway, "ns").transact("payment", [Insert("records", "saga-7#charge", {"result": "done"})])
    [put] = gateway.asked("PutItem")
    assert put["Item"] == {"id": {"S": "saga-7#charge"}, "result": {"S": "done"}}
    assert put["ConditionExpression"] == "attribute_not_exists(id)"
    assert put["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


@pytest.mark.parametrize("old", [{"id": "saga-7#charge", "result": "done"}, None])
async def test_insert_alone_that_finds_its_place_taken_tells_by_what(old: dict[str, object] | None) -> None:
    more = {"Item": to_dynamo(old)} if old else {}
    gateway = FakeGateway(PutItem=aws_error("ConditionalCheckFailedException", **more))
    with pytest.raises(ConditionFailed) as failed:
        await DynamoStore(gateway, "ns").transact("payment", [Insert("records", "saga-7#charge", {})])
    assert failed.value.existing == {0: old}


async def test_insert_alone_that_meets_trouble_may_be_tried_again() -> None:
    gateway = FakeGateway(PutItem=aws_error("ThrottlingException"))
    with pytest.raises(Indefinite, match="PutItem: ThrottlingException"):
        await DynamoStore(gateway, "ns").transact("payment", [Insert("records", "saga-7#charge", {})])


async def test_add_adds_and_a_floor_is_a_condition_on_the_old_value() -> None:
    [free, floored] = await sent(ADD, Add("balances", "bob", "cents", -7, at_least=7))
    assert free["Update"]["UpdateExpression"] == "ADD #a :amount"
    assert free["Update"]["ExpressionAttributeValues"] == {":amount": {"N": "5"}}
    assert "ConditionExpression" not in free["Update"]
    assert floored["Update"]["Key"] == {"id": {"S": "bob"}}
    assert floored["Update"]["ConditionExpression"] == "#a >= :floor"
    assert floored["Update"]["ExpressionAttributeNames"] == {"#a": "cents"}
    assert floored["Update"]["ExpressionAttributeValues"] == {":amount": {"N": "-7"}, ":floor": {"N": "7"}}


async def test_change_sets_what_it_should_where_all_is_as_expected() -> None:
    [item] = await sent(Change("journal", "saga-7", set={"status": "B", "n": 1}, expect={"status": "A", "m": 2}))
    update = item["Update"]
    assert update["UpdateExpression"] == "SET #s0 = :s0, #s1 = :s1"
    assert update["ConditionExpression"] == "#e0 = :e0 AND #e1 = :e1"
    assert update["ExpressionAttributeNames"] == {"#s0": "status", "#s1": "n", "#e0": "status", "#e1": "m"}
    assert update["ExpressionAttributeValues"] == {
        ":s0": {"S": "B"},
        ":s1": {"N": "1"},
        ":e0": {"S": "A"},
        ":e1": {"N": "2"},
    }


async def test_change_that_expects_nothing_is_made_whatever_is_there() -> None:
    [item] = await sent(Change("journal", "saga-7", set={"status": "B"}, expect={}))
    assert "ConditionExpression" not in item["Update"]
    assert item["Update"]["ExpressionAttributeNames"] == {"#s0": "status"}
    assert item["Update"]["ExpressionAttributeValues"] == {":s0": {"S": "B"}}


async def test_require_is_a_condition_and_writes_nothing() -> None:
    [item] = await sent(Require("records", "saga-7#charge", {"result": "done"}))
    assert list(item) == ["ConditionCheck"]
    assert item["ConditionCheck"]["ConditionExpression"] == "#e0 = :e0"
    assert item["ConditionCheck"]["ExpressionAttributeValues"] == {":e0": {"S": "done"}}


async def test_every_write_asks_for_the_item_that_stood_in_its_way() -> None:
    writes = (Insert("t", "1", {}), ADD, Change("t", "2", {"a": 1}, {"a": 0}), Require("t", "3", {"a": 0}))
    for item in await sent(*writes):
        [operation] = item.values()
        assert operation["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


async def test_failed_conditions_are_told_by_index_with_the_items_that_were_there() -> None:
    old = {"id": {"S": "ann"}, "cents": {"N": "3"}}
    with pytest.raises(ConditionFailed) as failed:
        await failing(
            cancelled({"Code": "ConditionalCheckFailed", "Item": old}, HELD, {"Code": "ConditionalCheckFailed"})
        )
    assert failed.value.existing == {0: {"id": "ann", "cents": 3}, 2: None}


@pytest.mark.parametrize(
    "reasons",
    [
        pytest.param([HELD, {"Code": "TransactionConflict"}], id="a conflict"),
        pytest.param([{"Code": "ThrottlingError"}], id="a throttled item"),
        pytest.param([{"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}], id="both kinds of reason"),
        pytest.param([HELD, HELD], id="no reason that says anything"),
        pytest.param([], id="no reasons"),
    ],
)
async def test_transaction_cancelled_for_any_other_reason_may_be_tried_again(reasons: list[dict[str, Any]]) -> None:
    with pytest.raises(Indefinite, match="cancelled"):
        await failing(cancelled(*reasons))


@pytest.mark.parametrize("code", sorted(TRANSIENT))
async def test_service_in_trouble_leaves_the_outcome_unknown(code: str) -> None:
    with pytest.raises(Indefinite, match=code):
        await failing(aws_error(code))


async def test_error_that_no_retry_would_mend_is_raised_as_it_is() -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        await failing(aws_error("ValidationException"))


async def test_call_without_an_answer_leaves_the_outcome_unknown() -> None:
    with pytest.raises(Indefinite, match="no answer"):
        await failing(Indefinite("no answer"))


def test_item_is_the_same_after_there_and_back() -> None:
    item = {"id": "saga-7", "text": "", "digits": "12", "number": -12, "zero": 0}
    assert from_dynamo(to_dynamo(item)) == item
