"""What is remembered of each arrival: a row in the spool, the metrics, and Locust's own statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.history.records import EventRow, SagaRow
from harness.history.spool import Spool
from harness.load.plan import LoadPlan
from harness.measure.metrics import Metrics


class Counts(msgspec.Struct):
    """What became of one process's arrivals: of those due, each is dropped, accepted, rejected or an error."""

    scheduled: int = 0
    due: int = 0
    dropped: int = 0
    accepted: int = 0
    rejected: int = 0
    error: int = 0
    completed: int = 0
    compensated: int = 0
    unresolved: int = 0


class Unsuccessful(Exception):
    """How Locust's statistics name an arrival that came to no known end."""


class Recorder:
    """Writes everything as soon as it is known, so that it survives a kill; only what is written is counted."""

    def __init__(self, plan: LoadPlan, process: str, metrics: Metrics, fire: Callable[..., None]) -> None:
        self._spool = Spool(Path(plan.spool_dir) / f"{process}.jsonl")
        self._metrics = metrics
        self._fire = fire
        self._post_name = f"{plan.topology} /sagas/{plan.saga}"
        self._name = plan.topology
        self.counts = Counts()

    def event(self, t_s: float, what: str) -> None:
        """Something to remember of the load as a whole."""
        self._spool.write(EventRow(t_s=t_s, what=what))

    def posted(self, took_ms: float, problem: Exception | None) -> None:
        """A POST was answered, or not, after ``took_ms`` from its own start.

        Locust is told of failed ones only: its charts add up all that it is told, and an order that was taken would
        stand beside its saga as a second, much faster request.
        """
        if problem is not None:
            self._request("POST", self._post_name, took_ms, problem)

    def dropped(self, arrival: int, due_s: float) -> None:
        """There was no room; nothing was sent."""
        reason = "the load generator had max_in_flight sagas under way"
        self._spool.write(SagaRow(arrival=arrival, scheduled_s=due_s, status="dropped", reason=reason))
        self.counts.dropped += 1
        self._metrics.arrival("dropped")
        self._request("saga", f"{self._name} dropped", None, Unsuccessful(reason))

    def refused(self, arrival: int, due_s: float, sent_s: float | None, now_s: float, status: str, reason: str) -> None:
        """The ingress said no (``rejected``) or nothing that counts (``error``)."""
        self._spool.write(SagaRow(arrival=arrival, scheduled_s=due_s, status=status, sent_s=sent_s, reason=reason))
        setattr(self.counts, status, getattr(self.counts, status) + 1)
        self._metrics.arrival(status)
        self._request("saga", f"{self._name} {status}", (now_s - due_s) * 1e3, Unsuccessful(reason))

    def accepted(self, arrival: int, due_s: float, sent_s: float, saga_id: str) -> None:
        """The saga was started. Written now and not at its end only, so that a killed generator leaves it known."""
        self._spool.write(
            SagaRow(arrival=arrival, scheduled_s=due_s, status="accepted", sent_s=sent_s, saga_id=saga_id)
        )
        self.counts.accepted += 1
        self._metrics.arrival("accepted")
        self._in_flight()

    def ended(
        self, arrival: int, due_s: float, sent_s: float, now_s: float, saga_id: str, outcome: str, reason: str | None
    ) -> None:
        """The saga was ``completed`` or ``compensated``, as its client knows since ``now_s``."""
        completion_s = now_s - due_s
        self._spool.write(
            SagaRow(
                arrival=arrival,
                scheduled_s=due_s,
                status="accepted",
                saga_id=saga_id,
                sent_s=sent_s,
                outcome=outcome,
                reason=reason,
                completion_ms=round(completion_s * 1e3, 3),
            )
        )
        setattr(self.counts, outcome, getattr(self.counts, outcome) + 1)
        self._metrics.completed(outcome, completion_s, saga_id)
        self._in_flight()
        self._request("saga", f"{self._name} {outcome}", completion_s * 1e3, None)

    def unresolved(self, arrival: int, due_s: float, sent_s: float | None, now_s: float, saga_id: str) -> None:
        """Nobody knows how it ended, and nobody asks any more."""
        reason = "no outcome while the client was asking"
        self._spool.write(
            SagaRow(
                arrival=arrival, scheduled_s=due_s, status="accepted", saga_id=saga_id, sent_s=sent_s, reason=reason
            )
        )
        self.counts.unresolved += 1
        self._in_flight()
        self._request("saga", f"{self._name} unresolved", (now_s - due_s) * 1e3, Unsuccessful(reason))

    def close(self) -> None:
        """Close the spool."""
        self._spool.close()

    def _in_flight(self) -> None:
        counts = self.counts
        self._metrics.in_flight(counts.accepted - counts.completed - counts.compensated - counts.unresolved)

    def _request(self, kind: str, name: str, took_ms: float | None, problem: Exception | None) -> None:
        extra: dict[str, Any] = {"response": None, "context": {}}
        self._fire(request_type=kind, name=name, response_time=took_ms, response_length=0, exception=problem, **extra)
