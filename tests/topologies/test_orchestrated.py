"""The state machine that a saga compiles to: every way through it, and its validity."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.core.saga import Saga, StepKind
from harness.sagas.create_order import SAGA
from harness.topologies.base import FOREVER, OUTCOMES, Deployed
from harness.topologies.orchestrated import REFUSED, TOPOLOGY
from harness.topologies.policy import RetryPolicy
from tests.conftest import Golden
from tests.samples import pivot, retriable, saga, undoable
from tests.topologies.walk import caught, forward, path, retries, tasks

TIMEOUT = "States.Timeout"
POLICY = RetryPolicy()
VALIDATOR = Path(__file__).parents[2] / "node_modules" / ".bin" / "asl-validator"

TWO_STEPS = saga(undoable("book"), undoable("pay"))
HYPHENATED = saga(
    undoable("book-hotel", "hotels"),
    undoable("book_flight", "flights"),
    pivot("take-money", participant="bank"),
    retriable("send-both-tickets", "mail"),
    after=(retriable("say-sorry", "mail"), retriable("offer-a-discount", "mail")),
)
ONLY_FORWARD = saga(retriable("write"), retriable("tell"))
SAGAS = [
    pytest.param(SAGA, id="create-order"),
    pytest.param(TWO_STEPS, id="two-steps-without-a-pivot"),
    pytest.param(HYPHENATED, id="hyphenated"),
    pytest.param(ONLY_FORWARD, id="only-forward"),
]


def compiled(of: Saga, policy: RetryPolicy = POLICY) -> dict[str, Any]:
    blueprint = TOPOLOGY.blueprint(of)
    urls = {name: f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}" for name in blueprint.queues}
    return TOPOLOGY.state_machine(of, Deployed(queue_urls=urls, bus="the-bus"), policy)


def test_create_order_compiles_to_the_golden_state_machine(golden: Golden) -> None:
    golden(Path(__file__).with_name("create_order.asl.json"), json.dumps(compiled(SAGA), indent=2) + "\n")


@pytest.mark.skipif(
    not VALIDATOR.exists() or shutil.which("node") is None,
    reason="the npm package asl-validator is not installed: npm ci",
)
def test_state_machines_are_valid_amazon_states_language(tmp_path: Path) -> None:
    files = [tmp_path / f"{case.id}.json" for case in SAGAS]
    for file, case in zip(files, SAGAS, strict=True):
        file.write_text(json.dumps(compiled(case.values[0])), encoding="utf-8")
    arguments = [part for file in files for part in ("--json-path", file)]
    checked = subprocess.run([VALIDATOR, *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("is valid") == len(SAGAS)


@pytest.mark.skipif(not VALIDATOR.exists() or shutil.which("node") is None, reason="asl-validator is not installed")
def test_validator_would_find_a_state_that_leads_nowhere(tmp_path: Path) -> None:
    machine = compiled(SAGA)
    machine["States"]["Charge"]["Next"] = "Nowhere"
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(machine), encoding="utf-8")
    checked = subprocess.run([VALIDATOR, "--json-path", file], check=False, capture_output=True, timeout=60)
    assert checked.returncode != 0


def test_nothing_fails_goes_forward_to_the_end() -> None:
    assert forward(compiled(SAGA)) == [
        "Create", "Charge", "Reserve", "Approve", "Confirm", "PublishCompleted", "Completed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "error", "undone"),
    [
        ("Create", REFUSED, []),
        ("Create", TIMEOUT, ["Reject"]),
        ("Charge", REFUSED, ["Reject"]),
        ("Charge", TIMEOUT, ["Refund", "Reject"]),
        ("Reserve", REFUSED, ["Refund", "Reject"]),
        ("Reserve", TIMEOUT, ["Release", "Refund", "Reject"]),
    ],
)
def test_failure_compensates_in_reverse_order_and_undoes_the_step_itself_only_if_unknown(
    state: str, error: str, undone: list[str]
) -> None:
    assert caught(compiled(SAGA), state, error) == [*undone, "Cancel", "PublishCompensated", "Compensated"]


def test_saga_without_closing_steps_ends_with_its_last_compensation() -> None:
    machine = compiled(TWO_STEPS)
    assert caught(machine, "Book", REFUSED) == ["PublishCompensated", "Compensated"]
    assert caught(machine, "Pay", REFUSED) == ["UnBook", "PublishCompensated", "Compensated"]
    assert caught(machine, "Pay", TIMEOUT) == ["UnPay", "UnBook", "PublishCompensated", "Compensated"]


def test_hyphenated_names_become_states_in_capitals_and_closing_steps_keep_their_order() -> None:
    machine = compiled(HYPHENATED)
    assert forward(machine)[:4] == ["BookHotel", "BookFlight", "TakeMoney", "SendBothTickets"]
    assert caught(machine, "TakeMoney", TIMEOUT) == [
        "UnTakeMoney", "UnBookFlight", "UnBookHotel", "SaySorry", "OfferADiscount", "PublishCompensated", "Compensated",
    ]  # fmt: skip


@pytest.mark.parametrize("of", SAGAS)
def test_nothing_is_caught_after_the_pivot_nor_within_compensations(of: Saga) -> None:
    machine = compiled(of)
    can_refuse = {step.name for step in of.steps if step.kind is not StepKind.RETRIABLE}
    catching = {state["Parameters"]["MessageBody"]["step"] for _, state in tasks(machine) if "Catch" in state}
    assert catching == can_refuse


@pytest.mark.parametrize("of", SAGAS)
def test_task_without_a_catch_is_retried_forever(of: Saga) -> None:
    machine = compiled(of)
    certain = [name for name, state in tasks(machine) if "Catch" not in state]
    assert certain, "every saga has at least one state that publishes its end"
    for name in certain:
        assert retries(machine, name, TIMEOUT) == FOREVER
        assert retries(machine, name, REFUSED) == FOREVER


@pytest.mark.parametrize("of", SAGAS)
def test_step_that_can_refuse_is_retried_when_unknown_and_never_when_refused(of: Saga) -> None:
    machine = compiled(of)
    for name, state in tasks(machine):
        if "Catch" in state:
            assert retries(machine, name, REFUSED) == 0
            assert retries(machine, name, TIMEOUT) == POLICY.max_tries - 1


@pytest.mark.parametrize("of", SAGAS)
def test_every_task_has_a_time_limit_and_leaves_its_input_as_it_was(of: Saga) -> None:
    for name, state in tasks(compiled(of)):
        assert state["TimeoutSeconds"] == POLICY.step_timeout_s, name
        assert state["ResultPath"] is None, name


def test_step_without_a_limit_of_attempts_is_retried_forever_and_never_when_refused() -> None:
    machine = compiled(SAGA, RetryPolicy(max_tries=None))
    for name, state in tasks(machine):
        assert retries(machine, name, TIMEOUT) == FOREVER
        assert retries(machine, name, REFUSED) == (0 if "Catch" in state else FOREVER)


def test_step_without_a_timeout_is_waited_for_as_long_as_aws_does() -> None:
    assert not any("TimeoutSeconds" in state for _, state in tasks(compiled(SAGA, RetryPolicy(step_timeout_s=None))))


@pytest.mark.parametrize(
    ("policy", "rate", "jitter", "said"),
    [
        (RetryPolicy(), 2.0, "FULL", ""),
        (RetryPolicy(jitter="none"), 2.0, "NONE", ""),
        (RetryPolicy(backoff="fixed"), 1.0, "FULL", ""),
        (RetryPolicy(jitter="equal"), 2.0, "FULL", "Retry has no equal jitter"),
        (RetryPolicy(jitter="decorrelated"), 2.0, "FULL", "Retry has no decorrelated jitter"),
        (RetryPolicy(backoff="none", jitter="none"), 1.0, "FULL", "Retry waits for at least a second"),
    ],
)
def test_retry_waits_as_the_policy_has_it_or_says_what_comes_nearest(
    policy: RetryPolicy, rate: float, jitter: str, said: str
) -> None:
    machine = compiled(SAGA, policy)
    retriers = [state["Retry"][-1] for _, state in tasks(machine)]
    assert {(one["IntervalSeconds"], one["BackoffRate"], one["JitterStrategy"]) for one in retriers} == {
        (1, rate, jitter)
    }
    assert machine["Comment"].partition("; ")[2].startswith(said)
    assert ("; " in machine["Comment"]) == bool(said)


@pytest.mark.parametrize("of", SAGAS)
def test_every_state_can_be_reached(of: Saga) -> None:
    machine = compiled(of)
    reached = set(forward(machine))
    for _, state in tasks(machine):
        for catcher in state.get("Catch", []):
            reached |= set(path(machine, catcher["Next"]))
    assert reached == machine["States"].keys()


def test_command_goes_to_its_participants_queue_and_names_its_step() -> None:
    for name, state in tasks(compiled(SAGA)):
        if not name.startswith("Publish"):
            step = state["Parameters"]["MessageBody"]["step"]
            assert state["Parameters"]["QueueUrl"].endswith("/" + SAGA.works()[step].participant)


def test_compensated_end_is_published_with_the_failure_that_caused_it() -> None:
    [entry] = compiled(SAGA)["States"]["PublishCompensated"]["Parameters"]["Entries"]
    assert entry["DetailType"] == "OrderCancelled"
    assert entry["Detail"] == {"envelope.$": "$.envelope", "failure.$": "$.failure"}


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(saga(undoable("send-mail"), retriable("send_mail")), id="two steps"),
        pytest.param(saga(undoable("book"), retriable("completed")), id="a step and an end"),
    ],
)
def test_names_that_would_become_one_state_are_refused(of: Saga) -> None:
    with pytest.raises(ValueError, match="one state"):
        compiled(of)


def test_blueprint_has_a_queue_for_every_participant_and_one_rule_for_the_ingress() -> None:
    blueprint = TOPOLOGY.blueprint(SAGA)
    assert blueprint.queues == (*SAGA.participants, OUTCOMES)
    assert [(rule.subscriber, set(rule.event_types)) for rule in blueprint.rules] == [
        (OUTCOMES, {"OrderConfirmed", "OrderCancelled"})
    ]
