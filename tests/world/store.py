"""The participants' tables in memory, with the semantics of DynamoDB's ``TransactWriteItems``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from harness.core.local_transaction import Add, Change, Insert, Item, Require, Write
from harness.participants.ports import ConditionFailed

MOST_WRITES = 100
Table = dict[str, dict[str, object]]


class MemoryStore:
    """All or nothing; every condition is checked against what was there before the transaction.

    Raises ``ValueError`` where DynamoDB answers with a ValidationException: more than 100 writes, or one item twice.
    """

    def __init__(self, items: Iterable[tuple[str, str, Item]] = ()) -> None:
        self._tables: dict[tuple[str, str], Table] = defaultdict(dict)
        self.commits = 0
        for participant, table, item in items:
            self._tables[participant, table][str(item["id"])] = dict(item)

    def table(self, participant: str, table: str) -> Mapping[str, Mapping[str, object]]:
        """The items of a table by id."""
        return self._tables[participant, table]

    def number(self, participant: str, account: str) -> int:
        """The value of ``table:id:attribute``, 0 where there is none."""
        table, item_id, attribute = account.split(":")
        value = self._tables[participant, table].get(item_id, {}).get(attribute, 0)
        assert isinstance(value, int)
        return value

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        """See :class:`harness.participants.ports.Store`."""
        self._validate(writes)
        failed: dict[int, Mapping[str, object] | None] = {}
        for index, write in enumerate(writes):
            item = self._tables[participant, write.table].get(write.id)
            if not _holds(write, item):
                failed[index] = None if item is None else dict(item)
        if failed:
            raise ConditionFailed(failed)
        for write in writes:
            self._apply(participant, write)
        self.commits += 1

    def _validate(self, writes: Sequence[Write]) -> None:
        if not 0 < len(writes) <= MOST_WRITES:
            raise ValueError(f"a transaction has 1 to {MOST_WRITES} writes, not {len(writes)}")
        keys = [(write.table, write.id) for write in writes]
        if len(keys) != len(set(keys)):
            raise ValueError(f"a transaction cannot touch one item twice: {keys}")

    def _apply(self, participant: str, write: Write) -> None:
        table = self._tables[participant, write.table]
        match write:
            case Insert():
                table[write.id] = {"id": write.id, **write.item}
            case Add():
                item = table.setdefault(write.id, {"id": write.id})
                before = item.get(write.attribute, 0)
                assert isinstance(before, int)
                item[write.attribute] = before + write.amount
            case Change():
                table.setdefault(write.id, {"id": write.id}).update(write.set)
            case Require():
                pass


def _holds(write: Write, item: Mapping[str, object] | None) -> bool:
    match write:
        case Insert():
            return item is None or write.unconditional
        case Add():
            before = None if item is None else item.get(write.attribute)
            return write.at_least is None or (isinstance(before, int) and before >= write.at_least)
        case Change() if not write.expect:
            return True
        case Change() | Require():
            return item is not None and all(item.get(name) == value for name, value in write.expect.items())
