"""How an orchestrated saga is started, how its commands are read, and how they are answered."""

from __future__ import annotations

import json

import msgspec
import pytest
from botocore.exceptions import ClientError

from harness.participants.dispatcher import Reply
from harness.sagas.create_order import SAGA
from harness.topologies.base import Connection, Deployed
from harness.topologies.orchestrated import TOPOLOGY
from harness.topologies.policy import DrawnWaits, RetryPolicy
from tests.fake_gateway import FakeGateway, aws_error
from tests.samples import as_json, delivery, envelope

DEPLOYED = Deployed(queue_urls={}, bus="bus", state_machine_arn="arn:machine")
COMMAND = delivery(retry=0, extra={"token": "token-1"})


def connect(gateway: FakeGateway) -> Connection:
    return TOPOLOGY.connect(gateway, SAGA, DEPLOYED)


def message(**changes: object) -> str:
    """What a task state sends, as the service has filled it in."""
    parts = {"step": "charge", "retry": 2, "token": "token-1", "envelope": envelope()}
    return msgspec.json.encode(parts | changes).decode()


async def test_saga_is_started_under_its_own_id_with_its_envelope_as_input() -> None:
    gateway = FakeGateway(StartExecution={})
    await connect(gateway).start(envelope())
    [call] = gateway.asked("StartExecution")
    assert (call["stateMachineArn"], call["name"]) == ("arn:machine", "saga-7")
    assert json.loads(call["input"]) == {"envelope": as_json(envelope())}


async def test_saga_is_told_how_long_its_tries_wait_where_the_state_machine_does_not_know() -> None:
    gateway, waits = FakeGateway(StartExecution={}), DrawnWaits(RetryPolicy(jitter="equal"), seed=7)
    deployed = msgspec.structs.replace(DEPLOYED, waits=waits)
    await TOPOLOGY.connect(gateway, SAGA, deployed).start(envelope())
    [call] = gateway.asked("StartExecution")
    assert json.loads(call["input"]) == {"envelope": as_json(envelope()), "waits_s": waits.of(envelope().arrival)}


async def test_saga_that_was_started_before_is_a_success() -> None:
    gateway = FakeGateway(StartExecution=aws_error("ExecutionAlreadyExists"))
    await connect(gateway).start(envelope())
    assert len(gateway.calls) == 1


async def test_saga_that_cannot_be_started_is_an_error() -> None:
    gateway = FakeGateway(StartExecution=aws_error("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        await connect(gateway).start(envelope())


def test_command_is_read_with_its_step_its_retry_and_its_token() -> None:
    read = connect(FakeGateway()).read("payment", message(), receives=3)
    assert (read.participant, read.step, read.retry, read.receives) == ("payment", "charge", 2, 3)
    assert read.attempt == "2.3"
    assert read.extra == {"token": "token-1"}
    assert as_json(read.envelope) == as_json(envelope())


@pytest.mark.parametrize("body", ["", "{", '{"step":"charge"}', message(retry="often"), message(token=None)])
def test_message_that_is_no_command_is_a_decode_error(body: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        connect(FakeGateway()).read("payment", body, receives=1)


@pytest.mark.parametrize("result", ["done", "nothing-to-undo"])
async def test_step_that_ended_well_is_answered_with_its_data(result: str) -> None:
    gateway = FakeGateway(SendTaskSuccess={})
    await connect(gateway).reply(COMMAND, Reply(result=result, data={"charged_cents": 700}))
    [call] = gateway.asked("SendTaskSuccess")
    assert call["taskToken"] == "token-1"
    assert json.loads(call["output"]) == {"result": result, "charged_cents": 700}


@pytest.mark.parametrize("result", ["refused", "tombstoned"])
async def test_refusal_is_answered_as_a_failure_with_its_cause(result: str) -> None:
    gateway = FakeGateway(SendTaskFailure={})
    await connect(gateway).reply(COMMAND, Reply(result=result, reason="insufficient-funds"))
    assert gateway.asked("SendTaskFailure") == [
        {"taskToken": "token-1", "error": "Refused", "cause": "insufficient-funds"}
    ]


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
@pytest.mark.parametrize("reply", [Reply(result="done"), Reply(result="refused", reason="no")], ids=lambda r: r.result)
async def test_answer_that_nobody_waits_for_any_longer_counts_as_given(code: str, reply: Reply) -> None:
    gateway = FakeGateway(SendTaskSuccess=aws_error(code), SendTaskFailure=aws_error(code))
    await connect(gateway).reply(COMMAND, reply)
    assert len(gateway.calls) == 1


@pytest.mark.parametrize("reply", [Reply(result="done"), Reply(result="refused", reason="no")], ids=lambda r: r.result)
async def test_answer_that_did_not_get_through_is_an_error(reply: Reply) -> None:
    error = aws_error("ThrottlingException")
    gateway = FakeGateway(SendTaskSuccess=error, SendTaskFailure=error)
    with pytest.raises(ClientError, match="ThrottlingException"):
        await connect(gateway).reply(COMMAND, reply)
