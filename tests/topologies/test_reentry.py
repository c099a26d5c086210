"""The state machine that enters its callback tasks anew: it does what the one with ``Retry`` does, and waits as it."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.saga import Saga, StepKind
from harness.sagas.create_order import SAGA
from harness.topologies.base import FOREVER, CallbackRetry
from harness.topologies.orchestrated import REFUSED
from harness.topologies.policy import WAITS_AHEAD, RetryPolicy
from harness.topologies.reentry import COUNT, reentered
from tests.conftest import Golden
from tests.topologies.test_orchestrated import HYPHENATED, ONLY_FORWARD, POLICY, SAGAS, TIMEOUT, VALIDATOR, compiled
from tests.topologies.walk import Fails, Machine, Walk, tasks

WAITS_S = [10 * number for number in range(WAITS_AHEAD)]
"""Such as nobody draws: each tells its place."""
FORMS = list(CallbackRetry)
TASK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"


def machine(of: Saga, form: CallbackRetry) -> Machine:
    definition = compiled(of)
    return reentered(definition) if form is CallbackRetry.REENTER else definition


def walk(of: Saga, form: CallbackRetry, fails: Fails) -> Walk:
    return Walk(machine(of, form), {"envelope": {}, "waits_s": WAITS_S}, fails)


def always(work: str, error: str, times: int = FOREVER) -> Fails:
    return lambda asked, command: error if asked == work and command < times else None


def tries(walk: Walk, work: str) -> list[int]:
    return [retry for asked, retry in walk.commands if asked == work]


def one_task(**changes: Any) -> Machine:
    """The least that can be written out."""
    task = {
        "Type": "Task",
        "Resource": TASK,
        "Parameters": {"MessageBody": {"step": "work", "retry.$": "$$.State.RetryCount"}},
        "ResultPath": None,
        "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": FOREVER, "MaxDelaySeconds": 8}],
        "Next": "End",
    }
    return {"StartAt": "Work", "States": {"Work": task | changes, "End": {"Type": "Succeed"}}}


def test_create_order_is_written_out_as_the_golden_state_machine(golden: Golden) -> None:
    written_out = machine(SAGA, CallbackRetry.REENTER)
    golden(Path(__file__).with_name("create_order.reentry.asl.json"), json.dumps(written_out, indent=2) + "\n")


@pytest.mark.skipif(not VALIDATOR.exists() or shutil.which("node") is None, reason="asl-validator is not installed")
def test_written_out_machines_are_valid_amazon_states_language(tmp_path: Path) -> None:
    files = [tmp_path / f"{case.id}.json" for case in SAGAS]
    for file, case in zip(files, SAGAS, strict=True):
        file.write_text(json.dumps(machine(case.values[0], CallbackRetry.REENTER)), encoding="utf-8")
    arguments = [part for file in files for part in ("--json-path", file)]
    checked = subprocess.run([VALIDATOR, *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("is valid") == len(SAGAS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of", SAGAS)
def test_nothing_fails_and_every_step_is_commanded_once(of: Saga, form: CallbackRetry) -> None:
    walked = walk(of, form, lambda work, command: None)
    assert walked.commands == [(step.name, 0) for step in of.steps]
    assert walked.states[-1] == "Completed"
    assert walked.waits_s == []


def test_saga_without_failures_pays_one_transition() -> None:
    retry, reenter = (walk(SAGA, form, lambda work, command: None).states for form in FORMS)
    assert reenter == [COUNT, *retry]


def test_refused_saga_pays_two_and_each_retry_four_or_five() -> None:
    refused = [len(walk(SAGA, form, always("charge", REFUSED)).states) for form in FORMS]
    assert refused[1] - refused[0] == 2
    for work, paid in (("charge", 5), ("confirm", 4)):
        once, twice = (len(walk(SAGA, FORMS[1], always(work, TIMEOUT, times)).states) for times in (1, 2))
        assert twice - once == paid + 1, "the task itself comes again as well"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of", SAGAS)
def test_refused_step_goes_to_compensation_at_once(of: Saga, form: CallbackRetry) -> None:
    for step in of.steps:
        if step.kind is StepKind.RETRIABLE:
            continue
        walked = walk(of, form, always(step.name, REFUSED))
        before = of.steps[: of.steps.index(step)]
        undone = [one.compensation.name for one in reversed(before) if one.compensation]
        works = [one.name for one in (*before, step)] + undone + [one.name for one in of.after_compensation]
        assert walked.commands == [(work, 0) for work in works]
        assert walked.published[-1]["Detail"]["failure"]["Error"] == REFUSED


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of", SAGAS)
def test_step_whose_outcome_stays_unknown_is_given_up_after_its_tries_and_undone(of: Saga, form: CallbackRetry) -> None:
    for step in of.steps:
        if step.compensation is None:
            continue
        walked = walk(of, form, always(step.name, TIMEOUT))
        assert tries(walked, step.name) == list(range(POLICY.max_tries))
        assert tries(walked, step.compensation.name) == [0]
        assert walked.states[-1] == "Compensated"
        assert walked.published[-1]["Detail"]["failure"]["Error"] == TIMEOUT


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("error", [TIMEOUT, REFUSED, "Lambda.Unknown"])
@pytest.mark.parametrize("of", [pytest.param(SAGA, id="create-order"), pytest.param(ONLY_FORWARD, id="only-forward")])
def test_after_the_pivot_there_are_only_tries(of: Saga, error: str, form: CallbackRetry) -> None:
    for step in of.steps:
        if step.kind is StepKind.RETRIABLE:
            walked = walk(of, form, always(step.name, error, times=50))
            assert tries(walked, step.name) == list(range(51))
            assert walked.states[-1] == "Completed"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("error", [TIMEOUT, REFUSED])
def test_compensation_never_gives_up_and_the_failure_that_caused_it_is_told(error: str, form: CallbackRetry) -> None:
    refused, undo = HYPHENATED.steps[2], "un-book-hotel"
    fails = always(undo, error, times=50)
    walked = walk(HYPHENATED, form, lambda work, n: "States.Odd" if work == refused.name else fails(work, n))
    assert tries(walked, undo) == list(range(51))
    assert walked.published[-1]["Detail"]["failure"]["Error"] == "States.Odd"


@given(
    of=st.sampled_from([case.values[0] for case in SAGAS]),
    script=st.dictionaries(
        st.integers(0, 8), st.lists(st.sampled_from([TIMEOUT, REFUSED, "Odd"]), min_size=1, max_size=6), max_size=4
    ),
)
def test_both_forms_command_and_tell_the_same_whatever_fails(of: Saga, script: dict[int, list[str]]) -> None:
    works = list(of.works())

    def fails(work: str, command: int) -> str | None:
        return dict(enumerate(script.get(works.index(work), []))).get(command)

    retry, reenter = (walk(of, form, fails) for form in FORMS)
    assert reenter.commands == retry.commands
    assert reenter.published == retry.published
    assert reenter.states[-1] == retry.states[-1]


def test_waits_are_those_of_the_input_and_then_the_later_half_of_them_again() -> None:
    walked = walk(SAGA, CallbackRetry.REENTER, always("confirm", TIMEOUT, WAITS_AHEAD + 6))
    half = WAITS_AHEAD // 2
    assert walked.waits_s == [*WAITS_S, *WAITS_S[half:], *WAITS_S[half:]][: WAITS_AHEAD + 6]


def test_step_without_a_limit_of_attempts_is_never_given_up() -> None:
    definition = reentered(compiled(SAGA, RetryPolicy(max_tries=None)))
    walked = Walk(definition, {"envelope": {}, "waits_s": WAITS_S}, always("charge", TIMEOUT, times=50))
    assert tries(walked, "charge") == list(range(51))
    assert walked.states[-1] == "Completed"


def test_every_task_waits_from_the_first_wait_on() -> None:
    times = {"charge": 2, "confirm": 3}
    walked = walk(SAGA, CallbackRetry.REENTER, lambda work, n: TIMEOUT if n < times.get(work, 0) else None)
    assert walked.waits_s == [*WAITS_S[:2], *WAITS_S[:3]]


def test_single_try_gives_up_without_a_wait() -> None:
    caught = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "End"}
    rule = {"ErrorEquals": ["States.ALL"], "MaxAttempts": 0}
    walked = Walk(reentered(one_task(Retry=[rule], Catch=[caught])), {}, always("work", TIMEOUT))
    assert (walked.commands, walked.waits_s) == ([("work", 0)], [])


@pytest.mark.parametrize("of", SAGAS)
def test_no_callback_task_is_left_with_a_retry_and_every_other_task_keeps_its_own(of: Saga) -> None:
    before = compiled(of)
    for name, state in tasks(machine(of, CallbackRetry.REENTER)):
        if name.startswith("Publish"):
            assert state == before["States"][name]
        else:
            assert "Retry" not in state


def test_definition_that_is_written_out_stays_as_it_was() -> None:
    definition = compiled(SAGA)
    before = copy.deepcopy(definition)
    reentered(definition)
    assert definition == before


def test_machine_without_callbacks_to_try_again_is_left_alone() -> None:
    definition = one_task(Resource="arn:aws:states:::events:putEvents")
    assert reentered(definition) is definition


CATCH_ALL = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "End"}
CATCH_REFUSED = CATCH_ALL | {"ErrorEquals": [REFUSED]}
RETRY_ALL = {"ErrorEquals": ["States.ALL"], "MaxAttempts": 3}
NEVER_REFUSED = {"ErrorEquals": [REFUSED], "MaxAttempts": 0}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"Retry": [RETRY_ALL]}, "gives up", id="an error that nothing catches"),
        pytest.param({"Retry": [NEVER_REFUSED, RETRY_ALL], "Catch": [CATCH_ALL]}, "its own", id="one catcher for two"),
        pytest.param({"Retry": [RETRY_ALL], "Catch": [CATCH_REFUSED, CATCH_ALL]}, "its own", id="two catchers for one"),
        pytest.param({"Retry": [RETRY_ALL], "Catch": [CATCH_REFUSED]}, "States.ALL", id="half caught"),
        pytest.param({"Retry": [NEVER_REFUSED], "Catch": [CATCH_REFUSED]}, "States.ALL", id="half retried"),
        pytest.param(
            {"Retry": [NEVER_REFUSED | {"MaxAttempts": 1}, RETRY_ALL], "Catch": [CATCH_REFUSED, CATCH_ALL]},
            "States.ALL",
            id="two counters",
        ),
        pytest.param(
            {"Retry": [RETRY_ALL], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "End"}]},
            "input as it was",
            id="input lost",
        ),
        pytest.param({"ResultPath": "$.result"}, "keeps its result", id="a result to keep"),
    ],
)
def test_tries_that_cannot_be_written_out_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"Work.*{problem}"):
        reentered(one_task(**changes))


def test_tasks_that_wait_differently_are_refused() -> None:
    definition = one_task()
    definition["States"]["Other"] = definition["States"]["Work"] | {
        "Retry": [RETRY_ALL | {"MaxAttempts": FOREVER, "MaxDelaySeconds": 9}]
    }
    with pytest.raises(ValueError, match="wait alike"):
        reentered(definition)


def test_name_that_a_state_might_be_given_is_refused() -> None:
    definition = one_task()
    definition["States"]["Do it"] = definition["States"].pop("Work")
    with pytest.raises(ValueError, match="Do it"):
        reentered(definition)


def test_callback_within_a_map_is_refused() -> None:
    definition = one_task()
    definition["States"]["Each"] = {"Type": "Map", "ItemProcessor": one_task(), "Next": "End"}
    with pytest.raises(ValueError, match="Each has callback tasks"):
        reentered(definition)
