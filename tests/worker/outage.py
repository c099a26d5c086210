"""A participant with a real consumer, a queue and a database that breaks down, all in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from prometheus_client import CollectorRegistry

from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery
from harness.topologies.policy import RetryPolicy
from harness.worker.breaker import Breaker, guarded
from harness.worker.budget import RetryBudget
from harness.worker.consumer import Consumer
from harness.worker.ports import Received
from harness.worker.processing import Unreadable
from tests.fake_gateway import FakeGateway, Parameters
from tests.samples import delivery, envelope
from tests.virtual_time import in_virtual_time
from tests.worker.fake_queue import message

PARTICIPANT = "payment"
RATE_PER_S = 25
TIMEOUT_S = 1.0


class TimedQueue:
    """A queue that hands a message out again when its visibility timeout is over."""

    def __init__(self) -> None:
        self._visible_s: dict[str, float] = {}
        self.receives: dict[str, int] = {}
        """How often each message was handed out."""
        self.gateway = FakeGateway(
            ReceiveMessage=self._receive, ChangeMessageVisibility=self._hide, DeleteMessageBatch=self._delete
        )

    def send(self, body: str) -> None:
        """A new message."""
        self._visible_s[body], self.receives[body] = _now_s(), 0

    async def _receive(self, asked: Parameters) -> dict[str, Any]:
        until_s = _now_s() + asked["WaitTimeSeconds"]
        while _now_s() < until_s:
            due = [body for body, visible_s in self._visible_s.items() if visible_s <= _now_s()]
            if taken := due[: asked["MaxNumberOfMessages"]]:
                return {"Messages": [self._hand_out(body) for body in taken]}
            await asyncio.sleep(0.02)
        return {}

    def _hand_out(self, body: str) -> dict[str, Any]:
        self._visible_s[body] = _now_s() + RetryPolicy().visibility_timeout_s
        self.receives[body] += 1
        return message(body, self.receives[body])

    def _hide(self, asked: Parameters) -> dict[str, Any]:
        self._visible_s[asked["ReceiptHandle"].removeprefix("receipt-")] = _now_s() + asked["VisibilityTimeout"]
        return {}

    def _delete(self, asked: Parameters) -> dict[str, Any]:
        for entry in asked["Entries"]:
            self._visible_s.pop(entry["ReceiptHandle"].removeprefix("receipt-"), None)
        return {}


class Database:
    """Answers one request after the other, and the more are waiting the longer each one takes.

    A caller gives up after :data:`TIMEOUT_S`; its request is answered all the same, and keeps the others waiting.
    """

    def __init__(self, capacity_per_s: float, thrashes_at: int, down: tuple[float, float]) -> None:
        self._service_s = 1 / capacity_per_s
        self._thrashes_at = thrashes_at
        self._down = down
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.asked_s: list[float] = []
        """When each request came."""
        self.answered_s: list[float] = []
        """When each request was answered whose caller was still there."""

    async def work(self, delivered: Delivery) -> Reply:
        """Ask it for one step."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked_s.append(_now_s())
        self._waiting.append(answer)
        try:
            await asyncio.wait_for(answer, TIMEOUT_S)
        except TimeoutError:
            raise Indefinite("no answer") from None
        self.answered_s.append(_now_s())
        return Reply(result="done")

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            down_s, up_s = self._down
            if down_s <= _now_s() < up_s:
                await asyncio.sleep(up_s - _now_s())
            if not self._waiting:
                await asyncio.sleep(0.001)
                continue
            await asyncio.sleep(self._service_s * (1 + len(self._waiting) / self._thrashes_at))
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(None)


class Outage:
    """What became of one: sagas arrive evenly for ``lasts_s``, and the database is down for a part of it."""

    def __init__(
        self,
        *,
        breaker: bool,
        budget: bool,
        capacity_per_s: float,
        thrashes_at: int,
        down: tuple[float, float],
        lasts_s: int,
        concurrency: int,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.queue = TimedQueue()
        self.database = Database(capacity_per_s, thrashes_at, down)
        self.registry = CollectorRegistry()
        self._breaker = breaker
        self._budget = budget
        self._lasts_s = lasts_s
        self._concurrency = concurrency
        self._policy = policy or RetryPolicy()
        in_virtual_time(self._run())

    def answered_per_s(self, start_s: float, end_s: float) -> float:
        """Steps done, a second."""
        return sum(start_s <= at_s < end_s for at_s in self.database.answered_s) / (end_s - start_s)

    def asked_per_s(self, start_s: float, end_s: float) -> float:
        """Steps begun, a second."""
        return sum(start_s <= at_s < end_s for at_s in self.database.asked_s) / (end_s - start_s)

    def redeliveries(self) -> int:
        """Of all messages together."""
        return sum(receives - 1 for receives in self.queue.receives.values() if receives)

    async def _run(self) -> None:
        metrics, clock = Metrics(self.registry, topology="t", saga="s"), _now_s
        breaker = Breaker(PARTICIPANT, metrics, clock) if self._breaker else None
        work = guarded(self.database.work, {PARTICIPANT: breaker}) if breaker else self.database.work

        async def process(received: Received) -> None:
            await work(received.delivery)

        consumer = Consumer(
            self.queue.gateway,
            "the-queue",
            PARTICIPANT,
            read,
            process,
            policy=self._policy,
            seed=1,
            concurrency=self._concurrency,
            breaker=breaker,
            budget=RetryBudget(PARTICIPANT, metrics, clock) if self._budget else None,
        )
        stopping = asyncio.Event()
        serving, consuming = asyncio.create_task(self.database.run()), asyncio.create_task(consumer.run(stopping))
        for number in range(self._lasts_s * RATE_PER_S):
            self.queue.send(f"saga-{number}")
            await asyncio.sleep(1 / RATE_PER_S)
        stopping.set()
        await consuming
        serving.cancel()


def read(participant: str, body: str, receives: int, *, is_copy: bool = False) -> Delivery:
    """The body is the saga id, unless it is gibberish."""
    if body == "gibberish":
        raise Unreadable("it makes no sense")
    return delivery(participant=participant, envelope=envelope(saga_id=body), receives=receives, is_copy=is_copy)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
