"""The sagas that were accepted and have not been heard to end, in a table: what outlives the ingress that took them.

Written by the ingress before it starts a saga and removed once it hears of the end; read by the sweeper. One row a saga,
so what is there to scan is what is under way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from harness.aws.dynamo_store import from_dynamo, table_name, to_dynamo
from harness.aws.gateway import Gateway
from harness.core.envelope import Envelope
from harness.core.errors import Indefinite

_UNEXPIRED = "attribute_not_exists(expired_ns)"


def pending_table(namespace: str) -> str:
    """The table's name; it belongs to the ingress."""
    return table_name(namespace, "ingress", "pending")


@dataclass(frozen=True)
class PendingSaga:
    """``accepted_ns`` and ``asked_ns`` (when it was last asked for, by the ingress or a repair) are on the monotonic
    clock, which all processes of one machine share; ``repairs`` is how often the sweeper has asked for it again."""

    envelope: Envelope
    accepted_ns: int
    asked_ns: int
    repairs: int


class PendingSagas:
    """The table of one namespace."""

    def __init__(self, gateway: Gateway, namespace: str) -> None:
        self._gateway = gateway
        self._table = pending_table(namespace)

    async def register(self, envelope: Envelope, now_ns: int) -> None:
        """Remember it from now on. Registering one that is registered changes nothing: its repairs go on counting."""
        item = {
            "id": envelope.saga_id,
            "envelope": msgspec.json.encode(envelope).decode(),
            "accepted_ns": now_ns,
            "asked_ns": now_ns,
            "repairs": 0,
        }
        await self._where("attribute_not_exists(id)", "PutItem", Item=to_dynamo(item))

    async def forget(self, saga_ids: Sequence[str]) -> list[BaseException | None]:
        """At most 25 that have ended; for each, ``None`` or why it is still there. Forgetting what is not there is none."""
        ids = dict.fromkeys(saga_ids)  # DynamoDB refuses a batch that names an item twice
        deletes = [{"DeleteRequest": {"Key": to_dynamo({"id": saga_id})}} for saga_id in ids]
        response = await self._gateway.call("dynamodb", "BatchWriteItem", RequestItems={self._table: deletes})
        left = (response.get("UnprocessedItems") or {}).get(self._table, [])
        kept = {str(from_dynamo(request["DeleteRequest"]["Key"])["id"]) for request in left}
        return [Indefinite("DynamoDB left it unprocessed") if saga_id in kept else None for saga_id in saga_ids]

    async def asked_before(self, at_ns: int) -> list[PendingSaga]:
        """Those that nobody has asked for since, and that are not given up."""
        return [
            PendingSaga(
                envelope=msgspec.json.decode(str(row["envelope"]), type=Envelope),
                accepted_ns=int(str(row["accepted_ns"])),
                asked_ns=int(str(row["asked_ns"])),
                repairs=int(str(row["repairs"])),
            )
            async for page in self._scan(
                FilterExpression=f"asked_ns <= :at AND {_UNEXPIRED}",
                ExpressionAttributeValues=to_dynamo({":at": at_ns}),
            )
            for row in map(from_dynamo, page["Items"])
        ]

    async def count(self) -> int:
        """How many are not given up."""
        return sum([page["Count"] async for page in self._scan(FilterExpression=_UNEXPIRED, Select="COUNT")])

    async def asked_again(self, saga_id: str, repairs: int, now_ns: int) -> None:
        """It has been repaired so often. Of one that has ended meanwhile nothing is written."""
        await self._update(saga_id, {"repairs": repairs, "asked_ns": now_ns})

    async def expire(self, saga_id: str, now_ns: int) -> None:
        """Give it up: the row stays, for a person."""
        await self._update(saga_id, {"expired_ns": now_ns})

    async def _update(self, saga_id: str, values: dict[str, int]) -> None:
        await self._where(
            "attribute_exists(id)",
            "UpdateItem",
            Key=to_dynamo({"id": saga_id}),
            UpdateExpression=f"SET {', '.join(f'{name} = :{name}' for name in values)}",
            ExpressionAttributeValues=to_dynamo({f":{name}": value for name, value in values.items()}),
        )

    async def _where(self, condition: str, operation: str, **parameters: Any) -> None:
        try:
            await self._gateway.call(
                "dynamodb", operation, TableName=self._table, ConditionExpression=condition, **parameters
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    async def _scan(self, **parameters: Any) -> AsyncIterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            page = await self._gateway.call(
                "dynamodb", "Scan", TableName=self._table, ConsistentRead=True, **parameters, **more
            )
            yield page
            if not page.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
