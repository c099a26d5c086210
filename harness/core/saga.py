"""What a saga is: its steps, their events, the tables behind them. Both topologies are compiled from this.

A saga is a line of compensatable steps, then at most one pivot (the last step that can refuse), then retriable steps.
A refusal, or a step that cannot be known to have succeeded, before the pivot is known to have succeeded, runs the
compensations in reverse order and then ``after_compensation``. Step kinds: Garcia-Molina and Salem 1987; Richardson,
*Microservices Patterns*, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from harness.core.local_transaction import LocalTransaction


class StepKind(StrEnum):
    """How a step can end, which decides what a failure does."""

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


class Outcome(StrEnum):
    """How a saga ended, as its client is told."""

    COMPLETED = "completed"
    COMPENSATED = "compensated"


@dataclass(frozen=True)
class Command:
    """One step to be taken for one saga. ``request`` is the saga's own request type, decoded."""

    saga_id: str
    step: str
    request: Any


Action = Callable[[Command], LocalTransaction]


@dataclass(frozen=True)
class Compensation:
    """The undoing of a step: its name, the event that says it is done, and its action.

    The action may assume that the step's local transaction was committed: where it was not, the dispatcher writes a
    tombstone instead and never calls it.
    """

    name: str
    succeeded: str
    action: Action


@dataclass(frozen=True)
class Step:
    """One local transaction of one participant.

    ``succeeded`` and ``refused`` are event names. A retriable step has neither ``refused`` nor ``compensation``.
    """

    name: str
    participant: str
    kind: StepKind
    action: Action
    succeeded: str
    refused: str | None = None
    compensation: Compensation | None = None


@dataclass(frozen=True)
class Ending:
    """Where a participant's own table says how the saga ended: attribute ``attribute`` of item ``<saga id>``.

    An item that is missing agrees with ``compensated`` (its step never ran). ``None``: no item may be there.
    """

    participant: str
    table: str
    attribute: str
    completed: str | None
    compensated: str | None


class Workload(Protocol):
    """The seeded customers and requests of a saga: pure functions of the seed and the number of the arrival."""

    def request(self, arrival: int) -> Any:
        """The request of arrival number ``arrival``, of the saga's request type."""
        ...

    def subject(self, arrival: int) -> str:
        """Who makes it: the ``sub`` of the signed identity."""
        ...

    def initial_items(self) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        """(participant, table, item with its ``id``) of all that must be there before the first arrival."""
        ...


@dataclass(frozen=True)
class Spell:
    """Arrivals in a row that meet more refusals than the others: their shares are at least these."""

    arrivals: range
    cannot_pay_share: float
    out_of_stock_share: float


@dataclass(frozen=True)
class WorkloadPlan:
    """What a workload is made from. ``arrivals`` is how many will be scheduled, so that stock can be set to run out."""

    seed: int
    arrivals: int
    cannot_pay_share: float = 0.05
    out_of_stock_share: float = 0.05
    spells: tuple[Spell, ...] = ()

    def shares(self, arrival: int) -> tuple[float, float]:
        """Of arrivals like this one: how many cannot pay, and how many find no stock."""
        spells = [spell for spell in self.spells if arrival in spell.arrivals]
        return (
            max(self.cannot_pay_share, *(spell.cannot_pay_share for spell in spells), 0.0),
            max(self.out_of_stock_share, *(spell.out_of_stock_share for spell in spells), 0.0),
        )


@dataclass(frozen=True)
class Work:
    """What a participant is asked to do under one name: an action, a compensation or a closing step."""

    name: str
    participant: str
    kind: StepKind
    action: Action
    succeeded: str
    refused: str | None
    undoes: str | None
    """The step that this compensates, if it is a compensation."""


@dataclass(frozen=True)
class Saga:
    """A saga definition. Raises ``ValueError`` where the parts do not make a saga."""

    name: str
    requested: str
    """The event that asks for the first step."""
    steps: tuple[Step, ...]
    after_compensation: tuple[Step, ...]
    """Retriable steps that end a compensated saga, such as telling the customer."""
    tables: Mapping[str, tuple[str, ...]]
    """Participant to the names of its tables, without the idempotency records and the ledger."""
    request: type[msgspec.Struct]
    workload: Callable[[WorkloadPlan], Workload]
    endings: tuple[Ending, ...] = ()
    owner: Callable[[Any], str] | None = None
    """From a request to whom it belongs: the ingress refuses an identity that is somebody else's."""

    def __post_init__(self) -> None:
        _check_order(self)
        _check_parts(self)

    @property
    def participants(self) -> tuple[str, ...]:
        """In the order in which the saga meets them."""
        return tuple(dict.fromkeys(step.participant for step in (*self.steps, *self.after_compensation)))

    @property
    def pivot_index(self) -> int:
        """Index of the pivot, or of the last compensatable step where there is none (-1: no step can refuse)."""
        return max((i for i, step in enumerate(self.steps) if step.kind is not StepKind.RETRIABLE), default=-1)

    def works(self) -> dict[str, Work]:
        """Everything that participants can be asked to do, by name."""
        works: dict[str, Work] = {}
        for step in (*self.steps, *self.after_compensation):
            works[step.name] = Work(
                step.name, step.participant, step.kind, step.action, step.succeeded, step.refused, undoes=None
            )
            if undo := step.compensation:
                works[undo.name] = Work(
                    undo.name, step.participant, StepKind.RETRIABLE, undo.action, undo.succeeded, None, undoes=step.name
                )
        return works


def _check_order(saga: Saga) -> None:
    if not saga.steps:
        raise ValueError(f"saga {saga.name}: a saga has at least one step")
    rank = {StepKind.COMPENSATABLE: 0, StepKind.PIVOT: 1, StepKind.RETRIABLE: 2}
    ranks = [rank[step.kind] for step in saga.steps]
    if ranks != sorted(ranks) or ranks.count(1) > 1:
        raise ValueError(
            f"saga {saga.name}: the order is compensatable steps, at most one pivot, retriable steps; "
            f"given {[f'{step.name}: {step.kind}' for step in saga.steps]}"
        )
    if any(step.kind is not StepKind.RETRIABLE for step in saga.after_compensation):
        raise ValueError(f"saga {saga.name}: after_compensation holds retriable steps only")
    if saga.after_compensation and saga.pivot_index < 0:
        raise ValueError(f"saga {saga.name}: there is nothing to compensate, so after_compensation could never run")


def _check_parts(saga: Saga) -> None:
    everything = (*saga.steps, *saga.after_compensation)
    names = [
        name for step in everything for name in (step.name, *([step.compensation.name] if step.compensation else []))
    ]
    if len(names) != len(set(names)):
        raise ValueError(f"saga {saga.name}: step and compensation names must differ from each other; given {names}")
    events = [saga.requested, *(work.succeeded for work in saga.works().values())]
    events += [step.refused for step in everything if step.refused]
    if len(events) != len(set(events)):
        raise ValueError(f"saga {saga.name}: every event has its own name; given {events}")
    for step in everything:
        undoable = step.kind is not StepKind.RETRIABLE
        if undoable != (step.compensation is not None):
            raise ValueError(
                f"saga {saga.name}, step {step.name}: {step.kind} steps have {'a' if undoable else 'no'} compensation"
            )
        if not undoable and step.refused:
            raise ValueError(f"saga {saga.name}, step {step.name}: a retriable step cannot refuse")
        if step.participant not in saga.tables:
            raise ValueError(f"saga {saga.name}, step {step.name}: participant {step.participant} has no tables")
