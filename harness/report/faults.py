"""Which faults were to strike, which did, and whether both topologies met the same trouble."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from harness.history.run_file import RunFile
from harness.report.run_data import BlockData, RunData

Arrival = tuple[int, int]
"""(round, number of the arrival): the same saga in every topology."""


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of the storm that ``run.json`` keeps, as far as a report needs it.

    ``port`` says where it stands; ``arrivals`` means that it changes the schedule and strikes nothing that runs.
    """

    name: str
    kind: str = ""
    probability: float = 1.0
    start_s: float = 0.0
    end_s: float = 0.0
    port: str | None = None

    @property
    def shapes_arrivals(self) -> bool:
        """Whether it acts through the schedule, so that no worker ever records a strike."""
        # Runs are saved without the port so far; the one shipped kind that stands around arrivals is known by name.
        return self.port == "arrivals" or self.kind == "surge"


def planned_faults(run: RunFile) -> list[PlannedFault]:
    """The faults of the resolved storm, in its order; none where the run has none."""
    entries = run.storm.get("faults", [])
    return msgspec.convert(entries, type=list[PlannedFault])


def fault_names(data: RunData) -> list[str]:
    """Every fault that was planned, in the storm's order, then any other that struck."""
    planned = [fault.name for fault in planned_faults(data.run)]
    struck = sorted({row.fault for block in data.blocks for row in block.faults})
    return list(dict.fromkeys([*planned, *struck]))


def strikes(run: RunFile, data: BlockData) -> dict[str, list[int]]:
    """Fault to the arrival of each of its strikes in a block; -1 for a strike on no scheduled saga.

    A fault that shapes the arrivals struck every saga that was scheduled while it lasted.
    """
    struck: dict[str, list[int]] = {}
    for row in data.faults:
        struck.setdefault(row.fault, []).append(row.arrival)
    for fault in planned_faults(run):
        if fault.shapes_arrivals:
            struck[fault.name] = [row.arrival for row in data.sagas if fault.start_s <= row.scheduled_s < fault.end_s]
    return struck


def fired(data: RunData, topology: str) -> dict[str, int]:
    """Strikes of every fault on a topology, over its complete blocks; 0 for one that never struck."""
    counts = dict.fromkeys(fault_names(data), 0)
    for block in data.complete(topology):
        for fault, arrivals in strikes(data.run, block).items():
            counts[fault] += len(arrivals)
    return counts


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
    rounds = [{block.block.round for block in of_topology} for of_topology in blocks.values()]
    shared = set.intersection(*rounds) if rounds else set()
    all_strikes = {
        topology: [(block.block.round, strikes(data.run, block)) for block in of_topology]
        for topology, of_topology in blocks.items()
    }
    return [
        Trouble(
            fault,
            fired={
                topology: sum(len(struck.get(fault, ())) for _, struck in all_strikes[topology]) for topology in blocks
            },
            struck={
                topology: frozenset(
                    (number, arrival)
                    for number, struck in all_strikes[topology]
                    if number in shared
                    for arrival in struck.get(fault, ())
                    if arrival >= 0
                )
                for topology in blocks
            },
        )
        for fault in fault_names(data)
    ]
