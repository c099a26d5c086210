"""Histories written by hand: one block, a few sagas of ``create-order``, every row in plain sight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.audit.auditor import Audit, audit_block
from harness.audit.evidence import Evidence
from harness.core.saga import Saga
from harness.core.verdict import Verdict
from harness.history.records import AccountRow, Block, EndingRow, LedgerRow, SagaRow, StepRow
from harness.sagas.create_order import SAGA

INITIAL = 10_000
"""Of every account."""
PRICE, UNITS = 700, 2
FORWARD = {"create": 10, "charge": 20, "reserve": 30, "approve": 40, "confirm": 50}
"""When the steps of a completed saga are sent, in milliseconds."""
MOVEMENTS = {
    "create": {"customers:ann:orders": 1},
    "reject": {"customers:ann:orders": -1},
    "charge": {"balances:ann:cents": -PRICE},
    "refund": {"balances:ann:cents": PRICE},
    "reserve": {"stock:sku-1:on_hand": -UNITS},
    "release": {"stock:sku-1:on_hand": UNITS},
}


def complete_block(**changes: Any) -> Block:
    """A block that ran, drained and was read to the end, but for the changes."""
    block = Block(
        block=3,
        topology="orchestrated",
        round=0,
        namespace="hand",
        duration_s=1.0,
        state="complete",
        collected=True,
        drained=True,
    )
    return msgspec.structs.replace(block, **changes)


@dataclass
class Book:
    """The rows of one block. What is written into the ledger moves the accounts too."""

    saga: Saga = SAGA
    block: Block = field(default_factory=complete_block)
    clients: list[SagaRow] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    tables: dict[tuple[str, str, str], str] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    """Account to what was changed without the ledger."""

    def client(self, saga_id: str | None, outcome: str | None, status: str = "accepted") -> None:
        """What a client knows."""
        arrival = len(self.clients)
        self.clients.append(
            SagaRow(arrival=arrival, scheduled_s=0.1 * arrival, status=status, saga_id=saga_id, outcome=outcome)
        )

    def entry(
        self, saga_id: str, step: str, result: str = "done", *, at_ms: float, moved: dict[str, int] | None = None
    ) -> None:
        """A ledger entry; ``moved`` where its movements are others than the step's own."""
        self.ledger.append(
            LedgerRow(
                participant=self.saga.works()[step].participant,
                saga_id=saga_id,
                step=step,
                result=result,
                at_ns=round(at_ms * 1e6),
                movements=(MOVEMENTS.get(step, {}) if result == "done" else {}) if moved is None else moved,
            )
        )

    def handling(
        self,
        saga_id: str,
        step: str,
        result: str = "done",
        *,
        began_ms: float,
        took_ms: float = 1.0,
        replayed: bool = False,
        arrival: int | None = None,
    ) -> None:
        """A worker's record; ``arrival`` is by default its client's, where there is none it is of no schedule."""
        if arrival is None:
            arrival = next((row.arrival for row in self.clients if row.saga_id == saga_id), -1)
        self.steps.append(
            StepRow(
                t_s=(began_ms + took_ms) / 1000,
                worker="worker-1",
                participant=self.saga.works()[step].participant,
                saga_id=saga_id,
                arrival=arrival,
                step=step,
                result=result,
                replayed=replayed,
                attempt="0.1",
                took_ms=took_ms,
            )
        )

    def did(
        self,
        saga_id: str,
        step: str,
        result: str = "done",
        *,
        at_ms: float,
        moved: dict[str, int] | None = None,
        arrival: int | None = None,
    ) -> None:
        """A ledger entry, and the record of the worker that wrote it."""
        self.entry(saga_id, step, result, at_ms=at_ms, moved=moved)
        self.handling(saga_id, step, result, began_ms=at_ms, arrival=arrival)

    def says(self, saga_id: str, *, order: str | None = None, journal: str | None = None) -> None:
        """What the order and payment services' own tables say; ``None``: no item."""
        for participant, table, value in (("order", "orders", order), ("payment", "journal", journal)):
            self.tables.pop((participant, table, saga_id), None)
            if value is not None:
                self.tables[participant, table, saga_id] = value

    def strike(self, saga_id: str, step: str) -> None:
        """Take what is known of a step out of the ledger and the records."""
        self.ledger = [row for row in self.ledger if (row.saga_id, row.step) != (saga_id, step)]
        self.steps = [row for row in self.steps if (row.saga_id, row.step) != (saga_id, step)]

    def only_steps(self) -> None:
        """Leave what there is when the tables were never read."""
        self.block = msgspec.structs.replace(self.block, collected=False)
        self.ledger.clear()
        self.tables.clear()

    def evidence(self) -> Evidence:
        """What the checkers are given."""
        final = {
            (self.saga.works()[step].participant, account): INITIAL
            for step, moved in MOVEMENTS.items()
            for account in moved
        }
        for row in self.ledger:
            for account, amount in row.movements.items():
                final[row.participant, account] = final.get((row.participant, account), INITIAL) + amount
        return Evidence.assemble(
            self.saga,
            self.block,
            clients=self.clients,
            ledger=self.ledger,
            accounts=[
                AccountRow(
                    participant=participant,
                    account=account,
                    initial=INITIAL,
                    final=value + self.outside.get(account, 0),
                )
                for (participant, account), value in final.items()
                if self.block.collected
            ],
            endings=[
                EndingRow(participant=participant, table=table, saga_id=saga_id, value=value)
                for (participant, table, saga_id), value in self.tables.items()
            ],
            steps=self.steps,
        )

    def audit(self) -> Audit:
        """Run every checker."""
        return audit_block(self.evidence())


def names(audit: Audit) -> set[str]:
    """The anomalies' names. Their checks, and only theirs, must be invalid."""
    found = {anomaly.name for anomaly in audit.anomalies}
    assert {name for name, verdict in audit.checks.items() if verdict is Verdict.INVALID} == found
    return found


def witness(audit: Audit, name: str) -> str:
    """The witness of the anomaly of that name."""
    return next(anomaly.witness for anomaly in audit.anomalies if anomaly.name == name)


def completed(book: Book, saga_id: str = "s-1", after_ms: float = 0.0) -> Book:
    """Write a clean completed saga."""
    book.client(saga_id, "completed")
    for step, at_ms in FORWARD.items():
        book.did(saga_id, step, at_ms=at_ms + after_ms)
    book.says(saga_id, order="APPROVED", journal="CHARGED")
    return book


def no_money(book: Book, saga_id: str = "s-1") -> Book:
    """Write a clean saga whose charge was refused."""
    book.client(saga_id, "compensated")
    book.did(saga_id, "create", at_ms=10)
    book.did(saga_id, "charge", "refused", at_ms=20)
    book.did(saga_id, "reject", at_ms=30)
    book.did(saga_id, "cancel", at_ms=40)
    book.says(saga_id, order="REJECTED")
    return book


def no_stock(book: Book, saga_id: str = "s-1") -> Book:
    """Write a clean saga whose reservation was refused."""
    book.client(saga_id, "compensated")
    book.did(saga_id, "create", at_ms=10)
    book.did(saga_id, "charge", at_ms=20)
    book.did(saga_id, "reserve", "refused", at_ms=30)
    book.did(saga_id, "refund", at_ms=40)
    book.did(saga_id, "reject", at_ms=50)
    book.did(saga_id, "cancel", at_ms=60)
    book.says(saga_id, order="REJECTED", journal="REFUNDED")
    return book


def pivot_released(book: Book, saga_id: str = "s-1") -> Book:
    """Write a clean saga whose reservation was made, was never known to be made, and was given back."""
    no_stock(book, saga_id)
    book.strike(saga_id, "reserve")
    book.did(saga_id, "reserve", at_ms=30)
    book.did(saga_id, "release", at_ms=35)
    return book


def pivot_never_ran(book: Book, saga_id: str = "s-1") -> Book:
    """Write a clean saga whose reservation was given up, released, and refused by its tombstone when it came."""
    no_stock(book, saga_id)
    book.strike(saga_id, "reserve")
    book.did(saga_id, "release", "nothing-to-undo", at_ms=35)
    book.handling(saga_id, "reserve", "tombstoned", began_ms=70, replayed=True)
    return book


def charge_never_ran(book: Book, saga_id: str = "s-1") -> Book:
    """Write a clean saga whose charge was given up before it came."""
    book.client(saga_id, "compensated")
    book.did(saga_id, "create", at_ms=10)
    book.did(saga_id, "refund", "nothing-to-undo", at_ms=25)
    book.did(saga_id, "reject", at_ms=30)
    book.did(saga_id, "cancel", at_ms=40)
    book.says(saga_id, order="REJECTED")
    return book


def nothing_ever_ran(book: Book, saga_id: str = "s-1") -> Book:
    """Write a clean saga whose first step was given up before it came."""
    book.client(saga_id, "compensated")
    book.did(saga_id, "reject", "nothing-to-undo", at_ms=25)
    book.did(saga_id, "cancel", at_ms=40)
    return book


CLEAN = (completed, no_money, no_stock, pivot_released, pivot_never_ran, charge_never_ran, nothing_ever_ran)
