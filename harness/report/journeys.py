"""One saga's journey: everything that was recorded of it, in the order in which it happened.

Times are from the saga's scheduled start. A handling that was cut short (its worker was killed) has left no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.history.history import History
from harness.history.records import Block, EventRow, FaultRow, SagaRow, StepRow
from harness.report.faults import COLLATERAL, SCHEDULED

SWEEPER = "sweeper"
_ATTEMPT = re.compile(r"(?P<retry>\d+)\.(?P<delivery>\d+)(?P<copy>c?)(?:r(?P<repair>\d+))?(?:\.(?P<sdk>\d+))?")


class Kind(StrEnum):
    """What a moment of a journey is."""

    CLIENT = "client"
    """Seen by the load generator: due, sent, ended."""
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    """It will be tried again."""
    AGAIN = "again"
    """Answered from the idempotency record: a duplicate that was suppressed."""
    OTHER = "other"
    """Any other result: a late step that met a tombstone, a compensation with nothing to undo."""
    STRIKE = "strike"
    """A fault struck the saga."""
    REPAIR = "repair"
    """The sweeper took care of it."""


@dataclass(frozen=True)
class Moment:
    """One handling of a step, or something that takes no time: ``what`` happened, to ``whom``, in which ``attempt``."""

    at_ms: float
    took_ms: float
    kind: Kind
    what: str
    whom: str = ""
    attempt: str = ""
    """In words; empty for a first one."""
    note: str = ""


@dataclass(frozen=True)
class Journey:
    """One saga in one block. ``arrival`` is ``None`` where it was none of the schedule's; the rest, where not known."""

    block: int
    topology: str
    round: int
    saga_id: str
    arrival: int | None
    outcome: str | None
    completion_ms: float | None
    strikes: int
    """Without those that only shared a call with another saga that was chosen."""
    moments: tuple[Moment, ...]

    @property
    def end_ms(self) -> float:
        """When the last thing known of it was over."""
        return max((moment.at_ms + moment.took_ms for moment in self.moments), default=0.0)


def read_journey(history: History, block: Block, saga_id: str, client: SagaRow | None) -> Journey:
    """What a history holds of one saga of a block."""
    steps = history.steps(block.block, saga_id)
    arrival = _arrival(client, steps)
    faults = [row for row in history.faults(block.block) if strikes(row, saga_id, arrival)]
    return make_journey(block, saga_id, client, steps, faults, history.events(block.block))


def strikes(row: FaultRow, saga_id: str, arrival: int | None) -> bool:
    """Whether the row is of this saga. What was scheduled names the arrival only: there was no saga yet."""
    return row.saga_id == saga_id if row.saga_id else row.arrival == arrival


def make_journey(
    block: Block,
    saga_id: str,
    client: SagaRow | None,
    steps: Sequence[StepRow],
    faults: Sequence[FaultRow],
    events: Iterable[EventRow],
) -> Journey:
    """Put the records of one saga together; of ``events``, those that name it are taken."""
    firsts = [row.t_s - row.took_ms / 1000 for row in steps] + [row.t_s for row in faults]
    start_s = client.scheduled_s if client else min(firsts, default=0.0)
    moments = [
        *_client(client, start_s),
        *(_handling(row, start_s) for row in steps),
        *(_strike(row, start_s) for row in faults),
        *(_repair(row, start_s) for row in events if row.what.startswith(SWEEPER) and saga_id in row.what),
    ]
    return Journey(
        block=block.block,
        topology=block.topology,
        round=block.round,
        saga_id=saga_id,
        arrival=_arrival(client, steps),
        outcome=client.outcome if client else None,
        completion_ms=client.completion_ms if client else None,
        strikes=sum(not (row.detail or "").startswith(COLLATERAL) for row in faults),
        moments=tuple(sorted(moments, key=lambda moment: moment.at_ms)),
    )


def attempt_in_words(attempt: str) -> str:
    """``1.2`` as ``retry 1, delivery 2``; empty for a first attempt. What it cannot read it gives back."""
    if not (parts := _ATTEMPT.fullmatch(attempt)):
        return attempt
    told = [
        f"retry {parts['retry']}" if parts["retry"] != "0" else "",
        f"delivery {parts['delivery']}" if parts["delivery"] not in ("0", "1") else "",
        "copy" if parts["copy"] else "",
        f"repair {parts['repair']}" if parts["repair"] else "",
        f"SDK try {parts['sdk']}" if parts["sdk"] not in (None, "1") else "",
    ]
    return ", ".join(filter(None, told))


def title(journey: Journey) -> str:
    """Which saga it is and how it ended. Blocks and rounds are counted from 1, arrivals from 0."""
    which = "no arrival of the schedule" if journey.arrival is None else f"arrival {journey.arrival}"
    return f"{journey.topology}, block {journey.block + 1}, round {journey.round + 1}, {which}"


def ended(journey: Journey) -> str:
    """``completed in 5,041 ms``, or that its end is not known."""
    if journey.outcome is None or journey.completion_ms is None:
        return "end not known"
    return f"{journey.outcome} in {journey.completion_ms:,.0f} ms"


def _arrival(client: SagaRow | None, steps: Sequence[StepRow]) -> int | None:
    if client is not None:
        return client.arrival
    return steps[0].arrival if steps and steps[0].arrival >= 0 else None


def _client(row: SagaRow | None, start_s: float) -> Iterable[Moment]:
    if row is None:
        return
    yield Moment(0.0, 0.0, Kind.CLIENT, "due")
    if row.sent_s is not None:
        yield Moment(1000 * (row.sent_s - start_s), 0.0, Kind.CLIENT, "sent", note=row.status)
    if row.completion_ms is not None:
        yield Moment(row.completion_ms, 0.0, Kind.CLIENT, row.outcome or "ended", note=row.reason or "")


def _handling(row: StepRow, start_s: float) -> Moment:
    known = {"done": Kind.DONE, "refused": Kind.REFUSED, "error": Kind.FAILED}
    kind = Kind.AGAIN if row.replayed else known.get(row.result, Kind.OTHER)
    told = [row.result if kind in (Kind.OTHER, Kind.AGAIN) and row.result != "done" else "", row.detail or ""]
    return Moment(
        at_ms=1000 * (row.t_s - start_s) - row.took_ms,
        took_ms=row.took_ms,
        kind=kind,
        what=row.step,
        whom=row.participant,
        attempt=attempt_in_words(row.attempt),
        note=", ".join(filter(None, told)),
    )


def _strike(row: FaultRow, start_s: float) -> Moment:
    at_ms = 1000 * (row.t_s - start_s)
    if (row.worker, row.step) == SCHEDULED:
        return Moment(at_ms, 0.0, Kind.STRIKE, row.fault, note="in the schedule")
    where = f"at {row.step}" + (f", {row.detail}" if row.detail else "")
    return Moment(at_ms, 0.0, Kind.STRIKE, row.fault, row.participant, attempt_in_words(row.attempt), where)


def _repair(row: EventRow, start_s: float) -> Moment:
    return Moment(1000 * (row.t_s - start_s), 0.0, Kind.REPAIR, SWEEPER, note=row.what.partition(", ")[2])
