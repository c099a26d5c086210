"""Which faults were to strike, which did, and whether both topologies met the same trouble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from harness.history.records import FaultRow
from harness.history.run_file import RunFile
from harness.report.run_data import BlockData, RunData

Arrival = tuple[int, int]
"""(round, number of the arrival): the same saga in every topology."""
COLLATERAL = "in the same batch"
"""How the detail of a row begins whose saga no fault chose: its entry shared a call with one that was struck."""
SCHEDULED = ("schedule", "arrival")
"""(worker, step) of a row that was written before the load: an arrival in the window of a surge."""


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of the storm that ``run.json`` keeps, as far as a report needs it."""

    name: str
    kind: str = ""
    probability: float = 1.0
    start_s: float = 0.0
    end_s: float = 0.0


def storm_name(run: RunFile) -> str:
    """The storm's own name: what was asked for may be the path of its file."""
    return str(run.storm.get("name", run.settings.storm))


def planned_faults(run: RunFile) -> list[PlannedFault]:
    """The faults of the resolved storm, in its order; none where the run has none."""
    entries = run.storm.get("faults", [])
    return msgspec.convert(entries, type=list[PlannedFault])


def fault_names(data: RunData) -> list[str]:
    """Every fault that was planned, in the storm's order, then any other that struck."""
    planned = [fault.name for fault in planned_faults(data.run)]
    struck = sorted({row.fault for block in data.blocks for row in block.faults})
    return list(dict.fromkeys([*planned, *struck]))


def fired(data: RunData, topology: str) -> dict[str, int | None]:
    """Strikes of every fault on a topology, over its complete blocks; 0 for one that never struck.

    ``None`` for one that does not apply: in this topology there is nothing that it could strike.

    Sagas that were hit only since they shared a call with a struck one are not counted. The rows of a surge are what
    was scheduled, not what was seen: they count if the ingress accepted one of those arrivals at least.
    """
    blocks = data.complete(topology)
    return {fault: len(_strikes(blocks, fault)) if _applies(blocks, fault) else None for fault in fault_names(data)}


def _applies(blocks: Sequence[BlockData], fault: str) -> bool:
    return not blocks or any(fault not in block.block.inapplicable_faults for block in blocks)


def _strikes(blocks: Sequence[BlockData], fault: str) -> list[tuple[BlockData, FaultRow]]:
    struck = [(block, row) for block in blocks for row in block.faults if row.fault == fault and not _collateral(row)]
    if all(_scheduled(row) for _, row in struck) and not any(_accepted(block, row) for block, row in struck):
        return []
    return struck


def _collateral(row: FaultRow) -> bool:
    return (row.detail or "").startswith(COLLATERAL)


def _scheduled(row: FaultRow) -> bool:
    return (row.worker, row.step) == SCHEDULED


def _accepted(block: BlockData, row: FaultRow) -> bool:
    return row.arrival in block.accepted


@dataclass(frozen=True)
class Trouble:
    """One fault, and the sagas that it struck, by topology; over the rounds that all topologies completed."""

    fault: str
    fired: dict[str, int | None]
    """Strikes over all complete blocks, see :func:`fired`; one saga can be struck more often than once."""
    struck: dict[str, frozenset[Arrival]]
    """Of the topologies to which it applies."""
    scheduled: bool
    """Its strikes are scheduled arrivals."""
    collateral: dict[str, int]
    """Further sagas that shared a batched call with a struck one, over all complete blocks."""

    @property
    def common(self) -> frozenset[Arrival]:
        """Sagas struck in every topology to which the fault applies."""
        sets = list(self.struck.values())
        return frozenset.intersection(*sets) if sets else frozenset()

    @property
    def same(self) -> bool:
        """Every topology met the fault on the same sagas."""
        return len(set(self.struck.values())) <= 1

    def only(self, topology: str) -> list[Arrival]:
        """Sagas struck in this topology and not in every other, in order."""
        return sorted(self.struck[topology] - self.common)


def same_trouble(data: RunData) -> list[Trouble]:
    """Every fault of the run.

    Equal sets are what the seeded decisions aim at. They differ where a topology does not reach the struck step (a
    saga compensated before it, a retry that only one of them makes), and for faults that strike a resource by the
    clock; a reader must be able to see how far.
    """
    blocks = {topology: data.complete(topology) for topology in data.topologies}
    shared = set.intersection(*({block.block.round for block in of_one} for of_one in blocks.values()))
    counts = {topology: fired(data, topology) for topology in blocks}
    return [
        Trouble(
            fault,
            fired={topology: counts[topology][fault] for topology in blocks},
            struck={
                topology: _struck(of_one, fault, shared)
                for topology, of_one in blocks.items()
                if _applies(of_one, fault)
            },
            scheduled=any(_scheduled(row) for block in data.blocks for row in block.faults if row.fault == fault),
            collateral={topology: _collateral_sagas(of_one, fault) for topology, of_one in blocks.items()},
        )
        for fault in fault_names(data)
    ]


def _struck(blocks: Sequence[BlockData], fault: str, rounds: set[int]) -> frozenset[Arrival]:
    return frozenset(
        (block.block.round, row.arrival)
        for block, row in _strikes(blocks, fault)
        if block.block.round in rounds and row.arrival >= 0
    )


def _collateral_sagas(blocks: Sequence[BlockData], fault: str) -> int:
    rows = [(block.block.block, row) for block in blocks for row in block.faults if row.fault == fault]
    struck = {(number, row.arrival) for number, row in rows if not _collateral(row)}
    return len({(number, row.arrival) for number, row in rows if _collateral(row)} - struck)
