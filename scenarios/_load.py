"""One process's share of the load: an open dispatcher.

Arrivals come when they are due, whatever has become of the ones before: each gets a greenlet of its own, and one that
finds no room is dropped and counted. A closed loop of users would wait with a slow system, and hide that it is slow.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator

import gevent
from gevent.event import Event
from gevent.pool import Pool

from harness import registry
from harness.load.arrivals import LOAD_DIGEST, arrivals, digest, workload_plan
from harness.load.plan import LoadPlan
from scenarios._client import Accepted, Client, Prepared, Refused
from scenarios._exporter import metrics_for
from scenarios._recorder import Counts, Recorder

PREPARED_LIMIT = 20_000
"""Orders made before the load starts; what a longer load asks for is made when it is due."""
_READY_BEFORE_S = 0.05
_KILL_LIMIT_S = 5.0
_PROOF_LIMIT_S = 10.0
"""For what is left of the digest when the load is over; an arrival takes some 30 µs."""
_SLICE = 50
"""Arrivals that are worked on before others have a turn."""

logger = logging.getLogger("sagastorm.load")


class Load:
    """Every ``of``-th arrival of the plan, beginning with number ``index``. Starts by itself, and ends by itself."""

    def __init__(
        self, plan: LoadPlan, epoch_ns: int, *, index: int, of: int, key: str, fire: Callable[..., None]
    ) -> None:
        self._due_s = arrivals(plan)
        self._mine = range(index, len(self._due_s), of)
        self._epoch_s = epoch_ns / 1e9
        self._ends_s = plan.duration_s
        self._outcome_wait_s = plan.outcome_wait_s
        process = f"load-{index}-{os.getpid()}"
        self._recorder = Recorder(plan, process, metrics_for(plan, process), fire)
        self._workload = registry.saga(plan.saga).workload(workload_plan(plan, self._due_s))
        self._client = Client(plan, self._workload, key, self._recorder.posted)
        self._prepared: dict[int, Prepared] = {}
        self._is_prepared = Event()
        self._pool = Pool(plan.max_in_flight)
        self.problem: str | None = None
        """What broke in the generator itself."""
        self.drained = Event()
        """Set when no saga is under way any more and everything is recorded."""
        self._recorder.counts.scheduled = len(self._mine)
        self._pacer = gevent.spawn(self._pace)
        # Of the whole load, which every process knows, so it takes one of them only.
        self._proof = gevent.spawn(self._prove) if index == 0 else None
        gevent.spawn(self._run)

    @property
    def counts(self) -> Counts:
        """What became of the arrivals so far."""
        return self._recorder.counts

    def stop_arrivals(self) -> None:
        """Send nothing new; what is under way is waited for as it would be at the planned end."""
        self._ends_s = min(self._ends_s, self._now_s())
        self._pacer.kill(block=False)

    def abort(self) -> None:
        """Send nothing new and wait for nothing: what is under way stays unresolved."""
        self._ends_s = min(self._ends_s, self._now_s() - self._outcome_wait_s)
        self._pacer.kill(block=False)
        self._pool.kill(block=False)
        if self._proof is not None:
            self._proof.kill(block=False)

    def _run(self) -> None:
        try:
            self._pacer.join()
            if self._pacer.exception is not None:
                self.problem = f"the dispatcher failed: {self._pacer.exception!r}"
            self._pool.join(timeout=max(0.0, self._left_s()))
            # Each saga that is killed writes its last row on the way out.
            self._pool.kill(timeout=_KILL_LIMIT_S)
            self._client.close()
            if self._proof is not None:
                self._proof.join(_PROOF_LIMIT_S)
                self._proof.kill()
                if self._proof.exception is not None and self.problem is None:
                    self.problem = f"the load could not be told: {self._proof.exception!r}"
            self._recorder.close()
        finally:
            self.drained.set()

    def _pace(self) -> None:
        self._prepare()
        self._is_prepared.set()
        for number in self._mine:
            due_s = self._due_s[number]
            if self._now_s() >= due_s:
                # Behind the schedule: without this, the arrivals that are late would keep those under way from going on.
                gevent.sleep(0)
            while (early_s := due_s - self._now_s()) > 0:
                gevent.sleep(early_s)
            if self._pool.full():
                self._recorder.counts.due += 1
                self._recorder.dropped(number, due_s)
            else:
                self._pool.spawn(self._saga, number, due_s)
        # The load lasts as long as it was planned to, also where the last arrivals came and went early: one that is over
        # before its time counts as stopped.
        while (left_s := self._ends_s - self._now_s()) > 0:
            gevent.sleep(left_s)

    def _prepare(self) -> None:
        """Make orders and sign identities ahead, as far as time allows.

        In one go this takes a fifth of the CPU time that it takes in between, with cold caches, and takes it before
        the system under test has any work.
        """
        for count, number in enumerate(self._mine[:PREPARED_LIMIT]):
            if count % _SLICE == 0:
                if self._now_s() > -_READY_BEFORE_S:
                    return
                gevent.sleep(0)
            self._prepared[number] = self._client.prepare(number, self._due_s[number])

    def _prove(self) -> None:
        """Record the digest of what is sent, by the schedule and the workload that it is sent by."""
        gevent.wait([self._is_prepared, self._pacer], count=1)
        proof = digest(self._in_spare_time(), self._workload)
        self._recorder.event(round(self._now_s(), 6), f"{LOAD_DIGEST}{proof}")

    def _in_spare_time(self) -> Iterator[float]:
        """The schedule, as fast as it can be taken without the load noticing: before its start, and after its end."""
        for number, due_s in enumerate(self._due_s):
            if number % _SLICE == 0:
                gevent.sleep(0)
                if self._now_s() > -_READY_BEFORE_S:
                    self._pacer.join()
            yield due_s

    def _saga(self, arrival: int, due_s: float) -> None:
        # Counted here and not where it was due: one that is killed before it begins was never sent, and has no row.
        self._recorder.counts.due += 1
        sent_s: float | None = None
        record = self._recorder
        answer: Accepted | Refused | None = Refused("error", "no answer while the client was asking")
        try:
            prepared = self._prepared.pop(arrival, None) or self._client.prepare(arrival, due_s)
            sent_s = round(self._now_s(), 6)
            answer = self._client.start(arrival, prepared)
            if isinstance(answer, Accepted):
                record.accepted(arrival, due_s, sent_s, answer.saga_id)
                told = self._client.outcome(arrival, answer, prepared, self._left_s)
                if told is not None:
                    record.ended(arrival, due_s, sent_s, self._now_s(), answer.saga_id, told.status, told.reason)
                    answer = None
        except Exception as error:
            self.problem = f"arrival {arrival}: {error!r}"
            logger.exception("arrival %d failed in the load generator", arrival)
            if not isinstance(answer, Accepted):
                answer = Refused("error", f"the load generator failed: {error!r}")
        finally:
            # Also where the greenlet is killed, at the limit: nothing that was sent goes unrecorded.
            if isinstance(answer, Accepted):
                record.unresolved(arrival, due_s, sent_s, self._now_s(), answer.saga_id)
            elif isinstance(answer, Refused):
                record.refused(arrival, due_s, sent_s, self._now_s(), answer.status, answer.reason)

    def _now_s(self) -> float:
        return time.monotonic() - self._epoch_s

    def _left_s(self) -> float:
        return self._ends_s + self._outcome_wait_s - self._now_s()
