"""Step Functions retries: of callback tasks, and when the next try comes."""

from __future__ import annotations

import asyncio
import time

import pytest

from harness.topologies.orchestrated import SETTLED
from tests.contract import pages
from tests.contract.cloud import NOT_BEFORE, Cloud, Json, callback_task
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

RETRY_WAIT_S = 4
"""How long a test waits for a second try that is due after one second."""
THEN_PASS = {"Caught": {"Type": "Pass", "End": True}}


def retry(**more: object) -> list[Json]:
    return [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 2} | more]


def failing_task(retriers: list[Json]) -> Json:
    """A task that fails at once, each time: no callback is involved."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": "http://127.0.0.1/000000000000/contract-no-such-queue", "MessageBody": "x"},
        "Retry": retriers,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }


async def seconds(cloud: Cloud, retriers: list[Json], within_s: float) -> float:
    """How long an execution takes whose task fails, and fails again after every retry."""
    machine = await cloud.machine({"Task": failing_task(retriers)} | THEN_PASS)
    started_s = time.monotonic()
    await cloud.output(await cloud.start(machine), within_s)
    return time.monotonic() - started_s


@behaviour(pages.STATES_CONTEXT)
async def test_retried_callback_task_gets_a_new_token(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.begin({"Task": callback_task(queue, Retry=retry())})
    first = await cloud.command(queue)
    await cloud.fail(first)
    second = await cloud.command(queue, RETRY_WAIT_S)
    assert first.token != second.token


@behaviour(pages.STATES_ERRORS)
async def test_retried_callback_task_ends_by_its_own_callback(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue, Retry=retry(MaxAttempts=1))})
    await cloud.fail(await cloud.command(queue))
    second = await cloud.command(queue, RETRY_WAIT_S)
    await asyncio.sleep(0.5)
    assert await cloud.status(execution) == "RUNNING"
    output = {"taskToken": second.token, "output": '{"try": 2}'}
    assert await cloud.refusal("stepfunctions", "SendTaskSuccess", **output) is None
    assert await cloud.output(execution) == {"try": 2}


@behaviour(pages.STATES_ERRORS)
async def test_callback_task_that_timed_out_is_tried_again(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue, TimeoutSeconds=2, Retry=retry())})
    await cloud.command(queue)
    second = await cloud.command(queue)
    output = {"taskToken": second.token, "output": '{"try": 2}'}
    assert await cloud.refusal("stepfunctions", "SendTaskSuccess", **output) is None
    assert await cloud.output(execution) == {"try": 2}


@behaviour(pages.STATES_CALLBACK)
async def test_late_success_of_the_first_try_does_not_end_the_second(cloud: Cloud) -> None:
    queue = await cloud.queue()
    task = callback_task(queue, TimeoutSeconds=2, Retry=retry())
    execution = await cloud.begin({"Task": task})
    first, second = await cloud.command(queue), await cloud.command(queue)
    late = {"taskToken": first.token, "output": '{"try": 1}'}
    assert await cloud.refusal("stepfunctions", "SendTaskSuccess", **late) in SETTLED
    await cloud.succeed(second, {"try": 2})
    assert await cloud.output(execution) == {"try": 2}


@behaviour(pages.STATES_CONTEXT)
async def test_context_counts_the_retries_of_a_state(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.begin({"Task": callback_task(queue, Retry=retry())})
    counts = []
    for _ in range(3):
        command = await cloud.command(queue, RETRY_WAIT_S)
        counts.append(command.body["retry"])
        await cloud.error("stepfunctions", "SendTaskFailure", taskToken=command.token, error="Busy")
    assert counts == [0, 1, 2]


@behaviour(pages.STATES_CONTEXT)
async def test_state_that_is_entered_again_gets_a_new_token_and_counts_from_zero(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Back"}]
    states = {"Task": callback_task(queue, Catch=catch), "Back": {"Type": "Pass", "Next": "Task"}}
    execution = await cloud.begin(states)
    first = await cloud.command(queue)
    await cloud.fail(first)
    second = await cloud.command(queue)
    assert first.token != second.token
    assert [first.body["retry"], second.body["retry"]] == [0, 0]
    await cloud.succeed(second, {"entered": 2})
    assert await cloud.output(execution) == {"entered": 2}


@behaviour(pages.STATES_CALLBACK)
async def test_late_success_of_an_earlier_entry_does_not_end_the_later_one(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Back"}]
    states = {"Task": callback_task(queue, TimeoutSeconds=2, Catch=catch), "Back": {"Type": "Pass", "Next": "Task"}}
    execution = await cloud.begin(states)
    first, second = await cloud.command(queue), await cloud.command(queue)
    await cloud.error("stepfunctions", "SendTaskSuccess", taskToken=first.token, output='{"entered": 1}')
    await asyncio.sleep(0.2)
    assert await cloud.status(execution) == "RUNNING"
    await cloud.succeed(second, {"entered": 2})
    assert await cloud.output(execution) == {"entered": 2}


@behaviour(pages.STATES_ERRORS)
async def test_catch_may_lead_back_to_its_own_state(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Task"}]
    execution = await cloud.begin({"Task": callback_task(queue, Catch=catch)})
    await cloud.fail(await cloud.command(queue))
    await cloud.receive(queue, RETRY_WAIT_S, VisibilityTimeout=0)
    assert await cloud.status(execution) == "RUNNING"
    await cloud.succeed(await cloud.command(queue), {"entered": 2})
    assert await cloud.output(execution) == {"entered": 2}


@behaviour(pages.STATES_ERRORS)
async def test_retries_that_are_used_up_lead_to_catch_with_the_last_error(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Caught"}]
    task = callback_task(queue, Retry=retry(MaxAttempts=1), Catch=catch)
    execution = await cloud.begin({"Task": task} | THEN_PASS, {"order": 1})
    for cause in ("first", "second"):
        command = await cloud.command(queue, RETRY_WAIT_S)
        failure = {"taskToken": command.token, "error": "Busy", "cause": cause}
        assert await cloud.refusal("stepfunctions", "SendTaskFailure", **failure) is None
    assert await cloud.output(execution) == {"order": 1, "failure": {"Error": "Busy", "Cause": "second"}}
    assert await cloud.receive(queue, wait_s=1) == []


@behaviour(pages.STATES_ERRORS)
async def test_error_with_no_attempts_is_never_retried_though_a_later_retrier_names_all(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["Refused"], "ResultPath": "$.failure", "Next": "Caught"}]
    retriers = [{"ErrorEquals": ["Refused"], "MaxAttempts": 0}, *retry()]
    execution = await cloud.begin({"Task": callback_task(queue, Retry=retriers, Catch=catch)} | THEN_PASS)
    await cloud.fail(await cloud.command(queue), "Refused", "no stock")
    assert (await cloud.output(execution))["failure"] == {"Error": "Refused", "Cause": "no stock"}
    assert await cloud.receive(queue, wait_s=2) == []


@behaviour(pages.STATES_ERRORS)
async def test_interval_between_retries_grows_by_the_backoff_rate(cloud: Cloud) -> None:
    took_s = await seconds(cloud, retry(BackoffRate=2.0), within_s=12)
    assert took_s >= (1 + 2) * NOT_BEFORE


@behaviour(pages.STATES_ERRORS)
async def test_interval_between_retries_grows_no_longer_than_the_longest_delay(cloud: Cloud) -> None:
    took_s = await seconds(cloud, retry(BackoffRate=8.0, MaxDelaySeconds=2), within_s=20)
    assert (1 + 2) * NOT_BEFORE <= took_s < (1 + 8) * NOT_BEFORE


@behaviour(pages.STATES_ERRORS)
async def test_full_jitter_spreads_the_delays_between_nothing_and_the_interval(cloud: Cloud) -> None:
    """Twelve draws from 0 to 3 s, beside as many without jitter: that none is below 2 s happens once in 500 000 times."""
    kinds = ["FULL", "NONE"] * 12
    took_s = await asyncio.gather(
        *(seconds(cloud, retry(IntervalSeconds=3, MaxAttempts=1, JitterStrategy=kind), within_s=30) for kind in kinds)
    )
    spread_s, control_s = took_s[::2], took_s[1::2]
    assert min(control_s) - min(spread_s) > 1
    assert max(spread_s) - min(spread_s) > max(control_s) - min(control_s)


@behaviour(pages.STATES_ERRORS)
async def test_without_jitter_no_delay_is_shorter_than_the_interval(cloud: Cloud) -> None:
    retriers = retry(IntervalSeconds=2, MaxAttempts=1, JitterStrategy="NONE")
    took_s = await asyncio.gather(*(seconds(cloud, retriers, within_s=12) for _ in range(6)))
    assert min(took_s) >= 2 * NOT_BEFORE
