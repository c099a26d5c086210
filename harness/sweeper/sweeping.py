"""The sweeper: scans for sagas that are pending beyond their objective, and repairs them or gives them up.

Section 5.7.1 of the chapter has it run every five minutes. Here loads last seconds, so the same is done in seconds.

To repair a saga is to ask for it again, in its topology's own way. A participant that is asked for what it has done
answers from its record, so a saga that was only slow gets duplicates, which are suppressed. A choreography is asked for
its first step: each step that was taken tells again how it ended, up to the place where it broke off, and there it goes
on. That is right going back as well: a compensation is asked for only by an event that the success of its step had to
come before, so no step of a choreography has a tombstone, which would have nothing to tell. An orchestrator goes on in
the state where it broke off (:mod:`harness.topologies.resume`).

Without the participants' records (``idempotency=none``) every repair does everything again; that is for a run to show.
No fault strikes the sweeper's own calls: the storm stands around the workers only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum, auto

import msgspec

from harness.aws.gateway import TRANSIENT
from harness.aws.pending import PendingSaga, PendingSagas
from harness.history.records import EventRow
from harness.history.spool import Spool
from harness.measure.metrics import Metrics
from harness.topologies.base import Abortable, Connection, Repairable

OBJECTIVE_S = 12.0
"""A message that dies with its worker comes again after 10 s (the visibility timeout): a saga that takes longer than
that and a little has been dropped, or the system is slow as a whole."""
PATIENCE_GROWTH = 1.5
"""From each repair to the next: what was slow is likely to be slow again."""
MAX_REPAIRS = 5
STUCK = 3
"""An execution that still runs after so many times the patience is stopped, and can then be repaired. It may be waiting
for a callback that does not come, with no step timeout to end that; if it was slow, it goes on where it was stopped."""
SCAN_EVERY_S = 2.0
LOOKS_A_SCAN = 20
"""Sagas that are seen to in one scan, the longest pending first: no second load on a system that is slow already, and
well within the quota of DescribeExecution (10 to 15 a second)."""

log = logging.getLogger(__name__)


class Todo(Enum):
    """What a pending saga needs."""

    NOTHING = auto()
    REPAIR = auto()
    STOP_AND_REPAIR = auto()
    EXPIRE = auto()


def decide(waited_s: float, repairs: int) -> Todo:
    """What to do about a saga that was last asked for so long ago, and has been repaired so often."""
    patience_s = OBJECTIVE_S * PATIENCE_GROWTH**repairs
    if waited_s < patience_s:
        return Todo.NOTHING
    if repairs < MAX_REPAIRS:
        return Todo.REPAIR if waited_s < STUCK * patience_s else Todo.STOP_AND_REPAIR
    return Todo.EXPIRE


class Sweeper:
    """Sweeps the sagas of one namespace."""

    def __init__(
        self,
        pending: PendingSagas,
        connection: Connection,
        *,
        spool: Spool,
        metrics: Metrics,
        now_s: Callable[[], float],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._pending = pending
        self._connection = connection
        self._spool = spool
        self._metrics = metrics
        self._now_s = now_s
        self._now_ns = now_ns
        self._seen_ns: dict[str, int] = {}
        """When those that are overdue were last seen to: who is left alone makes room for others."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Scan until ``stopping`` is set, and then finish the scan."""
        while not stopping.is_set():
            try:
                await self.scan()
            except TRANSIENT as error:
                log.warning("cannot scan: %s", error)
            try:
                async with asyncio.timeout(SCAN_EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                pass  # time for the next one

    async def scan(self) -> None:
        """Look once at all, and see to some."""
        now_ns = self._now_ns()
        overdue = await self._pending.asked_before(now_ns - int(OBJECTIVE_S * 1e9))
        self._metrics.overdue(len(overdue))
        ids = {saga.envelope.saga_id for saga in overdue}
        self._seen_ns = {saga_id: seen_ns for saga_id, seen_ns in self._seen_ns.items() if saga_id in ids}
        due = [
            (todo, saga)
            for saga in sorted(overdue, key=lambda saga: saga.asked_ns)
            if (todo := decide((now_ns - saga.asked_ns) / 1e9, saga.repairs)) is not Todo.NOTHING
            and now_ns - self._seen_ns.get(saga.envelope.saga_id, saga.asked_ns) >= OBJECTIVE_S * 1e9
        ]
        for _, saga in due[:LOOKS_A_SCAN]:
            self._seen_ns[saga.envelope.saga_id] = now_ns
        await asyncio.gather(*(self._see_to(todo, saga) for todo, saga in due[:LOOKS_A_SCAN]))

    async def _see_to(self, todo: Todo, saga: PendingSaga) -> None:
        try:
            if todo is not Todo.REPAIR and isinstance(self._connection, Abortable):
                await self._connection.abort(saga.envelope.saga_id, saga.repairs)
            if todo is Todo.EXPIRE:
                await self._expire(saga)
            else:
                await self._repair(saga)
        except TRANSIENT as error:
            log.warning("%s: not repaired this time: %s", saga.envelope.saga_id, error)

    async def _repair(self, saga: PendingSaga) -> None:
        repairs = saga.repairs + 1
        envelope = msgspec.structs.replace(saga.envelope, repairs=repairs)
        if not isinstance(self._connection, Repairable):
            await self._connection.start(envelope)
        elif not await self._connection.repair(envelope):
            return
        # After it, not before: a repair that is made twice does no harm, one that was only noted would.
        await self._pending.asked_again(envelope.saga_id, repairs, self._now_ns())
        self._metrics.repaired()
        self._tell(saga, f"asked for again ({repairs} of {MAX_REPAIRS})")

    async def _expire(self, saga: PendingSaga) -> None:
        await self._pending.expire(saga.envelope.saga_id, self._now_ns())
        self._metrics.expired()
        self._tell(saga, f"given up after {MAX_REPAIRS} repairs: left for a person")

    def _tell(self, saga: PendingSaga, what: str) -> None:
        pending_s = (self._now_ns() - saga.accepted_ns) / 1e9
        what = f"sweeper: saga {saga.envelope.saga_id}, pending for {pending_s:.1f} s, {what}"
        self._spool.write(EventRow(t_s=round(self._now_s(), 3), what=what))
