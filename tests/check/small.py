"""Small checks: of two storms, or of one."""

from __future__ import annotations

from harness.check.plan import Cell, Plan
from harness.gate.model import Case

FLAGS = {"saga": "create-order", "topology": "orchestrated,choreographed", "storm": "calm", "interleave": "AB",
         "rate": "12.0", "duration": "6.0", "mitigations": ""}  # fmt: skip


def cell(storm: str, mitigations: str = "") -> Cell:
    """Of a saga under this storm in both topologies."""
    return Cell(
        name=" ".join(filter(None, ("create-order", storm, mitigations))),
        flags=FLAGS | {"storm": storm, "mitigations": mitigations},
        cases=tuple(
            Case(saga="create-order", storm=storm, topology=topology, mitigations=mitigations)
            for topology in ("orchestrated", "choreographed")
        ),
        storm_digest="0",
        reference=bool(mitigations),
        planned_s=60.0,
    )


CALM, STORMY = cell("calm"), cell("default")


def plan(*cells: Cell, base: str | None = None) -> Plan:
    """A plan from seed 7."""
    return Plan(
        check_id="small",
        cells=cells,
        seed=7,
        head="a" * 40,
        base=base,
        started_at="2026-11-01T09:00:00+00:00",
        command="sagastorm check",
    )


class Quiet:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
        self.said.append(label)
