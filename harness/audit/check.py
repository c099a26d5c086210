"""What a checker is: a pure function from evidence to findings, and what it must stand on for them to count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from harness.audit.evidence import Evidence, SagaEvidence


class Ground(Enum):
    """The state of a block in which a checker's findings are proof. Elsewhere they are suspicions, told in a note."""

    ANY_MOMENT = "any moment"
    """It speaks of what happened, and nothing that comes later can take that back."""
    WHOLE_LOAD = "the whole load"
    """It speaks of what no client was told: all clients must have written down what they know."""
    AT_REST = "at rest"
    """It speaks of what did *not* happen: nothing may be under way that could still bring it."""


@dataclass(frozen=True)
class Finding:
    """One anomaly: the sagas it concerns, and one line that names them, what was expected and what was seen.

    ``ground``: what this one needs to be proof, where that is less than its checker's.
    """

    sagas: tuple[str, ...]
    witness: str
    ground: Ground | None = None


def ended_ground(one: SagaEvidence) -> Ground:
    """What it takes to miss something in an ended saga: nothing more, once its client was told that it had ended."""
    return Ground.AT_REST if one.told is None else Ground.ANY_MOMENT


@dataclass(frozen=True)
class Doubt:
    """Something that the checker cannot judge, and why. It makes a verdict unknown that would have been valid."""

    reason: str


@dataclass(frozen=True)
class Check:
    """A checker. ``reads_tables``: without the participants' tables it can never say *valid*.

    Such a checker is still run without them where its ground is ``ANY_MOMENT`` or ``WHOLE_LOAD``, for what the
    workers' own records prove; there it must not take an empty ledger for a sign of anything.
    """

    find: Callable[[Evidence], Iterable[Finding | Doubt]]
    ground: Ground
    reads_tables: bool = True
