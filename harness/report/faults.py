"""Which faults were to strike, which did, and whether both topologies met the same trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from harness.history.run_file import RunFile
from harness.report.run_data import BlockData, RunData

Arrival = tuple[int, int]
"""(round, number of the arrival): the same saga in every topology."""


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


def fired(data: RunData, topology: str) -> dict[str, int]:
    """Strikes of every fault on a topology, over its complete blocks; 0 for one that never struck."""
    struck = Counter(row.fault for block in data.complete(topology) for row in block.faults)
    return {fault: struck[fault] for fault in fault_names(data)}


@dataclass(frozen=True)
class Trouble:
    """One fault, and the sagas that it struck, by topology; over the rounds that all topologies completed."""

    fault: str
    fired: dict[str, int]
    """Strikes over all complete blocks; one saga can be struck more often than once."""
    struck: dict[str, frozenset[Arrival]]

    @property
    def common(self) -> frozenset[Arrival]:
        """Sagas struck in every topology."""
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
            struck={topology: _struck(of_one, fault, shared) for topology, of_one in blocks.items()},
        )
        for fault in fault_names(data)
    ]


def _struck(blocks: Sequence[BlockData], fault: str, rounds: set[int]) -> frozenset[Arrival]:
    return frozenset(
        (block.block.round, row.arrival)
        for block in blocks
        if block.block.round in rounds
        for row in block.faults
        if row.fault == fault and row.arrival >= 0
    )
