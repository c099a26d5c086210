"""Step Functions callbacks: how a task with a token ends, and what is said to whoever is late."""

from __future__ import annotations

import asyncio
import json

import pytest

from harness.topologies.orchestrated import SETTLED
from tests.contract import pages
from tests.contract.cloud import Cloud, Json, callback_task
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAUGHT = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Caught"}]
THEN_PASS = {"Caught": {"Type": "Pass", "End": True}}


@behaviour(pages.STATES_CALLBACK)
async def test_task_waits_for_its_callback_and_ends_with_its_output(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue)})
    command = await cloud.command(queue)
    assert await cloud.status(execution) == "RUNNING"
    await cloud.succeed(command, {"paid": 5})
    assert await cloud.output(execution) == {"paid": 5}


@behaviour(pages.STATES_CALLBACK)
async def test_every_task_of_an_execution_gets_a_token_of_its_own(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin(
        {"One": callback_task(queue, Next="Two"), "Two": callback_task(queue, ResultPath="$.two")}
    )
    first = await cloud.command(queue)
    await cloud.succeed(first, {"one": 1})
    second = await cloud.command(queue)
    assert first.token != second.token
    await cloud.succeed(second, {"two": 2})
    assert await cloud.output(execution) == {"one": 1, "two": {"two": 2}}


@behaviour(pages.STATES_ERRORS)
async def test_error_and_cause_of_a_failure_reach_catch(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["Refused"], "ResultPath": "$.failure", "Next": "Caught"}]
    execution = await cloud.begin({"Task": callback_task(queue, Catch=catch)} | THEN_PASS, {"order": 1})
    await cloud.fail(await cloud.command(queue), "Refused", "no stock")
    assert await cloud.output(execution) == {"order": 1, "failure": {"Error": "Refused", "Cause": "no stock"}}


@behaviour(pages.STATES_ERRORS)
async def test_error_that_no_catch_names_fails_the_execution(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["Refused"], "Next": "Caught"}]
    execution = await cloud.begin({"Task": callback_task(queue, Catch=catch)} | THEN_PASS)
    await cloud.fail(await cloud.command(queue), "Broken", "no disk")
    ended = await cloud.ended(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Broken", "no disk")


@behaviour(pages.STATES_TASK)
async def test_task_without_a_callback_fails_with_a_timeout_when_its_time_is_over(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue, TimeoutSeconds=1, Catch=CAUGHT)} | THEN_PASS)
    assert (await cloud.output(execution))["failure"]["Error"] == "States.Timeout"


@behaviour(pages.STATES_TASK)
async def test_callback_within_the_timeout_is_in_time(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue, TimeoutSeconds=4)})
    command = await cloud.command(queue)
    await asyncio.sleep(2)
    await cloud.succeed(command, {"in": "time"})
    assert await cloud.output(execution) == {"in": "time"}


def times_out(queue: str, later: str) -> Json:
    """One second after its command, the first task gives way to the second."""
    catch = [{"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": "Later"}]
    return {"Task": callback_task(queue, TimeoutSeconds=1, Catch=catch), "Later": callback_task(later)}


@behaviour(pages.STATES_CALLBACK)
async def test_late_callback_changes_nothing(cloud: Cloud) -> None:
    queue, later = await cloud.queue(), await cloud.queue()
    execution = await cloud.begin(times_out(queue, later))
    late, command = await cloud.command(queue), await cloud.command(later)
    await cloud.error("stepfunctions", "SendTaskSuccess", taskToken=late.token, output='{"ended": "late"}')
    await asyncio.sleep(0.2)
    assert await cloud.status(execution) == "RUNNING"
    await cloud.succeed(command, {"ended": "in time"})
    assert await cloud.output(execution) == {"ended": "in time"}


@behaviour(pages.STATES_SUCCESS)
async def test_late_callback_is_refused(cloud: Cloud) -> None:
    queue, later = await cloud.queue(), await cloud.queue()
    await cloud.begin(times_out(queue, later))
    late, _ = await cloud.command(queue), await cloud.command(later)
    refusal = await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=late.token, output="{}")
    assert refusal in SETTLED


@behaviour(pages.STATES_SUCCESS)
async def test_refusal_of_a_late_callback_is_called_task_timed_out(cloud: Cloud) -> None:
    queue, later = await cloud.queue(), await cloud.queue()
    await cloud.begin(times_out(queue, later))
    late, _ = await cloud.command(queue), await cloud.command(later)
    refusal = await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=late.token, output="{}")
    assert refusal == "TaskTimedOut"


@behaviour(pages.STATES_SUCCESS)
async def test_second_callback_is_refused_while_the_execution_runs(cloud: Cloud) -> None:
    queue, later = await cloud.queue(), await cloud.queue()
    await cloud.begin({"Task": callback_task(queue, Next="Later"), "Later": callback_task(later)})
    command = await cloud.command(queue)
    await cloud.succeed(command)
    await cloud.command(later)
    refusal = await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=command.token, output="{}")
    assert refusal in SETTLED


@behaviour(pages.STATES_SUCCESS)
async def test_second_callback_is_refused_when_the_execution_has_ended(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue)})
    command = await cloud.command(queue)
    await cloud.succeed(command)
    await cloud.ended(execution)
    refusal = await cloud.refusal("stepfunctions", "SendTaskFailure", taskToken=command.token, error="Late")
    assert refusal in SETTLED


@behaviour(pages.STATES_SUCCESS)
async def test_of_many_callbacks_at_once_one_is_accepted_and_counts(cloud: Cloud) -> None:
    """Tried often: a backend that is wrong here may be right by chance."""
    queue = await cloud.queue()
    machine = await cloud.machine({"Task": callback_task(queue)})
    outputs = [json.dumps({"n": n}) for n in range(8)]
    for _ in range(60):
        execution = await cloud.start(machine)
        token = (await cloud.command(queue)).token
        refusals = await asyncio.gather(
            *(cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=token, output=output) for output in outputs)
        )
        counted = await cloud.output(execution)
        assert [n for n, refusal in enumerate(refusals) if refusal is None] == [counted["n"]]


@behaviour(pages.STATES_SUCCESS)
async def test_token_that_never_was_is_invalid(cloud: Cloud) -> None:
    refusal = await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken="no token", output="{}")
    assert refusal == "InvalidToken"


@behaviour(pages.STATES_SUCCESS)
async def test_output_that_is_not_json_is_refused_and_the_task_goes_on(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue)})
    command = await cloud.command(queue)
    refusal = await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=command.token, output="not JSON")
    assert refusal == "InvalidOutput"
    await cloud.succeed(command, {"valid": True})
    assert await cloud.output(execution) == {"valid": True}


@behaviour(pages.STATES_STOP)
async def test_callback_to_an_aborted_execution_is_refused(cloud: Cloud) -> None:
    """Tried often: a backend that aborts a moment after its answer may be right by chance."""
    queue = await cloud.queue()
    machine = await cloud.machine({"Task": callback_task(queue)})
    for _ in range(10):
        execution = await cloud.start(machine)
        command = await cloud.command(queue)
        await cloud.call("stepfunctions", "StopExecution", executionArn=execution)
        refusal = await cloud.refusal("stepfunctions", "SendTaskSuccess", taskToken=command.token, output="{}")
        assert refusal in SETTLED
        assert await cloud.status(execution) == "ABORTED"


@behaviour(pages.STATES_TASK)
async def test_missed_heartbeat_fails_the_task(cloud: Cloud) -> None:
    queue = await cloud.queue()
    task = callback_task(queue, HeartbeatSeconds=1, TimeoutSeconds=3, Catch=CAUGHT)
    execution = await cloud.begin({"Task": task} | THEN_PASS)
    assert (await cloud.output(execution))["failure"]["Error"] == "States.HeartbeatTimeout"


@behaviour(pages.STATES_HEARTBEAT)
async def test_heartbeats_keep_a_task_alive(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue, HeartbeatSeconds=2)})
    command = await cloud.command(queue)
    for _ in range(3):
        await asyncio.sleep(0.8)
        await cloud.call("stepfunctions", "SendTaskHeartbeat", taskToken=command.token)
    await cloud.succeed(command, {"alive": True})
    assert await cloud.output(execution) == {"alive": True}
