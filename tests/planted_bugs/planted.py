"""What a planted bug is: one part of the healthy world replaced, and the trouble that brings it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.world.world import Parts, Plan, World

BOTH = ("choreographed", "orchestrated")
BITTEN = "bug"
"""Key of :attr:`World.fired`: how often the planted bug did something that healthy code would not have done."""


@dataclass(frozen=True)
class PlantedBug:
    """``plant`` breaks one part. ``anomalies`` are exactly the names that the audit must give.

    ``occasions`` counts, in the *cured* world, how often the trouble came up that the bug cannot stand: with none, a
    clean cured world would prove nothing.
    """

    name: str
    anomalies: frozenset[str]
    plant: Callable[[Parts], Parts]
    occasions: Callable[[World], int]
    plan: Plan = field(default_factory=Plan)
    topologies: tuple[str, ...] = BOTH


def handled(step: str, result: str = "done") -> Callable[[World], int]:
    """Counts handlings of a step with a result."""
    return lambda world: sum(row.step == step and row.result == result for row in world.step_rows)


def with_result(result: str) -> Callable[[World], int]:
    """Counts handlings of any step with a result."""
    return lambda world: sum(row.result == result for row in world.step_rows)


def fired(kind: str) -> Callable[[World], int]:
    """Counts strikes of one kind of trouble."""
    return lambda world: world.fired[kind]
