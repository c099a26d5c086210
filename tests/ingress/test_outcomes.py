"""How the ingress hears of ends: from its own queue, in every topology alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.aws.pending import PendingSagas
from harness.core.errors import Indefinite
from harness.core.saga import Outcome
from harness.ingress import outcomes
from harness.ingress.outcomes import MAX_DELETING, OutcomeListener
from harness.ingress.sagas import Sagas
from harness.sagas.create_order import SAGA
from tests.fake_gateway import FakeGateway, Parameters, aws_error
from tests.samples import as_json, envelope


def event(event_type: str, saga_id: str = "saga-7", failure: dict[str, str] | None = None) -> dict[str, Any]:
    """A message with an event, as EventBridge puts it on the queue."""
    detail = {"envelope": as_json(envelope(saga_id=saga_id))} | ({"failure": failure} if failure else {})
    body = json.dumps({"version": "0", "source": "sagastorm.create-order", "detail-type": event_type, "detail": detail})
    return {"MessageId": "m", "ReceiptHandle": f"receipt-{saga_id}", "Body": body}


def polls(stopping: asyncio.Event, *answers: Any) -> Callable[[Parameters], Any]:
    """Answers to one poll after the other; at the last one the listener is told to stop."""
    left = list(answers)

    async def receive(parameters: Parameters) -> Any:
        await asyncio.sleep(0)
        answer = left.pop(0)
        if not left:
            stopping.set()
        return answer if isinstance(answer, Exception) else {"Messages": answer}

    return receive


async def listen(*answers: Any, deletes: Any = None) -> tuple[Sagas, FakeGateway]:
    """What is known of saga-7 and saga-8, which are under way, after so many polls."""
    sagas, stopping = Sagas(), asyncio.Event()
    for saga_id in ("saga-7", "saga-8"):
        sagas.admit(saga_id, b"")
    gateway = FakeGateway(ReceiveMessage=polls(stopping, *answers), DeleteMessageBatch=deletes or {})
    async with asyncio.timeout(5):
        await OutcomeListener(gateway, "outcomes-queue", SAGA, sagas).run(stopping)
    return sagas, gateway


async def test_ends_are_heard_and_their_messages_deleted_together() -> None:
    refused = {"Error": "Refused", "Cause": "out-of-stock"}
    sagas, gateway = await listen([event("OrderConfirmed"), event("OrderCancelled", "saga-8", refused)])
    completed, compensated = sagas.get("saga-7"), sagas.get("saga-8")
    assert completed and compensated
    assert (completed.outcome, completed.reason) == (Outcome.COMPLETED, None)
    assert (compensated.outcome, compensated.reason) == (Outcome.COMPENSATED, "out-of-stock")
    [call] = gateway.asked("DeleteMessageBatch")
    assert [entry["ReceiptHandle"] for entry in call["Entries"]] == ["receipt-saga-7", "receipt-saga-8"]


async def test_failure_without_a_cause_is_told_by_its_error() -> None:
    sagas, _ = await listen([event("OrderCancelled", failure={"Error": "States.Timeout", "Cause": ""})])
    entry = sagas.get("saga-7")
    assert entry and entry.reason == "States.Timeout"


@pytest.mark.parametrize("body", ["{", "{}", '{"detail-type":"OrderConfirmed"}', event("OrderApproved")["Body"]])
async def test_message_that_tells_of_no_end_is_deleted_and_those_beside_it_are_heard(body: str) -> None:
    odd = {"MessageId": "odd", "ReceiptHandle": "receipt-odd", "Body": body}
    sagas, gateway = await listen([odd, event("OrderConfirmed", "saga-8")])
    assert [entry and entry.outcome for entry in map(sagas.get, ("saga-7", "saga-8"))] == [None, Outcome.COMPLETED]
    [call] = gateway.asked("DeleteMessageBatch")
    assert len(call["Entries"]) == 2


async def test_poll_that_brings_nothing_deletes_nothing() -> None:
    _, gateway = await listen([], [])
    assert len(gateway.asked("ReceiveMessage")) == 2
    assert gateway.asked("DeleteMessageBatch") == []


@pytest.mark.parametrize("error", [Indefinite("no answer"), aws_error("Throttled")], ids=["unknown", "refused"])
async def test_queue_that_cannot_be_read_is_asked_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "PAUSE_AFTER_ERROR_S", 0)
    sagas, _ = await listen(error, [event("OrderConfirmed")])
    entry = sagas.get("saga-7")
    assert entry and entry.outcome is Outcome.COMPLETED


async def test_message_that_was_not_deleted_is_heard_twice_and_changes_nothing() -> None:
    again = [event("OrderConfirmed")]
    sagas, gateway = await listen(again, again, deletes=Indefinite("no answer"))
    entry = sagas.get("saga-7")
    assert entry and entry.outcome is Outcome.COMPLETED
    assert sagas.under_way == 1
    assert len(gateway.asked("DeleteMessageBatch")) == 2


async def test_stop_waits_for_the_long_poll_and_for_the_deletions() -> None:
    stopping, polled, deleting = asyncio.Event(), asyncio.Event(), asyncio.Event()
    poll: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    finish = asyncio.Event()

    async def receive(parameters: Parameters) -> Any:
        polled.set()
        return await poll

    async def delete(parameters: Parameters) -> Any:
        deleting.set()
        await finish.wait()
        return {}

    sagas = Sagas()
    sagas.admit("saga-7", b"")
    gateway = FakeGateway(ReceiveMessage=receive, DeleteMessageBatch=delete)
    running = asyncio.create_task(OutcomeListener(gateway, "q", SAGA, sagas).run(stopping))
    await polled.wait()
    stopping.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not running.done()
    poll.set_result({"Messages": [event("OrderConfirmed")]})
    await deleting.wait()
    assert sagas.under_way == 0
    assert not running.done()
    finish.set()
    await running


async def test_nothing_more_is_heard_while_very_many_sagas_are_still_to_be_forgotten() -> None:
    stopping, answered = asyncio.Event(), asyncio.Event()

    async def forget_slowly(parameters: Parameters) -> Any:
        await answered.wait()
        return {}

    ten_each = ([event("OrderConfirmed", f"saga-{n}-{poll}") for n in range(10)] for poll in range(3 * MAX_DELETING))
    gateway = FakeGateway(
        ReceiveMessage=polls(stopping, *ten_each), DeleteMessageBatch={}, BatchWriteItem=forget_slowly
    )
    running = asyncio.create_task(
        OutcomeListener(gateway, "q", SAGA, Sagas(), PendingSagas(gateway, "ns")).run(stopping)
    )
    for _ in range(20 * MAX_DELETING):
        await asyncio.sleep(0)
    assert len(gateway.asked("ReceiveMessage")) == MAX_DELETING
    answered.set()
    async with asyncio.timeout(5):
        await running
    assert len(gateway.asked("BatchWriteItem")) == 3 * MAX_DELETING


async def forget(*answers: Any, forgets: Any) -> list[list[str]]:
    """The sagas that are forgotten together, of a listener whose sagas are registered."""
    stopping = asyncio.Event()
    gateway = FakeGateway(ReceiveMessage=polls(stopping, *answers), DeleteMessageBatch={}, BatchWriteItem=forgets)
    async with asyncio.timeout(5):
        await OutcomeListener(gateway, "q", SAGA, Sagas(), PendingSagas(gateway, "ns")).run(stopping)
    batches = [call["RequestItems"]["ns-ingress-pending"] for call in gateway.asked("BatchWriteItem")]
    return [[entry["DeleteRequest"]["Key"]["id"]["S"] for entry in batch] for batch in batches]


async def test_ended_sagas_are_forgotten_together_even_those_that_nobody_here_knows() -> None:
    ended = [event("OrderConfirmed"), event("OrderCancelled", "saga-8"), event("OrderApproved", "saga-9")]
    assert await forget(ended, [], forgets={}) == [["saga-7", "saga-8"]]


async def test_ended_saga_that_could_not_be_forgotten_is_forgotten_when_its_end_is_told_again() -> None:
    again = [event("OrderConfirmed")]
    many = [event("OrderConfirmed", f"saga-{number}") for number in range(10, 20)]
    told = await forget(again, many, again, [], forgets=[Indefinite("no answer"), {}])
    assert [names.count("saga-7") for names in told] == [1, 1]
