"""The circuit breaker: what opens it, what it lets through when, and that a queue is left alone meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest
from botocore.exceptions import EndpointConnectionError
from prometheus_client import CollectorRegistry

from harness.aws.gateway import TRANSIENT
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.participants.ports import ConditionFailed
from harness.topologies.base import Delivery
from harness.topologies.policy import RetryPolicy
from harness.worker.breaker import OPEN_S, PROBES, WINDOW_CALLS, Breaker, CircuitOpen, guarded
from harness.worker.consumer import LONG_POLL_S, Consumer
from harness.worker.ports import Received
from tests.fake_gateway import aws_error
from tests.samples import delivery
from tests.virtual_time import in_virtual_time
from tests.worker.fake_queue import FakeQueue, message
from tests.worker.outage import Outage, TimedQueue, read

DONE = Reply(result="done")
DOWN = Indefinite("cannot be reached")


class Dependency:
    """Replies, or fails with what is in ``error``; waits for ``gate`` where there is one."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.asked = 0

    async def __call__(self, delivered: Delivery) -> Reply:
        self.asked += 1
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return DONE


class Bench:
    """A breaker, its dependency, and a clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.registry = CollectorRegistry()
        self.dependency = Dependency()
        self.breaker = Breaker("payment", Metrics(self.registry, topology="t", saga="s"), lambda: self.now_s)

    async def take(self, error: Exception | None = None) -> Reply | Exception:
        """One step: how it ended."""
        self.dependency.error = error
        try:
            return await self.breaker.take(self.dependency, delivery())
        except (*TRANSIENT, ValueError) as raised:
            return raised

    async def open(self) -> None:
        for _ in range(WINDOW_CALLS):
            await self.take(DOWN)

    def counted(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"topology": "t", "saga": "s", "participant": "payment"} | labels)


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield Bench()


def failed_condition() -> Indefinite:
    """As the dispatcher raises it."""
    try:
        try:
            raise ConditionFailed({0: None})
        except ConditionFailed:
            raise Indefinite("another saga holds it")
    except Indefinite as error:
        return error


@pytest.mark.parametrize(
    "error",
    [DOWN, aws_error("ThrottlingException"), EndpointConnectionError(endpoint_url="http://nowhere")],
    ids=["no answer", "throttled", "no connection"],
)
async def test_dependency_that_fails_is_asked_no_more(bench: Bench, error: Exception) -> None:
    for _ in range(WINDOW_CALLS):
        assert await bench.take(error) is error
    assert isinstance(await bench.take(), CircuitOpen)
    assert bench.dependency.asked == WINDOW_CALLS
    assert bench.counted("sagastorm_breaker_refused_total") == 1


@pytest.mark.parametrize(
    "error", [None, failed_condition(), ValueError("a bug")], ids=["reply", "failed condition", "bug of ours"]
)
async def test_what_is_not_the_database_s_failure_opens_nothing(bench: Bench, error: Exception | None) -> None:
    for _ in range(3 * WINDOW_CALLS):
        await bench.take(error)
    assert bench.dependency.asked == 3 * WINDOW_CALLS
    assert bench.breaker.room(32) == 32


@pytest.mark.parametrize(("failures", "room"), [(WINDOW_CALLS // 2 - 1, 32), (WINDOW_CALLS // 2, 0)])
async def test_half_of_the_last_calls_must_have_failed(bench: Bench, failures: int, room: int) -> None:
    for number in range(WINDOW_CALLS):
        await bench.take(DOWN if number < failures else None)
    assert bench.breaker.room(32) == room


async def test_few_calls_are_no_evidence(bench: Bench) -> None:
    for _ in range(WINDOW_CALLS - 1):
        await bench.take(DOWN)
    assert bench.breaker.room(32) == 32


async def test_participant_that_is_down_closes_the_way_to_itself_only() -> None:
    metrics = Metrics(CollectorRegistry(), topology="t", saga="s")
    breakers = {name: Breaker(name, metrics) for name in ("payment", "inventory")}
    dependency = Dependency()
    dependency.error = DOWN
    work = guarded(dependency, breakers)
    for _ in range(WINDOW_CALLS):
        with pytest.raises(Indefinite, match="cannot be reached"):
            await work(delivery("charge", "payment"))
    with pytest.raises(CircuitOpen):
        await work(delivery("charge", "payment"))
    dependency.error = None
    assert await work(delivery("reserve", "inventory")) == DONE


async def test_open_breaker_says_for_how_long_and_then_lets_one_through_at_a_time(bench: Bench) -> None:
    await bench.open()
    bench.now_s += 0.5
    assert (bench.breaker.open_for_s(), bench.breaker.room(32)) == (OPEN_S - 0.5, 0)
    bench.now_s += OPEN_S - 0.5
    assert (bench.breaker.open_for_s(), bench.breaker.room(32)) == (0, 1)
    bench.dependency.gate = asyncio.Event()
    probe = asyncio.create_task(bench.take())
    await asyncio.sleep(0)
    assert bench.breaker.room(32) == 0
    bench.dependency.gate.set()
    assert await probe == DONE
    assert bench.breaker.room(32) == 1


async def test_dependency_that_is_well_again_gets_more_with_every_round_of_replies(bench: Bench) -> None:
    await bench.open()
    bench.now_s += OPEN_S
    for _ in range(PROBES):
        assert await bench.take() == DONE
    rooms = [bench.breaker.room(32)]
    while rooms[-1] < 32:
        for _ in range(rooms[-1]):
            await bench.take()
        rooms.append(bench.breaker.room(32))
    assert rooms[0] == 2
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(rooms))
    assert len(rooms) < 40, "about one more with each round"


async def test_dependency_that_is_not_well_yet_is_left_alone_again(bench: Bench) -> None:
    await bench.open()
    bench.now_s += OPEN_S
    asked = bench.dependency.asked
    for error in (None, DOWN, DOWN, None):
        await bench.take(error)
    assert bench.dependency.asked == asked + PROBES
    assert bench.breaker.open_for_s() == OPEN_S


async def test_messages_wait_for_a_second_outage_no_longer_than_for_the_first(bench: Bench) -> None:
    await bench.open()
    first_s = bench.breaker.wait_s(0, 8)
    bench.now_s += OPEN_S
    for _ in range(PROBES):
        await bench.take()
    await bench.open()
    assert bench.breaker.wait_s(0, 8) == first_s == OPEN_S


async def test_what_the_breaker_did_can_be_read_from_its_series(bench: Bench) -> None:
    state = "sagastorm_breaker_state"
    assert bench.counted(state) == 0
    await bench.open()
    assert bench.counted(state) == 2
    bench.now_s += OPEN_S
    await bench.take()
    assert bench.counted(state) == 1
    for _ in range(PROBES - 1):
        await bench.take()
    assert bench.counted(state) == 0
    changes = [bench.counted("sagastorm_breaker_transitions_total", state=to) for to in ("open", "half_open", "closed")]
    assert changes == [1, 1, 1]


async def test_message_that_cannot_be_read_does_not_wait_for_a_breaker_that_is_tried_again(bench: Bench) -> None:
    await bench.open()
    bench.now_s += OPEN_S
    await bench.take()
    assert bench.breaker.wait_s(0, 8) == 8, "a step would wait"
    queue, stopping = FakeQueue(message("gibberish")), asyncio.Event()

    async def process(received: Received) -> None:
        raise AssertionError(received)

    consumer = Consumer(
        queue.gateway, "the-queue", "payment", read, process, policy=RetryPolicy(), seed=1, concurrency=1,
        breaker=bench.breaker,
    )  # fmt: skip
    running = asyncio.create_task(consumer.run(stopping))
    async with asyncio.timeout(5):
        while not (waits := queue.gateway.asked("ChangeMessageVisibility")):
            await asyncio.sleep(0)
    stopping.set()
    await running
    assert waits[0]["VisibilityTimeout"] <= 1


def test_queue_is_left_alone_while_the_breaker_is_open_and_what_was_refused_waits_for_it() -> None:
    async def outage() -> TimedQueue:
        loop, stopping, queue, down = asyncio.get_running_loop(), asyncio.Event(), TimedQueue(), Dependency()
        breaker = Breaker("payment", Metrics(CollectorRegistry(), topology="t", saga="s"), loop.time)
        down.error = DOWN
        for number in range(WINDOW_CALLS + 2):
            queue.send(f"saga-{number}")

        async def process(received: Received) -> None:
            await asyncio.sleep(0.1)
            await breaker.take(down, received.delivery)

        consumer = Consumer(
            queue.gateway, "the-queue", "payment", read, process, policy=RetryPolicy(backoff="none"), seed=1,
            concurrency=WINDOW_CALLS + 2, breaker=breaker,
        )  # fmt: skip
        running = asyncio.create_task(consumer.run(stopping))
        await asyncio.sleep(0.2)
        polls = len(queue.gateway.asked("ReceiveMessage"))
        await asyncio.sleep(OPEN_S - 0.2)
        assert len(queue.gateway.asked("ReceiveMessage")) == polls
        stopping.set()
        await running
        return queue

    queue = in_virtual_time(outage())
    waits_s = [call["VisibilityTimeout"] for call in queue.gateway.asked("ChangeMessageVisibility")]
    assert waits_s == [0] * (WINDOW_CALLS - 1) + [OPEN_S] * 3, "that which opened it, and those that it refused"
    assert set(queue.receives.values()) == {1}


def test_worker_that_is_to_stop_waits_for_an_open_breaker_no_longer_than_for_a_poll() -> None:
    assert OPEN_S <= LONG_POLL_S


@pytest.mark.parametrize("concurrency", [32, 1000])
def test_overload_that_keeps_a_database_down_for_good_is_over_within_20_s_behind_a_breaker(concurrency: int) -> None:
    """25 steps a second; 50 are possible, and fewer the more are waiting. It is down for 5 s, and asked on meanwhile."""
    without, behind = (
        Outage(breaker=breaker, budget=False, capacity_per_s=50, thrashes_at=64, down=(5, 10), lasts_s=35,
               concurrency=concurrency)
        for breaker in (False, True)
    )  # fmt: skip
    assert without.answered_per_s(0, 5) > 20
    assert without.answered_per_s(10, 35) < 1, "25 s after it could be asked again, nobody has had an answer"
    assert behind.answered_per_s(15, 35) > 25, "the steps of that time, and those that had piled up"
    assert behind.answered_per_s(30, 35) > 0.9 * 25


def test_outage_of_20_s_brings_messages_behind_a_breaker_a_fifth_as_often_and_none_near_the_dead_letter_queue() -> None:
    without, behind = (
        Outage(breaker=breaker, budget=False, capacity_per_s=200, thrashes_at=10**6, down=(2, 22), lasts_s=25,
               concurrency=32, policy=RetryPolicy(backoff="none"))
        for breaker in (False, True)
    )  # fmt: skip
    limit = RetryPolicy().max_receives
    assert limit is not None
    assert max(without.queue.receives.values()) >= limit
    assert max(behind.queue.receives.values()) <= 0.7 * limit
    assert behind.redeliveries() < without.redeliveries() / 5
