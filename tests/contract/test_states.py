"""Step Functions states: data, choices, waits, intrinsic functions, Parallel and Map."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.contract import pages
from tests.contract.cloud import NOT_BEFORE, Cloud, Json, callback_task
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASS: Json = {"Type": "Pass", "End": True}


async def evaluate(cloud: Cloud, expression: str, **input_: Any) -> Any:
    """What an intrinsic function gives."""
    return (await cloud.run({"Eval": PASS | {"Parameters": {"value.$": expression}}}, input_))["value"]


async def chosen(cloud: Cloud, rules: list[Json], inputs: list[Json]) -> list[str]:
    """Where a Choice leads each input; ``default`` where no rule holds."""
    names = [rule["Next"] for rule in rules] + ["default"]
    states: Json = {"Choose": {"Type": "Choice", "Choices": rules, "Default": "default"}}
    states |= {name: PASS | {"Result": name} for name in names}
    machine = await cloud.machine(states)
    return list(await asyncio.gather(*(outcome(cloud, machine, input_) for input_ in inputs)))


async def outcome(cloud: Cloud, machine: str, input_: Json) -> str:
    return str(await cloud.output(await cloud.start(machine, input_)))


@behaviour(pages.STATES_RESULT_PATH)
async def test_result_path_puts_a_result_into_the_input(cloud: Cloud) -> None:
    states = {"Put": PASS | {"Result": {"n": 1}, "ResultPath": "$.try.result"}}
    assert await cloud.run(states, {"order": 1, "try": {"kept": 2}}) == {
        "order": 1,
        "try": {"kept": 2, "result": {"n": 1}},
    }


@behaviour(pages.STATES_RESULT_PATH)
async def test_null_result_path_keeps_the_input(cloud: Cloud) -> None:
    queue = await cloud.queue()
    execution = await cloud.begin({"Task": callback_task(queue, ResultPath=None)}, {"order": 1})
    await cloud.succeed(await cloud.command(queue), {"paid": 5})
    assert await cloud.output(execution) == {"order": 1}


@behaviour(pages.STATES_RESULT_PATH)
async def test_null_result_path_of_a_catch_keeps_the_input(cloud: Cloud) -> None:
    queue = await cloud.queue()
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Caught"}]
    execution = await cloud.begin({"Task": callback_task(queue, Catch=catch), "Caught": PASS}, {"order": 1})
    await cloud.fail(await cloud.command(queue))
    assert await cloud.output(execution) == {"order": 1}


@behaviour(pages.STATES_PASS)
async def test_pass_computes_parameters_into_its_result_path(cloud: Cloud) -> None:
    computed = {"n.$": "States.MathAdd($.try.n, 1)", "fixed": "x", "from.$": "$.order"}
    states = {"Count": PASS | {"Parameters": computed, "ResultPath": "$.try"}}
    assert await cloud.run(states, {"order": 7, "try": {"n": 2}}) == {
        "order": 7,
        "try": {"n": 3, "fixed": "x", "from": 7},
    }


@behaviour(pages.STATES_CONTEXT)
async def test_context_names_the_execution_and_the_state(cloud: Cloud) -> None:
    machine = await cloud.machine(
        {"Here": PASS | {"Parameters": {"of.$": "$$.Execution.Name", "in.$": "$$.State.Name"}}}
    )
    execution = await cloud.start(machine, name="the-name")
    assert await cloud.output(execution) == {"of": "the-name", "in": "Here"}


@behaviour(pages.STATES_FAIL)
async def test_fail_state_fails_the_execution_with_its_error_and_cause(cloud: Cloud) -> None:
    execution = await cloud.begin({"Undone": {"Type": "Fail", "Error": "SagaCompensated", "Cause": "undone"}})
    ended = await cloud.ended(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "SagaCompensated", "undone")


@behaviour(pages.STATES_CHOICE)
async def test_choice_compares_numbers(cloud: Cloud) -> None:
    rules: list[Json] = [
        {"Variable": "$.n", "NumericEquals": 1, "Next": "one"},
        {"Variable": "$.n", "NumericGreaterThanEquals": 10, "Next": "many"},
        {"Variable": "$.n", "NumericLessThanPath": "$.least", "Next": "few"},
    ]
    inputs: list[Json] = [{"n": n, "least": 3} for n in (1, 2, 5, 10, 11)]
    assert await chosen(cloud, rules, inputs) == ["one", "few", "default", "many", "many"]


@behaviour(pages.STATES_CHOICE)
async def test_choice_compares_strings_and_combines_rules(cloud: Cloud) -> None:
    busy = {"Variable": "$.error", "StringEquals": "Busy"}
    few = {"Variable": "$.n", "NumericLessThan": 3}
    rules: list[Json] = [
        {"And": [busy, few], "Next": "again"},
        {"Variable": "$.error", "StringMatches": "States.*", "Next": "platform"},
        {"Not": busy, "Next": "other"},
    ]
    inputs: list[Json] = [
        {"error": error, "n": n} for error, n in (("Busy", 1), ("Busy", 3), ("States.Timeout", 1), ("Refused", 1))
    ]
    assert await chosen(cloud, rules, inputs) == ["again", "default", "platform", "other"]


@behaviour(pages.STATES_CHOICE)
async def test_choice_tells_whether_a_field_is_there(cloud: Cloud) -> None:
    rules = [{"Variable": "$.try.n", "IsPresent": True, "Next": "there"}]
    assert await chosen(cloud, rules, [{"try": {"n": 1}}, {"try": {}}, {}]) == ["there", "default", "default"]


@behaviour(pages.STATES_ERRORS)
async def test_choice_without_a_match_and_a_default_fails(cloud: Cloud) -> None:
    rule = {"Variable": "$.n", "NumericEquals": 1, "Next": "One"}
    ended = await cloud.ended(
        await cloud.begin({"Choose": {"Type": "Choice", "Choices": [rule]}, "One": PASS}, {"n": 2})
    )
    assert (ended["status"], ended["error"]) == ("FAILED", "States.NoChoiceMatched")


@behaviour(pages.STATES_WAIT)
async def test_wait_takes_its_seconds_from_the_input(cloud: Cloud) -> None:
    machine = await cloud.machine({"Wait": {"Type": "Wait", "SecondsPath": "$.try.wait_s", "End": True}})
    started_s = time.monotonic()
    execution = await cloud.start(machine, {"try": {"wait_s": 2}})
    assert await cloud.output(execution) == {"try": {"wait_s": 2}}
    assert time.monotonic() - started_s >= 2 * NOT_BEFORE


@behaviour(pages.STATES_WAIT)
async def test_wait_of_no_seconds_does_not_wait(cloud: Cloud) -> None:
    states = {"Wait": {"Type": "Wait", "SecondsPath": "$.wait_s", "End": True}}
    assert await cloud.run(states, {"wait_s": 0}) == {"wait_s": 0}


@behaviour(pages.STATES_WAIT)
async def test_wait_of_part_of_a_second_fails_the_execution(cloud: Cloud) -> None:
    execution = await cloud.begin({"Wait": {"Type": "Wait", "SecondsPath": "$.wait_s", "End": True}}, {"wait_s": 0.5})
    ended = await cloud.ended(execution)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.Runtime")


@behaviour(pages.STATES_INTRINSICS)
async def test_math_add_adds_whole_numbers(cloud: Cloud) -> None:
    assert await evaluate(cloud, "States.MathAdd($.n, -1)", n=3) == 2


@behaviour(pages.STATES_INTRINSICS)
async def test_array_get_item_counts_from_zero(cloud: Cloud) -> None:
    assert await evaluate(cloud, "States.ArrayGetItem(States.Array(1, 2, 4, 8), $.n)", n=2) == 4


@behaviour(pages.STATES_INTRINSICS)
async def test_intrinsic_functions_nest(cloud: Cloud) -> None:
    expression = "States.ArrayGetItem(States.Array(1, 2, 4), States.MathAdd($.n, 1))"
    assert await evaluate(cloud, expression, n=1) == 4


@behaviour(pages.STATES_PARALLEL)
async def test_parallel_gives_the_results_of_its_branches_in_their_order(cloud: Cloud) -> None:
    slow = {
        "StartAt": "Slow",
        "States": {"Slow": {"Type": "Wait", "Seconds": 1, "Next": "A"}, "A": PASS | {"Result": "a"}},
    }
    fast = {"StartAt": "B", "States": {"B": PASS | {"Result": "b"}}}
    assert await cloud.run({"Both": {"Type": "Parallel", "Branches": [slow, fast], "End": True}}) == ["a", "b"]


@behaviour(pages.STATES_PARALLEL)
async def test_parallel_fails_as_soon_as_one_branch_fails(cloud: Cloud) -> None:
    fails = {"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Broken"}}}
    waits = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 6, "End": True}}}
    catch = [{"ErrorEquals": ["Broken"], "ResultPath": "$.failure", "Next": "Caught"}]
    both = {"Type": "Parallel", "Branches": [waits, fails], "Catch": catch, "End": True}
    machine = await cloud.machine({"Both": both, "Caught": PASS})
    started_s = time.monotonic()
    await cloud.output(await cloud.start(machine), within_s=20)
    assert time.monotonic() - started_s < 6 * NOT_BEFORE


@behaviour(pages.STATES_CONTEXT)
async def test_context_names_the_state_of_a_branch(cloud: Cloud) -> None:
    branch = {"StartAt": "Inner", "States": {"Inner": PASS | {"Parameters": {"in.$": "$$.State.Name"}}}}
    assert await cloud.run({"Both": {"Type": "Parallel", "Branches": [branch], "End": True}}) == [{"in": "Inner"}]


@behaviour(pages.STATES_MAP)
async def test_map_gives_the_results_in_the_order_of_the_items(cloud: Cloud) -> None:
    processor = {"StartAt": "Add", "States": {"Add": PASS | {"Parameters": {"n.$": "States.MathAdd($, 1)"}}}}
    each = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    assert await cloud.run({"Each": each}, {"items": [3, 1, 2]}) == [{"n": 4}, {"n": 2}, {"n": 3}]


@behaviour(pages.STATES_MAP)
async def test_map_works_on_no_more_items_at_once_than_its_max_concurrency(cloud: Cloud) -> None:
    queue = await cloud.queue()
    processor = {"StartAt": "Task", "States": {"Task": callback_task(queue)}}
    each = {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 1, "ItemProcessor": processor, "End": True}
    execution = await cloud.begin({"Each": each}, {"items": [1, 2]})
    for number in (1, 2):
        command = await cloud.command(queue)
        assert await cloud.receive(queue, wait_s=1) == []
        await cloud.succeed(command, {"done": number})
    assert await cloud.output(execution) == [{"done": 1}, {"done": 2}]
