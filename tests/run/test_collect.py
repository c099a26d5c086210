"""What is read from the participants' tables after the drain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.aws.dynamo_store import to_dynamo
from harness.core.saga import Ending
from harness.history.history import History
from harness.history.records import AccountRow, EndingRow, LedgerRow
from harness.run.collect import collect
from tests.fake_gateway import FakeGateway, Parameters
from tests.samples import pivot, retriable, saga, undoable

SAGA = saga(
    undoable("book"),
    pivot("pay", participant="bank"),
    retriable("tell"),
    tables={"shop": ("orders",), "bank": ("accounts",)},
    endings=(Ending("shop", "orders", "status", "BOOKED", "UNDONE"),),
)
PAY = {
    "id": "s-1#pay#x", "saga_id": "s-1", "step": "pay", "result": "done", "at_ns": 20,
    "movements": json.dumps({"accounts:ann:cents": -7, "accounts:new:cents": 7}),
}  # fmt: skip
BOOK = {"id": "s-1#book#y", "saga_id": "s-1", "step": "book", "result": "done", "at_ns": 10, "movements": "{}"}


class Workload:
    """Two accounts are there from the start, and one text that is none."""

    def initial_items(self) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        yield "bank", "accounts", {"id": "ann", "cents": 100, "name": "Ann"}
        yield "bank", "accounts", {"id": "idle", "cents": 5}


class Tables:
    """Scans of the tables of namespace ``ns``, at most ``page`` items at a time."""

    def __init__(self, tables: dict[str, list[dict[str, object]]], page: int = 100) -> None:
        self._tables = tables
        self._page = page
        self.gateway = FakeGateway(Scan=self._scan)

    def _scan(self, parameters: Parameters) -> dict[str, Any]:
        assert parameters["ConsistentRead"]
        items = self._tables.get(parameters["TableName"].removeprefix("ns-"), [])
        start = int(parameters.get("ExclusiveStartKey", {"id": {"S": "0"}})["id"]["S"])
        page: dict[str, Any] = {"Items": [to_dynamo(item) for item in items[start : start + self._page]]}
        if start + self._page < len(items):
            page["LastEvaluatedKey"] = {"id": {"S": str(start + self._page)}}
        return page


TABLES: dict[str, list[dict[str, object]]] = {
    "bank-ledger": [PAY],
    "shop-ledger": [BOOK],
    "bank-accounts": [
        {"id": "ann", "cents": 93, "name": "Ann"}, {"id": "new", "cents": 7}, {"id": "idle", "cents": 5},
    ],
    "shop-orders": [{"id": "s-1", "status": "BOOKED", "total": 7}],
}  # fmt: skip


async def collected(folder: Path, tables: Tables) -> History:
    history = History(folder / "history.sqlite")
    await collect(tables.gateway, history, 2, SAGA, Workload(), "ns")
    return history


async def test_every_ledger_is_copied_with_its_movements(tmp_path: Path) -> None:
    with await collected(tmp_path, Tables(TABLES)) as history:
        assert history.ledger(2) == [
            LedgerRow(participant="shop", saga_id="s-1", step="book", result="done", at_ns=10, movements={}),
            LedgerRow(
                participant="bank",
                saga_id="s-1",
                step="pay",
                result="done",
                at_ns=20,
                movements={"accounts:ann:cents": -7, "accounts:new:cents": 7},
            ),
        ]
        assert history.ledger(1) == []


async def test_every_number_that_was_there_or_was_moved_is_an_account(tmp_path: Path) -> None:
    with await collected(tmp_path, Tables(TABLES)) as history:
        assert history.accounts(2) == [
            AccountRow(participant="bank", account="accounts:ann:cents", initial=100, final=93),
            AccountRow(participant="bank", account="accounts:idle:cents", initial=5, final=5),
            AccountRow(participant="bank", account="accounts:new:cents", initial=0, final=7),
        ]


async def test_account_that_has_vanished_ends_at_nothing(tmp_path: Path) -> None:
    without_idle = TABLES | {"bank-accounts": TABLES["bank-accounts"][:2]}
    with await collected(tmp_path, Tables(without_idle)) as history:
        finals = {row.account: row.final for row in history.accounts(2)}
    assert finals["accounts:idle:cents"] == 0


async def test_endings_are_what_the_participants_own_tables_say(tmp_path: Path) -> None:
    with await collected(tmp_path, Tables(TABLES)) as history:
        assert history.endings(2) == [EndingRow(participant="shop", table="orders", saga_id="s-1", value="BOOKED")]


async def test_tables_of_many_pages_are_read_to_the_end(tmp_path: Path) -> None:
    with await collected(tmp_path, Tables(TABLES)) as whole:
        at_once = (whole.ledger(2), whole.accounts(2), whole.endings(2))
    folder = tmp_path / "paged"
    folder.mkdir()
    with await collected(folder, Tables(TABLES, page=1)) as paged:
        assert (paged.ledger(2), paged.accounts(2), paged.endings(2)) == at_once
