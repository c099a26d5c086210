"""What a world leaves behind: the same history as a real run, and its audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.audit.auditor import Audit, audit_block
from harness.audit.checks import load_checks
from harness.audit.evidence import Evidence
from harness.history.history import FILE_NAME, History
from harness.history.records import AccountRow, Block, EndingRow, LedgerRow
from harness.history.spool import Spool
from harness.participants.dispatcher import LEDGER
from tests.world.world import ARRIVAL_GAP_S, World

CHECKS = load_checks()


def write_history(world: World, folder: Path, topology: str, block: int = 0) -> Block:
    """Leave what a real run leaves: client and worker rows in a spool, tables as collected."""
    record = _block(world, topology, block)
    with Spool(folder / "spool" / str(block) / "world.jsonl") as spool:
        for client in world.ingress.rows.values():
            spool.write(client)
        for handling in world.step_rows:
            spool.write(handling)
    with History(folder / FILE_NAME) as history:
        history.put_block(record)
        history.add_collected(block, _ledger(world), _accounts(world), _endings(world))
    return record


def audit_world(world: World, folder: Path, topology: str) -> Audit:
    """Write the world's history and audit it like a real one, by its saga's definition."""
    block = write_history(world, folder, topology)
    with History(folder / FILE_NAME) as history:
        history.import_spool(block.block, folder / "spool" / str(block.block))
        return audit_block(Evidence.of(history, block, world.plan.saga))


def audit_snapshot(world: World) -> Audit:
    """The same audit without the way over files, for worlds by the thousand."""
    return audit_block(snapshot(world), CHECKS)


def snapshot(world: World, saga_id: str | None = None) -> Evidence:
    """The evidence as it is at this moment; of one saga only, without accounts, if it is named."""
    clients = world.ingress.rows
    return Evidence.assemble(
        world.plan.saga,
        _block(world, "world", 0),
        clients=clients.values() if saga_id is None else [clients[saga_id]],
        ledger=_ledger(world, saga_id),
        accounts=_accounts(world) if saga_id is None else (),
        endings=_endings(world, saga_id),
        steps=[row for row in world.step_rows if saga_id in (None, row.saga_id)],
    )


def _block(world: World, topology: str, block: int) -> Block:
    return Block(
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


def _ledger(world: World, saga_id: str | None = None) -> Iterator[LedgerRow]:
    for participant in world.plan.saga.participants:
        for entry in world.store.table(participant, LEDGER).values():
            if saga_id in (None, entry["saga_id"]):
                yield LedgerRow(
                    participant=participant,
                    saga_id=str(entry["saga_id"]),
                    step=str(entry["step"]),
                    result=str(entry["result"]),
                    at_ns=int(str(entry["at_ns"])),
                    movements=msgspec.json.decode(str(entry["movements"]), type=dict[str, int]),
                )


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


def _endings(world: World, saga_id: str | None = None) -> list[EndingRow]:
    return [
        EndingRow(
            participant=ending.participant,
            table=ending.table,
            saga_id=item_id,
            value=str(item[ending.attribute]),
        )
        for ending in world.plan.saga.endings
        for item_id, item in world.store.table(ending.participant, ending.table).items()
        if saga_id in (None, item_id)
    ]
