"""On whose behalf the code is running: carried beside the calls, so that the port below need not be told."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """One saga's step, in one of its attempts. ``attempt`` is ``<orchestrator's retry>.<delivery>``."""

    saga_id: str
    arrival: int
    scheduled_s: float
    participant: str
    step: str
    attempt: str


SUBJECTS: ContextVar[tuple[Subject, ...]] = ContextVar("subjects", default=())
"""Of the running task. A batched call has one for each of its entries."""
