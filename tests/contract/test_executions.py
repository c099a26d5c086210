"""Step Functions executions: started once, stopped, listed, remembered; and the calls that they make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract import pages
from tests.contract.cloud import Cloud, Json, callback_task, name
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

KIB = 1024
PASS: Json = {"Type": "Pass", "End": True}


@behaviour(pages.STATES_START)
async def test_start_of_a_running_execution_with_the_same_input_finds_it(cloud: Cloud) -> None:
    queue = await cloud.queue()
    machine = await cloud.machine({"Task": callback_task(queue)})
    first = await cloud.start(machine, {"order": 1}, name="saga")
    await cloud.command(queue)
    again = {"stateMachineArn": machine, "name": "saga", "input": json.dumps({"order": 1})}
    assert await cloud.refusal("stepfunctions", "StartExecution", **again) is None
    assert (await cloud.call("stepfunctions", "StartExecution", **again))["executionArn"] == first
    assert await cloud.receive(queue, wait_s=1) == []


@behaviour(pages.STATES_START)
async def test_start_of_a_running_execution_with_another_input_is_refused(cloud: Cloud) -> None:
    queue = await cloud.queue()
    machine = await cloud.machine({"Task": callback_task(queue)})
    await cloud.start(machine, {"order": 1}, name="saga")
    other = {"stateMachineArn": machine, "name": "saga", "input": json.dumps({"order": 2})}
    assert await cloud.refusal("stepfunctions", "StartExecution", **other) == "ExecutionAlreadyExists"


@behaviour(pages.STATES_START)
async def test_start_of_an_execution_that_has_ended_is_refused(cloud: Cloud) -> None:
    machine = await cloud.machine({"Done": PASS})
    await cloud.ended(await cloud.start(machine, {"order": 1}, name="saga"))
    again = {"stateMachineArn": machine, "name": "saga", "input": json.dumps({"order": 1})}
    assert await cloud.refusal("stepfunctions", "StartExecution", **again) == "ExecutionAlreadyExists"


@behaviour(pages.STATES_START)
async def test_input_that_is_not_json_is_refused(cloud: Cloud) -> None:
    machine = await cloud.machine({"Done": PASS})
    refusal = await cloud.refusal("stepfunctions", "StartExecution", stateMachineArn=machine, input="not JSON")
    assert refusal == "InvalidExecutionInput"


@behaviour(pages.STATES_START)
async def test_input_of_more_than_256_kib_is_refused(cloud: Cloud) -> None:
    machine = await cloud.machine({"Done": PASS})
    inputs = [json.dumps("x" * (256 * KIB - 2 + more)) for more in (0, 1)]
    refusals = [
        await cloud.refusal("stepfunctions", "StartExecution", stateMachineArn=machine, input=input_)
        for input_ in inputs
    ]
    assert refusals[0] is None
    assert refusals[1] is not None


@behaviour(pages.STATES_QUOTAS)
async def test_state_whose_output_is_more_than_256_kib_fails(cloud: Cloud) -> None:
    double = PASS | {"Parameters": {"a.$": "$.a", "b.$": "$.a"}}
    ended = await cloud.ended(await cloud.begin({"Double": double}, {"a": "x" * 200 * KIB}))
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.DataLimitExceeded")


@behaviour(pages.STATES_SUCCESS)
async def test_callback_output_of_more_than_256_kib_is_refused(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.begin({"Task": callback_task(queue)})
    token = (await cloud.command(queue)).token
    output = json.dumps("x" * 256 * KIB)
    assert await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=token, output=output) is not None


@behaviour(pages.STATES_CREATE)
async def test_definition_that_leads_nowhere_is_refused(cloud: Cloud) -> None:
    definition = json.dumps({"StartAt": "Lost", "States": {"Lost": {"Type": "Pass", "Next": "Nowhere"}}})
    machine = {"name": name("machine"), "roleArn": "arn:aws:iam::000000000000:role/contract", "definition": definition}
    assert await cloud.refusal("stepfunctions", "CreateStateMachine", **machine) == "InvalidDefinition"


@behaviour(pages.STATES_STRUCTURE)
async def test_execution_that_outlives_its_machines_timeout_is_timed_out(cloud: Cloud) -> None:
    wait = {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}}
    ended = await cloud.ended(await cloud.begin(wait, TimeoutSeconds=1), within_s=12)
    assert ended["status"] == "TIMED_OUT"


@behaviour(pages.STATES_STOP)
async def test_stopped_execution_is_aborted_and_goes_no_further(cloud: Cloud) -> None:
    queue = await cloud.queue()
    states = {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "Task"}, "Task": callback_task(queue)}
    execution = await cloud.begin(states)
    await cloud.call("stepfunctions", "StopExecution", executionArn=execution)
    assert (await cloud.ended(execution))["status"] == "ABORTED"
    assert await cloud.receive(queue, wait_s=2) == []


@behaviour(pages.STATES_STOP)
async def test_aborted_execution_holds_the_error_and_cause_that_it_was_stopped_with(cloud: Cloud) -> None:
    execution = await cloud.begin({"Wait": {"Type": "Wait", "Seconds": 60, "End": True}})
    await cloud.call("stepfunctions", "StopExecution", executionArn=execution, error="Stopped", cause="by hand")
    ended = await cloud.ended(execution)
    assert (ended.get("error"), ended.get("cause")) == ("Stopped", "by hand")


@behaviour(pages.STATES_LIST)
async def test_executions_are_listed_by_their_status(cloud: Cloud) -> None:
    queue = await cloud.queue()
    machine = await cloud.machine({"Task": callback_task(queue)})
    executions = {kind: await cloud.start(machine, name=kind) for kind in ("RUNNING", "SUCCEEDED", "FAILED")}
    by_input = {}
    for _ in executions:
        command = await cloud.command(queue)
        by_input[command.body["of"]] = command
    await cloud.succeed(by_input["SUCCEEDED"])
    await cloud.fail(by_input["FAILED"])
    for kind in ("SUCCEEDED", "FAILED"):
        await cloud.ended(executions[kind])
    for status, execution in executions.items():
        page = await cloud.call("stepfunctions", "ListExecutions", stateMachineArn=machine, statusFilter=status)
        assert [listed["executionArn"] for listed in page["executions"]] == [execution]


@behaviour(pages.STATES_HISTORY)
async def test_history_tells_the_life_of_a_callback_task(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue)})
    await cloud.succeed(await cloud.command(queue))
    await cloud.ended(execution)
    assert [event["type"] for event in await cloud.history(execution)] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


@behaviour(pages.STATES_HISTORY)
async def test_history_tells_every_try_of_a_task(cloud: Cloud) -> None:
    queue = await cloud.queue()
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = await cloud.begin({"Task": callback_task(queue, Retry=retry)})
    for _ in range(2):
        command = await cloud.command(queue, 4)
        await cloud.error("stepfunctions", "SendTaskFailure", taskToken=command.token, error="Busy")
    await cloud.ended(execution)
    types = [event["type"] for event in await cloud.history(execution)]
    once = ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskFailed"]
    assert types == ["ExecutionStarted", "TaskStateEntered", *once, *once, "ExecutionFailed"]


@behaviour(pages.STATES_HISTORY)
async def test_history_numbers_its_events_and_holds_the_error(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue)})
    await cloud.fail(await cloud.command(queue), "Refused", "no stock")
    await cloud.ended(execution)
    events = await cloud.history(execution)
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    details = events[-1]["executionFailedEventDetails"]
    assert (details["error"], details["cause"]) == ("Refused", "no stock")


@behaviour(pages.STATES_SQS)
async def test_message_of_a_task_is_the_body_as_json_and_its_result_names_it(cloud: Cloud) -> None:
    queue = await cloud.queue()
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"fixed": "ü", "order.$": "$.order"}},
        "End": True,
    }
    result = await cloud.run({"Send": task}, {"order": {"amount": 5}})
    message = await cloud.receive_one(queue)
    assert json.loads(message["Body"]) == {"fixed": "ü", "order": {"amount": 5}}
    assert result["MessageId"] == message["MessageId"]


def publish(bus: str, **entry: Any) -> Json:
    event = {"EventBusName": bus, "Source": "sagastorm.contract", "DetailType": "Ended"} | entry
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Parameters": {"Entries": [event]},
        "End": True,
    }


@behaviour(pages.STATES_EVENTS)
async def test_event_of_a_task_has_its_detail_as_an_object(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, {"source": ["sagastorm.contract"], "detail-type": ["Ended"]}, queue)
    result = await cloud.run({"Publish": publish(bus, Detail={"order.$": "$.order"})}, {"order": {"n": 5}})
    event = json.loads((await cloud.receive_one(queue))["Body"])
    assert event["detail"]["order"] == {"n": 5}
    assert result["Entries"][0]["EventId"] == event["id"]


@behaviour(pages.STATES_EVENTS)
async def test_event_of_a_task_names_its_execution_among_the_resources(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, {"source": ["sagastorm.contract"]}, queue)
    execution = await cloud.begin({"Publish": publish(bus, Detail={})})
    event = json.loads((await cloud.receive_one(queue))["Body"])
    assert execution in event["resources"]


@behaviour(pages.STATES_EVENTS)
async def test_task_fails_when_its_event_is_refused(cloud: Cloud) -> None:
    bus = await cloud.bus()
    ended = await cloud.ended(await cloud.begin({"Publish": publish(bus, Source="", Detail={})}))
    assert (ended["status"], ended.get("error")) == ("FAILED", "EventBridge.FailedEntry")


@behaviour(pages.STATES_STATUS_EVENTS)
async def test_default_bus_tells_when_an_execution_starts_and_ends(cloud: Cloud) -> None:
    queue = await cloud.queue()
    machine = await cloud.machine({"Done": PASS})
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [machine]},
    }
    await cloud.rule("default", pattern, queue)
    execution = await cloud.start(machine)
    await cloud.ended(execution)
    events = [json.loads(body)["detail"] for body in await cloud.take(queue, 2, wait_s=4)]
    assert {event["executionArn"] for event in events} == {execution}
    assert {event["status"] for event in events} == {"RUNNING", "SUCCEEDED"}
