"""From a message to a reply: who asks, what for, what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import msgspec

from harness.aws.gateway import TRANSIENT
from harness.core import identity
from harness.core.saga import Command, Saga
from harness.core.subject import SUBJECTS
from harness.history.records import StepRow
from harness.history.spool import Spool
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Dispatcher, Reply
from harness.topologies.base import Connection, Delivery
from harness.worker.ports import Answer, Received, Work

MAX_BODY_CHARACTERS = 64 * 1024
"""Of a message. A command or an event has about two thousand; what is far beyond is not decoded to find out why."""

log = logging.getLogger(__name__)


class Unreadable(Exception):
    """The message asks for nothing that this participant does, or not in a trusted name. No retry will change that."""


def participant_work(saga: Saga, dispatcher: Dispatcher) -> Work:
    """The participants' own code, behind the port that faults may wrap."""
    decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(saga.request)

    async def work(delivery: Delivery) -> Reply:
        envelope = delivery.envelope
        return await dispatcher.handle(Command(envelope.saga_id, delivery.step, decoder.decode(envelope.request)))

    return work


class Processing:
    """Handles deliveries for all participants of one worker process.

    ``outbox``: the reply is told before the message is acknowledged. The dispatcher has stored it with the effect, so a
    message that comes again because nobody could be told is told again; no table of things to be told is needed besides.
    Without, the message is acknowledged as soon as the step is committed: what goes wrong from there to the end of the
    telling, a crash or an error, loses the reply for ever.
    """

    def __init__(
        self,
        saga: Saga,
        work: Work,
        answer: Answer,
        *,
        worker: str,
        spool: Spool,
        metrics: Metrics,
        now_s: Callable[[], float],
        outbox: bool = True,
    ) -> None:
        self._undoing = {work.name for work in saga.works().values() if work.undoes}
        self._work = work
        self._answer = answer
        self._worker = worker
        self._spool = spool
        self._metrics = metrics
        self._now_s = now_s
        self._outbox = outbox

    async def __call__(self, received: Received) -> None:
        """Take the step and tell how it ended. Raises one of ``TRANSIENT`` where it must be delivered again."""
        delivery = received.delivery
        SUBJECTS.set((delivery.subject,))
        started = time.perf_counter()
        try:
            reply = await self._work(delivery)
        except TRANSIENT as error:
            self._record(delivery, started, "error", detail=str(error))
            raise
        self._record(delivery, started, reply.result, replayed=reply.replayed, detail=reply.reason)
        if reply.replayed:
            self._metrics.duplicate(delivery.step, suppressed=True)
        elif delivery.step in self._undoing and reply.result == "done":
            self._metrics.compensation(delivery.participant, delivery.step)
        if self._outbox:
            await self._answer(delivery, reply)
        else:
            await received.acknowledge()
            await self._tell_once(delivery, reply)

    async def _tell_once(self, delivery: Delivery, reply: Reply) -> None:
        try:
            await self._answer(delivery, reply)
        except TRANSIENT as error:
            log.info("%s %s: nobody will hear of it: %s", delivery.envelope.saga_id, delivery.step, error)

    def _record(
        self, delivery: Delivery, started: float, result: str, *, replayed: bool = False, detail: str | None = None
    ) -> None:
        took_s = time.perf_counter() - started
        shown = "replayed" if replayed else result
        self._metrics.step(delivery.participant, delivery.step, shown, took_s, delivery.envelope.saga_id)
        self._spool.write(
            StepRow(
                t_s=round(self._now_s(), 4),
                worker=self._worker,
                participant=delivery.participant,
                saga_id=delivery.envelope.saga_id,
                arrival=delivery.envelope.arrival,
                step=delivery.step,
                result=result,
                replayed=replayed,
                attempt=delivery.attempt,
                took_ms=round(1000 * took_s, 2),
                detail=detail,
            )
        )


class Reader:
    """Reads messages and counts them by layer; trusts no identity that it has not verified.

    What a fault has put on the queue, a copy or poison, is nobody's try; that the queue delivers it again is a retry.
    """

    def __init__(self, connection: Connection, metrics: Metrics, key: str, audience: str) -> None:
        self._connection = connection
        self._metrics = metrics
        self._verify = lru_cache(maxsize=4096)(lambda token: identity.verify(key, token, audience, may_be_stale=True))

    def __call__(self, participant: str, body: str, receives: int, *, is_copy: bool = False) -> Delivery:
        """Raises :class:`Unreadable`."""
        if receives > 1:
            self._metrics.tried("delivery", retries=1)
        delivery = self._read(participant, body, receives)
        if is_copy:
            return replace(delivery, is_copy=True)
        if receives == 1:
            self._metrics.tried("delivery")
            if delivery.retry is not None:
                self._metrics.tried("stepfunctions", retries=int(delivery.retry > 0))
        return delivery

    def _read(self, participant: str, body: str, receives: int) -> Delivery:
        if len(body) > MAX_BODY_CHARACTERS:
            raise Unreadable(f"{len(body)} characters, where {MAX_BODY_CHARACTERS} are the most")
        try:
            delivery = self._connection.read(participant, body, receives)
            self._verify(delivery.envelope.identity)
        except (msgspec.DecodeError, KeyError, identity.InvalidIdentity) as error:
            raise Unreadable(str(error)) from error
        return delivery
