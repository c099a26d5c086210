"""What a world leaves behind: the same history as a real run, and its audit."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.audit.auditor import Audit, audit_block
from harness.audit.evidence import Evidence
from harness.history.history import FILE_NAME, History
from harness.history.records import AccountRow, Block, EndingRow, LedgerRow
from harness.history.spool import Spool
from harness.participants.dispatcher import LEDGER
from harness.sagas.create_order import SAGA
from tests.world.world import ARRIVAL_GAP_S, World


def write_history(world: World, folder: Path, topology: str, block: int = 0) -> Block:
    """Leave what a real run leaves: client and worker rows in a spool, tables as collected."""
    record = Block(
        block=block,
        topology=topology,
        round=0,
        namespace="world",
        duration_s=world.plan.sagas * ARRIVAL_GAP_S,
        state="complete",
        collected=True,
        drained=world.drained,
        scheduled=world.plan.sagas,
        dead_letters=len(world.bus.dead_letters),
    )
    with Spool(folder / "spool" / str(block) / "world.jsonl") as spool:
        for client in world.ingress.rows.values():
            spool.write(client)
        for handling in world.step_rows:
            spool.write(handling)
    with History(folder / FILE_NAME) as history:
        history.put_block(record)
        history.add_collected(block, _ledger(world), _accounts(world), _endings(world))
    return record


def _ledger(world: World) -> list[LedgerRow]:
    return [
        LedgerRow(
            participant=participant,
            saga_id=str(entry["saga_id"]),
            step=str(entry["step"]),
            result=str(entry["result"]),
            at_ns=int(str(entry["at_ns"])),
            movements=msgspec.json.decode(str(entry["movements"]), type=dict[str, int]),
        )
        for participant in SAGA.participants
        for entry in world.store.table(participant, LEDGER).values()
    ]


def _accounts(world: World) -> list[AccountRow]:
    initial = {
        (participant, f"{table}:{item['id']}:{name}"): value
        for participant, table, item in world.initial_items
        for name, value in item.items()
        if isinstance(value, int)
    }
    moved = {(entry.participant, account): 0 for entry in _ledger(world) for account in entry.movements}
    return [
        AccountRow(
            participant=participant,
            account=account,
            initial=value,
            final=world.store.number(participant, account),
        )
        for (participant, account), value in (moved | initial).items()
    ]


def _endings(world: World) -> list[EndingRow]:
    return [
        EndingRow(
            participant=ending.participant,
            table=ending.table,
            saga_id=saga_id,
            value=str(item[ending.attribute]),
        )
        for ending in SAGA.endings
        for saga_id, item in world.store.table(ending.participant, ending.table).items()
    ]


def audit_world(world: World, folder: Path, topology: str) -> Audit:
    """Write the world's history and audit it like a real one, by the healthy saga definition."""
    block = write_history(world, folder, topology)
    with History(folder / FILE_NAME) as history:
        history.import_spool(block.block, folder / "spool" / str(block.block))
        return audit_block(Evidence.of(history, block, SAGA))
