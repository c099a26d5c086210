"""The participants' store port on DynamoDB: one local transaction is one ``TransactWriteItems``.

A new item alone is a ``PutItem``, which is all or nothing without a transaction, and costs half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from harness.aws.gateway import Gateway
from harness.core.errors import Indefinite
from harness.core.local_transaction import Add, Change, Insert, Item, Require, Write
from harness.participants.ports import ConditionFailed

TRANSIENT = frozenset(
    {"TransactionInProgressException", "ProvisionedThroughputExceededException", "ThrottlingException",
     "RequestLimitExceeded", "InternalServerError", "ServiceUnavailable", "TransactionConflictException"}
)  # fmt: skip
"""Errors after which the same transaction may be tried again (DynamoDB developer guide, "Error handling")."""


def table_name(namespace: str, participant: str, table: str) -> str:
    """The full name of a participant's table."""
    return f"{namespace}-{participant}-{table}"


class DynamoStore:
    """Tables of all participants in one namespace."""

    def __init__(self, gateway: Gateway, namespace: str) -> None:
        self._gateway = gateway
        self._namespace = namespace

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        """See :class:`harness.participants.ports.Store`."""
        prefix = table_name(self._namespace, participant, "")
        items = [_transact_item(prefix, write) for write in writes]
        operation, parameters = "TransactWriteItems", {"TransactItems": items}
        if len(items) == 1 and "Put" in items[0]:
            operation, parameters = "PutItem", items[0]["Put"]
        try:
            await self._gateway.call("dynamodb", operation, **parameters)
        except ClientError as error:
            code = error.response["Error"].get("Code")
            if code == "TransactionCanceledException":
                raise _cancelled(error.response) from error
            if code == "ConditionalCheckFailedException":
                raise ConditionFailed({0: _old(error.response)}) from error
            if code in TRANSIENT:
                raise Indefinite(f"dynamodb:{operation}: {code}") from error
            raise


def _cancelled(response: Mapping[str, Any]) -> Exception:
    reasons = response.get("CancellationReasons", [])
    failed = {i: reason for i, reason in enumerate(reasons) if reason.get("Code") not in (None, "None")}
    other = sorted({reason["Code"] for reason in failed.values()} - {"ConditionalCheckFailed"})
    if other or not failed:
        return Indefinite(f"dynamodb:TransactWriteItems cancelled: {', '.join(other) or 'no reason given'}")
    return ConditionFailed({i: _old(reason) for i, reason in failed.items()})


def _old(reason: Mapping[str, Any]) -> dict[str, object] | None:
    """The item that stood in the way, where there was one."""
    return from_dynamo(reason["Item"]) if reason.get("Item") else None


def _transact_item(prefix: str, write: Write) -> dict[str, Any]:
    common: dict[str, Any] = {
        "TableName": prefix + write.table,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    match write:
        case Insert():
            item = to_dynamo({"id": write.id, **write.item})
            if write.unconditional:
                return {"Put": {"TableName": prefix + write.table, "Item": item}}
            return {"Put": common | {"Item": item, "ConditionExpression": "attribute_not_exists(id)"}}
        case Add():
            return {"Update": common | _add(write)}
        case Change():
            conditions, names, values = _expectations(write.expect)
            assignments = []
            for i, (attribute, value) in enumerate(write.set.items()):
                names[f"#s{i}"], values[f":s{i}"] = attribute, _value(value)
                assignments.append(f"#s{i} = :s{i}")
            update = common | {
                "Key": {"id": {"S": write.id}},
                "UpdateExpression": f"SET {', '.join(assignments)}",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
            return {"Update": update | {"ConditionExpression": conditions} if conditions else update}
        case Require():
            conditions, names, values = _expectations(write.expect)
            return {
                "ConditionCheck": common
                | {
                    "Key": {"id": {"S": write.id}},
                    "ConditionExpression": conditions,
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": values,
                }
            }


def _add(write: Add) -> dict[str, Any]:
    update: dict[str, Any] = {
        "Key": {"id": {"S": write.id}},
        "UpdateExpression": "ADD #a :amount",
        "ExpressionAttributeNames": {"#a": write.attribute},
        "ExpressionAttributeValues": {":amount": {"N": str(write.amount)}},
    }
    if write.at_least is not None:
        update["ConditionExpression"] = "#a >= :floor"
        update["ExpressionAttributeValues"][":floor"] = {"N": str(write.at_least)}
    return update


def _expectations(expect: Item) -> tuple[str, dict[str, str], dict[str, Any]]:
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    for i, (attribute, value) in enumerate(expect.items()):
        names[f"#e{i}"], values[f":e{i}"] = attribute, _value(value)
    return " AND ".join(f"#e{i} = :e{i}" for i in range(len(expect))), names, values


def to_dynamo(item: Item) -> dict[str, Any]:
    """An item in DynamoDB's own JSON. Values are strings and whole numbers: all that sagas store."""
    return {attribute: _value(value) for attribute, value in item.items()}


def from_dynamo(item: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    """The inverse of :func:`to_dynamo`."""
    return {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}


def _value(value: object) -> dict[str, str]:
    return {"N": str(value)} if isinstance(value, int) else {"S": str(value)}
