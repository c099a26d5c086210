"""The retry budget: what earns a retry, what costs one, and how long a retry waits that there is nothing left for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from harness.topologies.policy import RetryPolicy
from harness.worker.budget import MIN_PER_S, MOST_SAVED, SHARE, RetryBudget
from harness.worker.consumer import Consumer
from harness.worker.ports import Received
from tests.samples import delivery
from tests.worker.fake_queue import FakeQueue, message
from tests.worker.outage import Outage, read

LONGEST_S = RetryPolicy().max_delay_s


class Bench:
    """A budget, and a clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._registry = CollectorRegistry()
        self.budget = RetryBudget("payment", Metrics(self._registry, topology="t", saga="s"), lambda: self.now_s)

    def first_tries(self, number: int, **changes: Any) -> None:
        for _ in range(number):
            self.budget.delivered(delivery(**changes))

    def retries_allowed(self) -> int:
        """How many may run when their turn comes, until one must wait."""
        allowed = 0
        while self.budget.wait_s(1, LONGEST_S) == 1:
            allowed += 1
        return allowed

    def held_back(self) -> float | None:
        labels = {"topology": "t", "saga": "s", "participant": "payment"}
        return self._registry.get_sample_value("sagastorm_retries_held_back_total", labels)


@pytest.fixture
def bench() -> Bench:
    """With nothing saved."""
    made = Bench()
    made.retries_allowed()
    return made


def test_retry_beyond_the_budget_waits_for_as_long_as_a_wait_may_be_and_is_counted(bench: Bench) -> None:
    assert bench.budget.wait_s(0, LONGEST_S) == LONGEST_S
    assert bench.held_back() == 2, "the one that emptied the budget's bench, and this one"


def test_retries_are_a_share_of_first_tries(bench: Bench) -> None:
    bench.first_tries(47)
    assert bench.retries_allowed() == int(47 * SHARE) == 9


@pytest.mark.parametrize(
    "again",
    [{"receives": 2}, {"retry": 1}, {"is_copy": True}],
    ids=["delivered again", "commanded again", "copy of a fault"],
)
def test_what_is_no_first_try_earns_nothing(bench: Bench, again: dict[str, Any]) -> None:
    bench.first_tries(45, **again)
    assert bench.retries_allowed() == 0


def test_first_command_of_an_orchestrator_is_a_first_try(bench: Bench) -> None:
    bench.first_tries(12, retry=0)
    assert bench.retries_allowed() == 2


def test_queue_with_next_to_nothing_to_do_may_retry_all_the_same(bench: Bench) -> None:
    bench.now_s += 3 / MIN_PER_S
    assert bench.retries_allowed() == 3


def test_quiet_hour_saves_no_more_than_a_burst(bench: Bench) -> None:
    bench.now_s += 3600
    bench.first_tries(1000)
    assert bench.retries_allowed() == MOST_SAVED


def test_retry_that_waits_for_long_anyway_takes_nothing() -> None:
    bench = Bench()
    for _ in range(100):
        assert bench.budget.wait_s(LONGEST_S, LONGEST_S) == LONGEST_S
    assert bench.held_back() is None
    assert bench.retries_allowed() == MOST_SAVED


async def waits_s(*bodies: str) -> list[int]:
    """The seconds until messages come again of which none can be handled, where nothing is earned."""
    queue, stopping = FakeQueue(*(message(body, receives=2) for body in bodies)), asyncio.Event()

    async def process(received: Received) -> None:
        raise Indefinite("no")

    now_s = asyncio.get_running_loop().time()
    consumer = Consumer(
        queue.gateway, "the-queue", "payment", read, process, policy=RetryPolicy(backoff="none"), seed=1, concurrency=1,
        budget=RetryBudget("payment", Metrics(CollectorRegistry(), topology="t", saga="s"), lambda: now_s),
    )  # fmt: skip
    running = asyncio.create_task(consumer.run(stopping))
    async with asyncio.timeout(5):
        while len(queue.gateway.asked("ChangeMessageVisibility")) < len(bodies):
            await asyncio.sleep(0)
    stopping.set()
    await running
    return [call["VisibilityTimeout"] for call in queue.gateway.asked("ChangeMessageVisibility")]


async def test_failed_messages_come_again_soon_while_the_budget_lasts() -> None:
    bodies = [f"saga-{n}" for n in range(15)]
    assert await waits_s(*bodies) == [0] * int(MOST_SAVED) + [LONGEST_S] * 5


async def test_unreadable_messages_burden_nobody_and_cost_nothing() -> None:
    bodies = ["gibberish"] * 15 + ["saga-1"]
    assert await waits_s(*bodies) == [0] * 16


def test_outage_of_4_s_after_which_retries_keep_a_database_down_is_over_within_15_s_on_a_budget() -> None:
    """25 steps a second, 50 possible; each is given up after 1 s, and answered all the same, for nobody."""
    without, on_budget = (
        Outage(breaker=False, budget=budget, capacity_per_s=50, thrashes_at=10**6, down=(5, 9), lasts_s=35,
               concurrency=1000)
        for budget in (False, True)
    )  # fmt: skip
    assert without.answered_per_s(0, 5) > 20
    assert without.answered_per_s(9, 35) < 1, "26 s after it could be asked again, nobody has had an answer"
    assert without.asked_per_s(25, 35) > 4 * 25
    assert on_budget.answered_per_s(24, 35) > 0.9 * 25
    assert on_budget.asked_per_s(24, 35) < 1.25 * 25
