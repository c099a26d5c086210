"""What is remembered of a run: one small type per kind of record.

Times named ``t_s`` are seconds from the start of the block's load, by the machine's monotonic clock, which all
processes of one machine share. Records written while the load runs travel through a spool (:mod:`.spool`); the ones
read from the participants' tables after it are marked *collected*.
"""

from __future__ import annotations

import msgspec


class SagaRow(msgspec.Struct, kw_only=True, frozen=True, tag="saga"):
    """What the client knows of one scheduled arrival. A later row for the same arrival replaces the earlier one.

    ``status``: ``dropped`` (the load generator had no room: never sent), ``rejected`` (the ingress said no),
    ``error`` (no answer: it may or may not have started), ``accepted``.
    ``outcome``: ``completed``, ``compensated``, or ``None`` while not known; the same at the end is *unresolved*.
    """

    arrival: int
    scheduled_s: float
    status: str
    saga_id: str | None = None
    sent_s: float | None = None
    outcome: str | None = None
    reason: str | None = None
    completion_ms: float | None = None
    """From the scheduled start, not from the moment of sending."""


class StepRow(msgspec.Struct, kw_only=True, frozen=True, tag="step"):
    """One handling of one step by a participant, as the worker saw it.

    ``result``: ``done``, ``refused``, ``tombstoned``, ``nothing-to-undo``, or ``error`` (it will be tried again).
    ``attempt`` is ``<Step Functions retry>.<delivery>``, from 0 and 1. ``replayed``: answered from the idempotency
    record, so a duplicate that was suppressed.
    """

    t_s: float
    worker: str
    participant: str
    saga_id: str
    arrival: int
    step: str
    result: str
    replayed: bool
    attempt: str
    took_ms: float
    detail: str | None = None


class FaultRow(msgspec.Struct, kw_only=True, frozen=True, tag="fault"):
    """One strike of one fault on one saga."""

    t_s: float
    worker: str
    fault: str
    saga_id: str
    arrival: int
    participant: str
    step: str
    attempt: str
    detail: str | None = None


class EventRow(msgspec.Struct, kw_only=True, frozen=True, tag="event"):
    """Something that happened to the run itself: a worker restarted, the drain began, the emulator died."""

    t_s: float
    what: str


SpooledRow = SagaRow | StepRow | FaultRow | EventRow


class LedgerRow(msgspec.Struct, kw_only=True, frozen=True):
    """Collected: one committed local transaction of one participant, by its own account.

    ``result``: ``done``, ``refused``, or ``nothing-to-undo``: a compensation whose step was refused or had not run (its
    coming late is barred then, which leaves no entry of its own).
    ``at_ns`` is the monotonic time at which the participant sent the commit. ``movements`` maps
    ``table:id:attribute`` to the amount it was changed by.
    """

    participant: str
    saga_id: str
    step: str
    result: str
    at_ns: int
    movements: dict[str, int]


class AccountRow(msgspec.Struct, kw_only=True, frozen=True):
    """Collected: one number that participants only ever add to, before the load and after the drain."""

    participant: str
    account: str
    initial: int
    final: int


class EndingRow(msgspec.Struct, kw_only=True, frozen=True):
    """Collected: what a participant's own table says of how a saga ended (see :class:`harness.core.saga.Ending`)."""

    participant: str
    table: str
    saga_id: str
    value: str


class Block(msgspec.Struct, kw_only=True, frozen=True):
    """One topology's turn in an interleaved run.

    ``round`` pairs blocks: those of one round meet the same arrivals and the same faults. ``state``: ``loading``,
    ``complete`` or ``aborted``. ``collected``: the tables were read, so the audit can speak of money and stock.
    ``drained``: queues and executions ran empty within the limit. ``storm_windows``: (fault, start_s, end_s).
    """

    block: int
    topology: str
    round: int
    namespace: str
    duration_s: float
    state: str = "loading"
    collected: bool = False
    drained: bool | None = None
    scheduled: int = 0
    """Arrivals in the seeded schedule."""
    load_digest: str = ""
    """SHA-256 of the schedule and the requests: equal in the blocks of a round, or they were not offered the same."""
    load_ended_s: float | None = None
    """When the faults were lifted and arrivals had stopped."""
    drained_s: float | None = None
    storm_windows: list[tuple[str, float, float]] = []
    inapplicable_faults: list[str] = []
    """Faults of the storm that have nothing to strike in this topology."""
    inapplicable_mitigations: list[str] = []
    """Mitigations that mean nothing in this topology."""
    redriven: int = 0
    """Dead letters that were sent back to their queues. ``dead_letters`` are those that were there at the end."""
    dead_letters: int | None = None
    problem: str | None = None
    """Why the block was aborted."""


class Sample(msgspec.Struct, kw_only=True, frozen=True):
    """One value of one Prometheus series of one process."""

    t_s: float
    target: str
    metric: str
    labels: dict[str, str]
    value: float
