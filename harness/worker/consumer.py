"""Takes messages from one queue, a bounded number at a time, and acknowledges what was handled."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any, Protocol

from harness.aws.backlog import REDRIVEN
from harness.aws.batching import Batcher, Flush
from harness.aws.gateway import TRANSIENT, Gateway
from harness.topologies.base import Delivery
from harness.topologies.policy import RetryPolicy
from harness.worker.breaker import Breaker
from harness.worker.budget import RetryBudget
from harness.worker.ports import Process, Received
from harness.worker.processing import Unreadable
from harness.worker.shedding import Outlived

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


class EarlyAcknowledgement:
    """Of one message that is still in hand: made at most once, however many copies of the handling ask for it."""

    def __init__(self, delete: Flush[str], receipt: str) -> None:
        self._delete = delete
        self._receipt = receipt
        self._deleting: asyncio.Future[list[BaseException | None]] | None = None

    @property
    def given(self) -> bool:
        """Whether anybody asked for it."""
        return self._deleting is not None

    async def __call__(self) -> None:
        """Returns when the message is gone; raises one of ``TRANSIENT`` where that is not certain."""
        if self._deleting is None:
            self._deleting = asyncio.ensure_future(self._delete([self._receipt]))
        await self._deleting


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
        breaker: Breaker | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        self._gateway = gateway
        self._queue_url = queue_url
        self._participant = participant
        self._read = read
        self._process = process
        self._policy = policy
        self._seed = seed
        self._breaker = breaker
        self._budget = budget
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
            room = self._free if self._breaker is None else self._breaker.room(self._free)
            if room == 0:
                await self._more_room()
                continue
            for message in await self._receive(room):
                self._free -= 1
                task = asyncio.create_task(self._handle(message))
                self._tasks.add(task)
                task.add_done_callback(self._done)
            if self._breaker is not None:
                await asyncio.sleep(0)  # begins those tasks, so that the breaker knows what is under way
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._acknowledgements.close()

    async def _more_room(self) -> None:
        if self._breaker is not None and self._free:
            await self._breaker.change()
        else:
            self._freed.clear()
            await self._freed.wait()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        self._freed.set()
        if error := task.exception():
            log.error("%s: a handler failed in an unforeseen way", self._participant, exc_info=error)

    async def _receive(self, room: int) -> list[dict[str, Any]]:
        try:
            response = await self._gateway.call(
                "sqs",
                "ReceiveMessage",
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=min(RECEIVE_BATCH, room),
                WaitTimeSeconds=LONG_POLL_S,
                AttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=[COPY, REDRIVEN],
            )
        except TRANSIENT as error:
            log.warning("%s: cannot receive: %s", self._participant, error)
            await asyncio.sleep(PAUSE_AFTER_ERROR_S)
            return []
        return response.get("Messages") or []

    async def _handle(self, message: dict[str, Any]) -> None:
        expires_s = asyncio.get_running_loop().time() + self._policy.visibility_timeout_s
        receives = int(message["Attributes"]["ApproximateReceiveCount"])
        marks = message.get("MessageAttributes") or {}
        # Deliveries before a redrive count on, or faults would decide on each of them as they did before.
        before = int(marks[REDRIVEN]["StringValue"]) * (self._policy.max_receives or 0) if REDRIVEN in marks else 0
        try:
            delivery = self._read(self._participant, message["Body"], before + receives, is_copy=COPY in marks)
        except Unreadable as error:
            # No retry helps, but only so many deliveries bring it to the dead-letter queue. The waits between them do
            # not grow: nobody has too much to do because of it.
            log.warning("%s: unreadable message %s: %s", self._participant, message["MessageId"], error)
            wait_s = self._policy.delay_s(1, self._seed, message["MessageId"], receives)
            await self._back_off(message["ReceiptHandle"], wait_s)
            return
        if self._budget is not None:
            self._budget.delivered(delivery)
        early = EarlyAcknowledgement(self._delete, message["ReceiptHandle"])
        try:
            timed = replace(delivery, expires_s=expires_s)
            await self._process(Received(timed, message["Body"], self._put, early))
        except Outlived as error:
            # It is not ours to put back.
            log.info("%s %s: %s", delivery.envelope.saga_id, delivery.step, error)
            return
        except TRANSIENT as error:
            log.info("%s %s: %s", delivery.envelope.saga_id, delivery.step, error)
            key = (delivery.envelope.arrival, delivery.step, delivery.retry or 0, int(delivery.is_copy))
            await self._back_off(message["ReceiptHandle"], self._held_s(receives, *key))
            return
        if not early.given:
            self._acknowledgements.add(message["ReceiptHandle"]).add_done_callback(self._acknowledged)

    def _acknowledged(self, done: asyncio.Future[None]) -> None:
        """Nobody waits for an acknowledgement: without it the message comes again, and is answered from its record."""
        if error := done.exception():
            log.info("%s: not acknowledged, it will come again: %s", self._participant, error)

    def _held_s(self, failures: int, *key: str | int) -> int:
        """How long a step that failed waits for its next try, with the others that wait for theirs."""
        wait_s = self._policy.delay_s(failures, self._seed, *key)
        longest_s = self._policy.max_delay_s
        if self._breaker is not None and (held_s := self._breaker.wait_s(wait_s, longest_s)) is not None:
            return held_s
        return wait_s if self._budget is None else self._budget.wait_s(wait_s, longest_s)

    async def _back_off(self, receipt: str, wait_s: int) -> None:
        try:
            await self._gateway.call(
                "sqs",
                "ChangeMessageVisibility",
                QueueUrl=self._queue_url,
                ReceiptHandle=receipt,
                VisibilityTimeout=wait_s,
            )
        except TRANSIENT as error:
            log.info("%s: keeps its visibility timeout: %s", self._participant, error)

    async def _put(self, body: str, delay_s: int) -> None:
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
