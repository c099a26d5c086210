"""Hears how sagas end: the ingress is one more subscriber on the bus, in every topology."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from harness.aws.batching import Batcher
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.pending import PendingSagas
from harness.core.saga import Saga
from harness.ingress.sagas import Sagas
from harness.topologies.base import ending_events

LONG_POLL_S = 2
MAX_DELETING = 16
"""Batches under way of messages to be deleted, or of sagas to be forgotten, beyond which nothing is received until one has
been answered."""
PAUSE_AFTER_ERROR_S = 0.5
FORGET_LINGER_S = 0.2
"""Long, because nobody waits for it, and short beside what the sweeper waits for."""

log = logging.getLogger(__name__)


class _Identified(msgspec.Struct):
    saga_id: str


class _Ending(msgspec.Struct):
    envelope: _Identified
    failure: dict[str, Any] | None = None


class _Event(msgspec.Struct, rename={"type": "detail-type"}):
    type: str
    detail: _Ending


class OutcomeListener:
    """Reads the ingress's queue until it is told to stop."""

    def __init__(
        self, gateway: Gateway, queue_url: str, saga: Saga, sagas: Sagas, pending: PendingSagas | None = None
    ) -> None:
        """``pending``: where a saga that has ended is to be forgotten, if it was registered there."""
        self._forgetting = Batcher(pending.forget, FORGET_LINGER_S) if pending else None
        self._gateway = gateway
        self._queue_url = queue_url
        self._sagas = sagas
        self._endings = ending_events(saga)
        self._decoder = msgspec.json.Decoder(_Event)

    async def run(self, stopping: asyncio.Event) -> None:
        """Never cancel this: a cancelled long poll swallows the next message."""
        deleting: set[asyncio.Task[None]] = set()
        while not stopping.is_set():
            try:
                response = await self._gateway.call(
                    "sqs",
                    "ReceiveMessage",
                    QueueUrl=self._queue_url,
                    MaxNumberOfMessages=10,
                    WaitTimeSeconds=LONG_POLL_S,
                )
            except TRANSIENT as error:
                log.warning("outcomes: cannot receive: %s", error)
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)
                continue
            messages = response.get("Messages") or []
            for message in messages:
                self._hear(message["Body"])
            if messages:
                task = asyncio.create_task(self._delete(messages))
                deleting.add(task)
                task.add_done_callback(deleting.discard)
            if len(deleting) >= MAX_DELETING:
                await asyncio.wait(deleting, return_when=asyncio.FIRST_COMPLETED)
            if self._forgetting and self._forgetting.batches_under_way >= MAX_DELETING:
                await self._forgetting.one_answered()
        if deleting:
            await asyncio.wait(deleting)
        if self._forgetting:
            await self._forgetting.close()

    def _hear(self, body: str) -> None:
        try:
            event = self._decoder.decode(body)
            outcome = self._endings[event.type]
        except (msgspec.DecodeError, KeyError) as error:
            log.warning("outcomes: unreadable message: %s", error)
            return
        failure = event.detail.failure or {}
        saga_id = event.detail.envelope.saga_id
        self._sagas.end(saga_id, outcome, failure.get("Cause") or failure.get("Error"))
        if self._forgetting:
            # Whether or not it is known here: a saga whose start was not known to have worked may have been started.
            self._forgetting.add(saga_id).add_done_callback(_forgotten)

    async def _delete(self, messages: list[dict[str, Any]]) -> None:
        entries = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)]
        try:
            await self._gateway.call("sqs", "DeleteMessageBatch", QueueUrl=self._queue_url, Entries=entries)
        except TRANSIENT as error:
            log.info("outcomes: not deleted, it will be heard twice: %s", error)


def _forgotten(done: asyncio.Future[None]) -> None:
    """Nobody waits for it: of what is still registered, the sweeper will have the ending told again."""
    if error := done.exception():
        log.info("outcomes: an ended saga is still registered: %s", error)
