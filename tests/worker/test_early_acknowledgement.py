"""A message that is acknowledged before its reply is told: once, at once, and whatever becomes of the reply."""

from __future__ import annotations

import asyncio

import pytest

from harness.core.errors import Indefinite
from harness.worker.ports import Process, Received
from tests.fake_gateway import aws_error
from tests.worker.fake_queue import FakeQueue, message
from tests.worker.test_consumer import consuming


async def handled(queue: FakeQueue, process: Process) -> None:
    """Work until the queue's one message was processed, then stop in order."""
    stopping = asyncio.Event()

    async def processed(received: Received) -> None:
        try:
            await process(received)
        finally:
            stopping.set()

    async with asyncio.timeout(5):
        await consuming(queue.gateway, processed).run(stopping)


async def test_message_is_gone_when_its_early_acknowledgement_returns_and_is_not_deleted_again() -> None:
    queue, gone = FakeQueue(message("saga-1")), []

    async def process(received: Received) -> None:
        await received.acknowledge()
        gone.extend(queue.deleted())

    await handled(queue, process)
    assert gone == queue.deleted() == ["receipt-saga-1"]


async def test_copies_of_a_handling_delete_their_message_once() -> None:
    queue = FakeQueue(message("saga-1"))

    async def process(received: Received) -> None:
        await asyncio.gather(received.acknowledge(), received.acknowledge())

    await handled(queue, process)
    assert queue.deleted() == ["receipt-saga-1"]


async def test_message_whose_worker_dies_after_the_early_acknowledgement_does_not_come_again() -> None:
    class Killed(Exception):
        """Nothing that the consumer could take for a step to be tried again."""

    queue = FakeQueue(message("saga-1"))

    async def process(received: Received) -> None:
        await received.acknowledge()
        raise Killed

    await handled(queue, process)
    assert queue.deleted() == ["receipt-saga-1"]
    assert queue.gateway.asked("ChangeMessageVisibility") == []


@pytest.mark.parametrize("error", [Indefinite("no answer"), aws_error("Throttled")], ids=["indefinite", "service"])
async def test_message_that_could_not_be_acknowledged_early_comes_again_after_a_backoff(error: Exception) -> None:
    queue = FakeQueue(message("saga-1"), delete_error=error)

    async def process(received: Received) -> None:
        await received.acknowledge()
        raise AssertionError("nothing may be told")

    await handled(queue, process)
    [call] = queue.gateway.asked("ChangeMessageVisibility")
    assert call["ReceiptHandle"] == "receipt-saga-1"
