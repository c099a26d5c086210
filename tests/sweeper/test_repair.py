"""Repairing an orchestrated saga: which of its executions counts, and what is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.sagas.create_order import SAGA
from harness.topologies.base import Deployed
from harness.topologies.orchestrated import TOPOLOGY
from tests.fake_gateway import FakeGateway, Parameters, aws_error
from tests.samples import as_json, envelope

MACHINE = "arn:aws:states:us-east-1:0:stateMachine:ns-create-order"
DEPLOYED = Deployed(queue_urls={}, bus="bus", state_machine_arn=MACHINE, resuming_arn=f"{MACHINE}-resumed")
FIRST = "arn:aws:states:us-east-1:0:execution:ns-create-order:saga-7"
SECOND = "arn:aws:states:us-east-1:0:execution:ns-create-order-resumed:saga-7-r1"


def step_functions(**status_of: str) -> FakeGateway:
    """Knows the executions ``first`` and ``second``, as far as they have a status; each was last in Refund."""
    statuses = {{"first": FIRST, "second": SECOND}[name]: status for name, status in status_of.items()}

    def describe(parameters: Parameters) -> Any:
        status = statuses.get(parameters["executionArn"])
        return {"status": status} if status else aws_error("ExecutionDoesNotExist")

    data = {"envelope": as_json(envelope()), "failure": {"Error": "Refused"}}
    last = {"stateEnteredEventDetails": {"name": "Refund", "input": json.dumps(data)}}
    return FakeGateway(
        DescribeExecution=describe, GetExecutionHistory={"events": [last]}, StartExecution={}, StopExecution={}
    )


async def repaired(gateway: FakeGateway, repairs: int = 1) -> bool:
    return bool(await TOPOLOGY.connect(gateway, SAGA, DEPLOYED).repair(envelope(repairs=repairs)))


async def test_execution_that_runs_is_left_alone() -> None:
    gateway = step_functions(first="RUNNING")
    assert not await repaired(gateway)
    assert gateway.asked("StartExecution") == []


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT", "SUCCEEDED"])
async def test_one_that_does_not_is_followed_by_one_that_goes_on_where_it_was(status: str) -> None:
    gateway = step_functions(first=status)
    assert await repaired(gateway)
    [history] = gateway.asked("GetExecutionHistory")
    [started] = gateway.asked("StartExecution")
    assert history["executionArn"] == FIRST
    assert (started["stateMachineArn"], started["name"]) == (f"{MACHINE}-resumed", "saga-7-r1")
    assert json.loads(started["input"]) == {
        "resume": "Refund",
        "envelope": as_json(envelope(repairs=1)),
        "failure": {"Error": "Refused"},
    }


async def test_latest_execution_counts() -> None:
    gateway = step_functions(first="ABORTED", second="RUNNING")
    assert not await repaired(gateway, 2)
    gateway = step_functions(first="ABORTED", second="ABORTED")
    assert await repaired(gateway, 2)
    assert [call["executionArn"] for call in gateway.asked("GetExecutionHistory")] == [SECOND]
    assert [call["name"] for call in gateway.asked("StartExecution")] == ["saga-7-r2"]


async def test_saga_that_was_never_started_is_started_as_itself_so_that_a_late_start_finds_it() -> None:
    gateway = step_functions()
    assert await repaired(gateway)
    assert [(call["stateMachineArn"], call["name"]) for call in gateway.asked("StartExecution")] == [
        (MACHINE, "saga-7")
    ]


async def test_execution_that_a_repair_of_a_saga_never_started_has_started_counts_later() -> None:
    gateway = step_functions(first="ABORTED")
    assert await repaired(gateway, 2)
    assert [call["name"] for call in gateway.asked("StartExecution")] == ["saga-7-r2"]


async def test_repair_that_was_made_already_is_a_success() -> None:
    gateway = step_functions(first="ABORTED")
    gateway._answers["StartExecution"] = aws_error("ExecutionAlreadyExists")
    assert await repaired(gateway)


async def test_what_cannot_be_looked_at_is_not_repaired() -> None:
    gateway = FakeGateway(DescribeExecution=aws_error("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        await repaired(gateway)


async def test_abort_stops_whatever_the_saga_has_had_and_what_has_ended_is_no_error() -> None:
    stopped = [aws_error("ValidationException"), aws_error("ExecutionDoesNotExist")]
    gateway = FakeGateway(StopExecution=stopped)
    await TOPOLOGY.connect(gateway, SAGA, DEPLOYED).abort("saga-7", 1)
    assert [call["executionArn"] for call in gateway.asked("StopExecution")] == [FIRST, SECOND]
