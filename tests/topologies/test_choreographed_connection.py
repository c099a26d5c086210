"""How events of a choreographed saga are published and read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from harness.core.errors import Indefinite
from harness.core.subject import SUBJECTS, Subject
from harness.participants.dispatcher import Reply
from harness.sagas.create_order import SAGA
from harness.topologies.base import Connection, Delivery, Deployed
from harness.topologies.choreographed import TOPOLOGY
from tests.fake_gateway import FakeGateway, Parameters
from tests.samples import as_json, delivery, envelope

FAILURE = {"Error": "Refused", "Cause": "out-of-stock"}
ALL_PUT: dict[str, Any] = {"FailedEntryCount": 0, "Entries": []}


def connect(gateway: FakeGateway) -> Connection:
    return TOPOLOGY.connect(gateway, SAGA, Deployed(queue_urls={}, bus="the-bus"))


def heard(step: str, participant: str, failure: dict[str, str] | None = None) -> Delivery:
    return delivery(step, participant, extra={"failure": failure})


def event(event_type: str, failure: dict[str, str] | None = None) -> str:
    """An event as EventBridge puts it on a queue."""
    return json.dumps(
        {
            "version": "0",
            "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
            "detail-type": event_type,
            "source": "sagastorm.create-order",
            "account": "123456789012",
            "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {"envelope": as_json(envelope())} | ({"failure": failure} if failure else {}),
        }
    )


async def published(step: str, participant: str, reply: Reply, failure: dict[str, str] | None = None) -> Any:
    """The one event that a reply became: its type and its detail."""
    gateway = FakeGateway(PutEvents=ALL_PUT)
    await connect(gateway).reply(heard(step, participant, failure), reply)
    [call] = gateway.asked("PutEvents")
    [entry] = call["Entries"]
    assert (entry["EventBusName"], entry["Source"]) == ("the-bus", "sagastorm.create-order")
    return entry["DetailType"], json.loads(entry["Detail"])


async def test_saga_is_started_by_asking_for_its_first_step() -> None:
    gateway = FakeGateway(PutEvents=ALL_PUT)
    await connect(gateway).start(envelope())
    [call] = gateway.asked("PutEvents")
    [entry] = call["Entries"]
    assert entry["DetailType"] == "OrderRequested"
    assert json.loads(entry["Detail"]) == {"envelope": as_json(envelope())}


async def test_success_is_published_with_the_envelope_as_it_came() -> None:
    event_type, detail = await published("charge", "payment", Reply(result="done"))
    assert event_type == "PaymentProcessed"
    assert detail == {"envelope": as_json(envelope())}


async def test_refusal_is_published_with_its_cause() -> None:
    event_type, detail = await published("reserve", "inventory", Reply(result="refused", reason="out-of-stock"))
    assert event_type == "InventoryUnavailable"
    assert detail["failure"] == FAILURE


@pytest.mark.parametrize("result", ["done", "nothing-to-undo"])
async def test_compensation_is_published_and_carries_the_failure_along(result: str) -> None:
    event_type, detail = await published("refund", "payment", Reply(result=result), FAILURE)
    assert event_type == "PaymentRefunded"
    assert detail["failure"] == FAILURE


async def test_step_that_its_tombstone_refused_publishes_nothing() -> None:
    gateway = FakeGateway(PutEvents=ALL_PUT)
    await connect(gateway).reply(heard("charge", "payment"), Reply(result="tombstoned", reason="undone before it ran"))
    assert gateway.calls == []


def test_event_is_read_as_the_work_that_its_listener_does() -> None:
    connection = connect(FakeGateway())
    read = connection.read("order", event("PaymentFailed", FAILURE), receives=2)
    assert (read.participant, read.step, read.retry, read.receives) == ("order", "reject", None, 2)
    assert read.attempt == "0.2"
    assert as_json(read.envelope) == as_json(envelope())
    assert read.extra == {"failure": FAILURE}
    assert connection.read("inventory", event("PaymentProcessed"), receives=1).extra == {"failure": None}


@pytest.mark.parametrize(
    ("participant", "event_type"),
    [("order", "SomethingElse"), ("payment", "PaymentFailed"), ("nobody", "OrderCreated")],
)
def test_event_that_the_participant_does_not_listen_to_is_a_key_error(participant: str, event_type: str) -> None:
    with pytest.raises(KeyError):
        connect(FakeGateway()).read(participant, event(event_type), receives=1)


@pytest.mark.parametrize("body", ["", "{", "[]", '{"detail-type":"OrderCreated"}'])
def test_message_that_is_no_event_is_a_decode_error(body: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        connect(FakeGateway()).read("payment", body, receives=1)


async def test_events_published_together_share_a_call_made_in_the_name_of_all_their_sagas() -> None:
    gateway = FakeGateway(PutEvents=ALL_PUT)
    connection = connect(gateway)

    async def reply(number: int) -> None:
        SUBJECTS.set((Subject(f"saga-{number}", number, 0.0, "payment", "charge", "0.1"),))
        await connection.reply(heard("charge", "payment"), Reply(result="done"))

    await asyncio.gather(*(reply(number) for number in range(4)))
    [call] = gateway.asked("PutEvents")
    assert len(call["Entries"]) == 4
    assert [subject.saga_id for subject in gateway.subjects[0]] == ["saga-0", "saga-1", "saga-2", "saga-3"]


async def test_event_that_was_not_taken_fails_its_own_reply_only() -> None:
    def every_second(parameters: Parameters) -> dict[str, Any]:
        entries = [
            {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"} if index % 2 else {"EventId": str(index)}
            for index in range(len(parameters["Entries"]))
        ]
        return {"FailedEntryCount": len(entries) // 2, "Entries": entries}

    connection = connect(FakeGateway(PutEvents=every_second))
    replies = [connection.reply(heard("charge", "payment"), Reply(result="done")) for _ in range(4)]
    results = await asyncio.gather(*replies, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Indefinite, type(None), Indefinite]
    assert "ThrottlingException" in str(results[1])


async def test_call_that_got_no_answer_fails_every_reply_in_it() -> None:
    connection = connect(FakeGateway(PutEvents=Indefinite("no answer")))
    replies = [connection.reply(heard("charge", "payment"), Reply(result="done")) for _ in range(3)]
    results = await asyncio.gather(*replies, return_exceptions=True)
    assert [type(result) for result in results] == [Indefinite] * 3
