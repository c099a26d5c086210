"""One participant's queue: what is acknowledged, what comes again and when, and how the work stops."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from harness.aws.backlog import REDRIVEN
from harness.core.errors import Indefinite
from harness.topologies.base import Delivery
from harness.topologies.policy import RetryPolicy
from harness.worker import consumer
from harness.worker.consumer import COPY, RECEIVE_BATCH, Consumer
from harness.worker.ports import Process, Received
from harness.worker.processing import Unreadable
from harness.worker.shedding import Outlived
from tests.fake_gateway import FakeGateway, Parameters, aws_error
from tests.samples import delivery, envelope
from tests.worker.fake_queue import FakeQueue, message

POLICY = RetryPolicy()


def read(participant: str, body: str, receives: int, *, is_copy: bool = False) -> Delivery:
    """The body is the saga id, which ends with the arrival."""
    if body == "gibberish":
        raise Unreadable("it makes no sense")
    arrived = envelope(saga_id=body, arrival=int(body.rpartition("-")[2]))
    return delivery(participant=participant, envelope=arrived, receives=receives, is_copy=is_copy)


def consuming(gateway: FakeGateway, process: Process, concurrency: int = 8, policy: RetryPolicy = POLICY) -> Consumer:
    return Consumer(gateway, "the-queue", "payment", read, process, policy=policy, seed=1, concurrency=concurrency)


class Recorder:
    """A process that remembers what it was given, and does what it is told with it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[Received] = []
        self.in_hand = 0
        self.most_in_hand = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._error = error

    async def __call__(self, received: Received) -> None:
        self.seen.append(received)
        self.in_hand += 1
        self.most_in_hand = max(self.most_in_hand, self.in_hand)
        await self.gate.wait()
        self.in_hand -= 1
        if self._error:
            raise self._error

    async def has_seen(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.seen) < number:
                await asyncio.sleep(0)


async def run_until_seen(
    queue: FakeQueue, process: Recorder, number: int, concurrency: int = 8, policy: RetryPolicy = POLICY
) -> None:
    """Work until so many messages were handled, then stop in order."""
    stopping = asyncio.Event()
    running = asyncio.create_task(consuming(queue.gateway, process, concurrency, policy).run(stopping))
    await process.has_seen(number)
    stopping.set()
    await running


async def test_message_is_acknowledged_when_it_was_processed_and_not_before() -> None:
    queue, process, stopping = FakeQueue(message("saga-1")), Recorder(), asyncio.Event()
    process.gate.clear()
    running = asyncio.create_task(consuming(queue.gateway, process).run(stopping))
    await process.has_seen(1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert queue.deleted() == []
    process.gate.set()
    stopping.set()
    await running
    assert queue.deleted() == ["receipt-saga-1"]


async def test_messages_handled_together_are_acknowledged_in_one_call() -> None:
    queue, process = FakeQueue(*(message(f"saga-{n}") for n in range(5))), Recorder()
    await run_until_seen(queue, process, 5)
    [call] = queue.gateway.asked("DeleteMessageBatch")
    assert [entry["Id"] for entry in call["Entries"]] == ["0", "1", "2", "3", "4"]
    assert sorted(queue.deleted()) == [f"receipt-saga-{n}" for n in range(5)]


async def test_delivery_says_how_often_the_message_was_handed_out() -> None:
    queue, process = FakeQueue(message("saga-1", receives=3)), Recorder()
    await run_until_seen(queue, process, 1)
    [received] = process.seen
    assert (received.delivery.receives, received.delivery.is_copy) == (3, False)


@pytest.mark.parametrize("error", [Indefinite("conflict"), aws_error("Throttled")], ids=["indefinite", "service"])
async def test_failed_message_comes_again_after_a_backoff_and_is_not_acknowledged(error: Exception) -> None:
    queue, process = FakeQueue(message("saga-1", receives=4)), Recorder(error)
    await run_until_seen(queue, process, 1)
    [call] = queue.gateway.asked("ChangeMessageVisibility")
    assert (call["QueueUrl"], call["ReceiptHandle"]) == ("the-queue", "receipt-saga-1")
    assert 0 <= call["VisibilityTimeout"] <= 8
    assert queue.deleted() == []


async def backoffs_s(receives: int, messages: int = 60) -> list[int]:
    """The seconds until failed messages of many sagas come again."""
    queue = FakeQueue(*(message(f"saga-{n}", receives=receives) for n in range(messages)))
    await run_until_seen(queue, Recorder(Indefinite("no")), messages)
    return [call["VisibilityTimeout"] for call in queue.gateway.asked("ChangeMessageVisibility")]


async def test_backoff_grows_with_every_failure_up_to_its_limit_and_is_spread_over_all_of_it() -> None:
    ceilings = {1: 1, 2: 2, 3: 4, 4: 8, 9: 8}
    for receives, ceiling_s in ceilings.items():
        assert set(await backoffs_s(receives)) == set(range(ceiling_s + 1))


async def test_backoff_of_a_message_is_the_same_in_every_run() -> None:
    assert await backoffs_s(4) == await backoffs_s(4)


async def test_unreadable_message_comes_again_after_a_backoff_until_it_is_a_dead_letter() -> None:
    queue, process = FakeQueue(message("gibberish", receives=9), message("saga-1")), Recorder()
    await run_until_seen(queue, process, 1)
    assert [received.delivery.envelope.saga_id for received in process.seen] == ["saga-1"]
    assert queue.deleted() == ["receipt-saga-1"]
    [call] = queue.gateway.asked("ChangeMessageVisibility")
    assert call["ReceiptHandle"] == "receipt-gibberish"
    assert 0 <= call["VisibilityTimeout"] <= 1, "for the tenth delivery as for the first"


@pytest.mark.parametrize(("policy", "wait_s"), [(RetryPolicy(backoff="none"), 0), (RetryPolicy(jitter="none"), 8)])
async def test_failed_message_waits_as_its_policy_has_it(policy: RetryPolicy, wait_s: int) -> None:
    queue = FakeQueue(message("saga-1", receives=9))
    await run_until_seen(queue, Recorder(Indefinite("no")), 1, policy=policy)
    [call] = queue.gateway.asked("ChangeMessageVisibility")
    assert call["VisibilityTimeout"] == wait_s


async def test_redriven_message_counts_its_deliveries_on_and_its_waits_from_the_start() -> None:
    redriven = {REDRIVEN: {"DataType": "Number", "StringValue": "1"}}
    queue = FakeQueue(message("saga-1", receives=2, MessageAttributes=redriven))
    process = Recorder(Indefinite("no"))
    await run_until_seen(queue, process, 1, policy=RetryPolicy(jitter="none", max_receives=10))
    assert process.seen[0].delivery.attempt == "0.12"
    assert queue.gateway.asked("ChangeMessageVisibility")[0]["VisibilityTimeout"] == 2
    assert REDRIVEN in queue.gateway.asked("ReceiveMessage")[0]["MessageAttributeNames"]


async def test_message_that_has_become_somebody_elses_is_neither_acknowledged_nor_put_back() -> None:
    queue = FakeQueue(message("saga-1"))
    await run_until_seen(queue, Recorder(Outlived("too late")), 1)
    assert queue.deleted() == []
    assert queue.gateway.asked("ChangeMessageVisibility") == []


async def test_delivery_says_until_when_it_is_this_workers() -> None:
    queue, process = FakeQueue(message("saga-1")), Recorder()
    before_s = asyncio.get_running_loop().time()
    await run_until_seen(queue, process, 1, policy=RetryPolicy(visibility_timeout_s=1000))
    after_s = asyncio.get_running_loop().time()
    assert before_s + 1000 <= process.seen[0].delivery.expires_s <= after_s + 1000


async def test_fault_can_put_another_message_in_the_queue() -> None:
    queue, process = FakeQueue(message("saga-1")), Recorder()
    await run_until_seen(queue, process, 1)
    assert process.seen[0].body == "saga-1"
    await process.seen[0].put("gibberish", 0)
    [sent] = queue.gateway.asked("SendMessage")
    assert (sent["QueueUrl"], sent["MessageBody"], sent["DelaySeconds"]) == ("the-queue", "gibberish", 0)
    assert COPY in sent["MessageAttributes"]


async def test_unforeseen_error_is_logged_and_costs_nothing_but_its_own_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue, process = FakeQueue(*(message(f"saga-{n}") for n in range(3))), Recorder(ZeroDivisionError("a bug"))
    with caplog.at_level(logging.ERROR):
        await run_until_seen(queue, process, 3, concurrency=1)
    assert queue.deleted() == []
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [("a bug",)] * 3


async def test_no_more_messages_are_taken_than_there_are_hands() -> None:
    queue, process, stopping = FakeQueue(*(message(f"saga-{n}") for n in range(9))), Recorder(), asyncio.Event()
    process.gate.clear()
    running = asyncio.create_task(consuming(queue.gateway, process, concurrency=3).run(stopping))
    await process.has_seen(3)
    polls = len(queue.gateway.asked("ReceiveMessage"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(queue.visible) == 6
    assert len(queue.gateway.asked("ReceiveMessage")) == polls, "with all hands full there is nothing to ask for"
    process.gate.set()
    await process.has_seen(9)
    stopping.set()
    await running
    assert process.most_in_hand == 3
    assert all(call["MaxNumberOfMessages"] <= 3 for call in queue.gateway.asked("ReceiveMessage"))


async def test_stop_waits_for_the_long_poll_and_handles_what_it_brings() -> None:
    queue, process, stopping = FakeQueue(), Recorder(), asyncio.Event()
    poll = asyncio.get_running_loop().create_future()

    async def receive(parameters: Parameters) -> dict[str, Any]:
        queue.polled.set()
        return await poll

    gateway = FakeGateway(ReceiveMessage=receive, DeleteMessageBatch={})
    running = asyncio.create_task(consuming(gateway, process).run(stopping))
    await queue.polled.wait()
    stopping.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done()
    assert not poll.cancelled()
    poll.set_result({"Messages": [message("saga-1")]})
    await running
    assert len(process.seen) == 1
    assert len(gateway.asked("DeleteMessageBatch")) == 1


async def test_stop_waits_for_what_is_in_hand() -> None:
    queue, process, stopping = FakeQueue(message("saga-1")), Recorder(), asyncio.Event()
    process.gate.clear()
    running = asyncio.create_task(consuming(queue.gateway, process).run(stopping))
    await process.has_seen(1)
    stopping.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done()
    process.gate.set()
    await running
    assert queue.deleted() == ["receipt-saga-1"]


async def test_message_put_back_by_a_fault_comes_late_and_marked_as_a_copy() -> None:
    queue, process = FakeQueue(message("saga-1")), Recorder()
    await run_until_seen(queue, process, 1)
    await process.seen[0].resend(6)
    [sent] = queue.gateway.asked("SendMessage")
    assert (sent["QueueUrl"], sent["MessageBody"], sent["DelaySeconds"]) == ("the-queue", "saga-1", 6)

    copies, again = FakeQueue(message("saga-1", MessageAttributes=sent["MessageAttributes"])), Recorder()
    await run_until_seen(copies, again, 1)
    assert again.seen[0].delivery.is_copy
    assert again.seen[0].delivery.attempt == "0.1c"


async def test_attribute_that_marks_copies_is_asked_for() -> None:
    queue, process = FakeQueue(message("saga-1")), Recorder()
    await run_until_seen(queue, process, 1)
    assert COPY in queue.gateway.asked("ReceiveMessage")[0]["MessageAttributeNames"]


async def test_queue_that_cannot_be_read_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PAUSE_AFTER_ERROR_S", 0)
    queue = FakeQueue(message("saga-1"), poll_errors=[Indefinite("no answer"), aws_error("Throttled")])
    await run_until_seen(queue, Recorder(), 1)
    assert queue.deleted() == ["receipt-saga-1"]


async def test_nothing_more_is_received_while_very_many_acknowledgements_are_unanswered() -> None:
    answered = asyncio.Event()

    async def slowly(parameters: Parameters) -> dict[str, Any]:
        await answered.wait()
        return {}

    batches = 2 * consumer.MAX_ACKNOWLEDGING
    queue, process = FakeQueue(*(message(f"saga-{n}") for n in range(RECEIVE_BATCH * batches))), Recorder()
    queue.gateway._answers["DeleteMessageBatch"] = slowly
    stopping = asyncio.Event()
    running = asyncio.create_task(consuming(queue.gateway, process, concurrency=RECEIVE_BATCH).run(stopping))
    await process.has_seen(RECEIVE_BATCH * consumer.MAX_ACKNOWLEDGING)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(process.seen) == RECEIVE_BATCH * consumer.MAX_ACKNOWLEDGING
    answered.set()
    await process.has_seen(RECEIVE_BATCH * batches)
    stopping.set()
    await running


async def test_acknowledgement_that_is_lost_is_no_reason_to_stop() -> None:
    queue = FakeQueue(message("saga-1"), message("saga-2"), delete_error=Indefinite("no answer"))
    await run_until_seen(queue, Recorder(), 2, concurrency=1)
    assert queue.deleted() == ["receipt-saga-1", "receipt-saga-2"]
