"""Reads the participants' tables after the drain, for the auditor to judge without them."""

from __future__ import annotations

import json

from harness.aws.gateway import Gateway
from harness.aws.tables import scan
from harness.core.saga import Saga, Workload
from harness.history.history import History
from harness.history.records import AccountRow, EndingRow, LedgerRow
from harness.participants.dispatcher import LEDGER


async def collect(
    gateway: Gateway, history: History, block: int, saga: Saga, workload: Workload, namespace: str
) -> None:
    """Copy ledgers, accounts and endings into the history."""
    ledger = await _ledger(gateway, saga, namespace)
    accounts = await _accounts(gateway, saga, workload, namespace, ledger)
    endings = await _endings(gateway, saga, namespace)
    history.add_collected(block, ledger, accounts, endings)


async def _ledger(gateway: Gateway, saga: Saga, namespace: str) -> list[LedgerRow]:
    return [
        LedgerRow(
            participant=participant,
            saga_id=str(item["saga_id"]),
            step=str(item["step"]),
            result=str(item["result"]),
            at_ns=int(str(item["at_ns"])),
            movements=json.loads(str(item["movements"])),
        )
        for participant in saga.participants
        async for item in scan(gateway, namespace, participant, LEDGER)
    ]


async def _accounts(
    gateway: Gateway, saga: Saga, workload: Workload, namespace: str, ledger: list[LedgerRow]
) -> list[AccountRow]:
    """Every number that something was added to or that was there from the start, even one that was never touched."""
    initial = {
        (participant, f"{table}:{item['id']}:{attribute}"): value
        for participant, table, item in workload.initial_items()
        for attribute, value in item.items()
        if isinstance(value, int)
    }
    known = initial.keys() | {(row.participant, account) for row in ledger for account in row.movements}
    final: dict[tuple[str, str], int] = {}
    for participant, table in sorted({(participant, account.split(":", 1)[0]) for participant, account in known}):
        async for item in scan(gateway, namespace, participant, table):
            for attribute, value in item.items():
                if isinstance(value, int):
                    final[participant, f"{table}:{item['id']}:{attribute}"] = value
    return [
        AccountRow(participant=key[0], account=key[1], initial=initial.get(key, 0), final=final.get(key, 0))
        for key in sorted(known)
    ]


async def _endings(gateway: Gateway, saga: Saga, namespace: str) -> list[EndingRow]:
    return [
        EndingRow(
            participant=ending.participant,
            table=ending.table,
            saga_id=str(item["id"]),
            value=str(item[ending.attribute]),
        )
        for ending in saga.endings
        async for item in scan(gateway, namespace, ending.participant, ending.table)
    ]
