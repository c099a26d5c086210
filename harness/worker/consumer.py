"""Takes messages from one queue, a bounded number at a time, and acknowledges what was handled."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from harness.aws.batching import Batcher
from harness.aws.gateway import TRANSIENT, Gateway
from harness.core.seeded import uniform
from harness.topologies.base import Delivery
from harness.topologies.policy import RetryPolicy
from harness.worker.ports import Process, Received
from harness.worker.processing import Unreadable

LONG_POLL_S = 2
"""Short enough that a worker can stop by waiting for its polls: a cancelled one swallows the next message."""
RECEIVE_BATCH = 10
ACKNOWLEDGE_LINGER_S = 0.2
"""Long, because nobody waits for it, and short beside the visibility timeout."""
MAX_ACKNOWLEDGING = 16
"""Batches of acknowledgements under way, beyond which nothing is received until one has been answered."""
PAUSE_AFTER_ERROR_S = 0.5
COPY = "sagastorm-copy"
"""Attribute of a message that a fault had delivered again: a copy of a copy would go on for ever."""

log = logging.getLogger(__name__)


class Read(Protocol):
    """What turns a message into a delivery."""

    def __call__(self, participant: str, body: str, receives: int, *, is_copy: bool = False) -> Delivery:
        """Raises :class:`~harness.worker.processing.Unreadable`."""
        ...


class Consumer:
    """One participant's queue. ``concurrency`` bounds the messages in hand."""

    def __init__(
        self,
        gateway: Gateway,
        queue_url: str,
        participant: str,
        read: Read,
        process: Process,
        *,
        policy: RetryPolicy,
        seed: int,
        concurrency: int,
    ) -> None:
        self._gateway = gateway
        self._queue_url = queue_url
        self._participant = participant
        self._read = read
        self._process = process
        self._policy = policy
        self._seed = seed
        self._free = concurrency
        self._freed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acknowledgements: Batcher[str] = Batcher(self._delete, ACKNOWLEDGE_LINGER_S)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until ``stopping`` is set, then finish what is in hand. Never cancel this: a long poll would be lost."""
        while not stopping.is_set():
            if self._acknowledgements.batches_under_way >= MAX_ACKNOWLEDGING:
                await self._acknowledgements.one_answered()
                continue
            if self._free == 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            for message in await self._receive():
                self._free -= 1
                task = asyncio.create_task(self._handle(message))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._acknowledgements.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        self._freed.set()
        if error := task.exception():
            log.error("%s: a handler failed in an unforeseen way", self._participant, exc_info=error)

    async def _receive(self) -> list[dict[str, Any]]:
        try:
            response = await self._gateway.call(
                "sqs",
                "ReceiveMessage",
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=min(RECEIVE_BATCH, self._free),
                WaitTimeSeconds=LONG_POLL_S,
                AttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=[COPY],
            )
        except TRANSIENT as error:
            log.warning("%s: cannot receive: %s", self._participant, error)
            await asyncio.sleep(PAUSE_AFTER_ERROR_S)
            return []
        return response.get("Messages") or []

    async def _handle(self, message: dict[str, Any]) -> None:
        receives = int(message["Attributes"]["ApproximateReceiveCount"])
        try:
            is_copy = COPY in (message.get("MessageAttributes") or {})
            delivery = self._read(self._participant, message["Body"], receives, is_copy=is_copy)
        except Unreadable as error:
            # It stays invisible until its timeout, and after enough of those goes to the dead-letter queue.
            log.warning("%s: unreadable message %s: %s", self._participant, message["MessageId"], error)
            return
        try:
            await self._process(Received(delivery, lambda delay_s: self._resend(message["Body"], delay_s)))
        except TRANSIENT as error:
            log.info("%s %s: %s", delivery.envelope.saga_id, delivery.step, error)
            await self._back_off(message["ReceiptHandle"], delivery)
            return
        self._acknowledgements.add(message["ReceiptHandle"]).add_done_callback(self._acknowledged)

    def _acknowledged(self, done: asyncio.Future[None]) -> None:
        """Nobody waits for an acknowledgement: without it the message comes again, and is answered from its record."""
        if error := done.exception():
            log.info("%s: not acknowledged, it will come again: %s", self._participant, error)

    async def _back_off(self, receipt: str, delivery: Delivery) -> None:
        jitter = uniform(self._seed, "backoff", delivery.envelope.saga_id, delivery.step, delivery.attempt)
        try:
            await self._gateway.call(
                "sqs",
                "ChangeMessageVisibility",
                QueueUrl=self._queue_url,
                ReceiptHandle=receipt,
                VisibilityTimeout=self._policy.delay_s(delivery.receives, jitter),
            )
        except TRANSIENT as error:
            log.info("%s: keeps its visibility timeout: %s", self._participant, error)

    async def _resend(self, body: str, delay_s: int) -> None:
        await self._gateway.call(
            "sqs",
            "SendMessage",
            QueueUrl=self._queue_url,
            MessageBody=body,
            DelaySeconds=delay_s,
            MessageAttributes={COPY: {"DataType": "String", "StringValue": "1"}},
        )

    async def _delete(self, receipts: list[str]) -> list[BaseException | None]:
        await self._gateway.call(
            "sqs",
            "DeleteMessageBatch",
            QueueUrl=self._queue_url,
            Entries=[{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(receipts)],
        )
        return [None] * len(receipts)
