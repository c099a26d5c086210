"""The AWS resources of a saga, as they are asked for."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from harness import registry
from harness.sagas.create_order import SAGA
from harness.topologies.base import OUTCOMES, CallbackRetry, Deployed
from harness.topologies.deploy import deploy
from harness.topologies.policy import DrawnWaits, RetryPolicy
from harness.topologies.reentry import reentered
from harness.topologies.resume import resumable
from tests.fake_gateway import FakeGateway, Parameters

QUEUES = {*SAGA.participants, OUTCOMES}
POLICY = RetryPolicy(visibility_timeout_s=11, max_receives=5)


def fake_aws() -> FakeGateway:
    """Makes everything it is asked for; URLs and ARNs tell the name."""

    def queue(parameters: Parameters) -> dict[str, Any]:
        return {"QueueUrl": f"http://{parameters['QueueName']}"}

    def attributes(parameters: Parameters) -> dict[str, Any]:
        return {"Attributes": {"QueueArn": parameters["QueueUrl"].replace("http://", "arn:")}}

    return FakeGateway(
        CreateTable={},
        CreateQueue=queue,
        GetQueueAttributes=attributes,
        CreateEventBus={},
        PutRule={},
        PutTargets={},
        CreateStateMachine={"stateMachineArn": "arn:machine"},
    )


async def deployed(
    topology: str, form: CallbackRetry = CallbackRetry.RETRY, policy: RetryPolicy = POLICY
) -> tuple[Deployed, FakeGateway]:
    gateway = fake_aws()
    made = await deploy(gateway, SAGA, registry.topology(topology), "ns", policy, callback_retry=form, seed=7)
    return made, gateway


@pytest.mark.parametrize("topology", ["orchestrated", "choreographed"])
async def test_every_participant_has_its_tables_with_records_and_a_ledger(topology: str) -> None:
    _, gateway = await deployed(topology)
    names = {call["TableName"] for call in gateway.asked("CreateTable")}
    assert names == {
        f"ns-{participant}-{table}"
        for participant, tables in SAGA.tables.items()
        for table in (*tables, "records", "ledger")
    }


@pytest.mark.parametrize("topology", ["orchestrated", "choreographed"])
async def test_every_queue_hands_over_to_a_dead_letter_queue_of_its_own(topology: str) -> None:
    made, gateway = await deployed(topology)
    queues = {call["QueueName"]: call["Attributes"] for call in gateway.asked("CreateQueue")}
    assert queues.keys() == {f"ns-{name}{ending}" for name in QUEUES for ending in ("", "-dead")}
    for name in QUEUES:
        assert queues[f"ns-{name}"]["VisibilityTimeout"] == "11"
        redrive = json.loads(queues[f"ns-{name}"]["RedrivePolicy"])
        assert redrive == {"deadLetterTargetArn": f"arn:ns-{name}-dead", "maxReceiveCount": 5}
        assert "RedrivePolicy" not in queues[f"ns-{name}-dead"]
    assert made.queue_urls == {name: f"http://ns-{name}" for name in QUEUES}


@pytest.mark.parametrize(("topology", "subscribers"), [("orchestrated", {OUTCOMES}), ("choreographed", QUEUES)])
async def test_events_reach_those_who_listen_by_a_rule_of_their_own(topology: str, subscribers: set[str]) -> None:
    made, gateway = await deployed(topology)
    assert [call["Name"] for call in gateway.asked("CreateEventBus")] == [made.bus] == ["ns-bus"]
    patterns = {call["Name"]: json.loads(call["EventPattern"]) for call in gateway.asked("PutRule")}
    assert patterns.keys() == subscribers
    assert patterns[OUTCOMES] == {
        "source": ["sagastorm.create-order"],
        "detail-type": ["OrderConfirmed", "OrderCancelled"],
    }
    for call in gateway.asked("PutTargets"):
        assert call["EventBusName"] == "ns-bus"
        assert [target["Arn"] for target in call["Targets"]] == [f"arn:ns-{call['Rule']}"]


async def test_state_machine_is_made_for_the_orchestrated_saga_only() -> None:
    made, gateway = await deployed("orchestrated")
    assert made.state_machine_arn == "arn:machine"
    [call] = gateway.asked("CreateStateMachine")
    assert (call["name"], call["type"]) == ("ns-create-order", "STANDARD")
    definition = json.loads(call["definition"])
    assert definition["States"]["Charge"]["Parameters"]["QueueUrl"] == "http://ns-payment"
    made, gateway = await deployed("choreographed")
    assert made.state_machine_arn is None
    assert gateway.asked("CreateStateMachine") == []


async def test_backend_without_retries_of_callbacks_gets_the_same_machine_with_its_tries_written_out() -> None:
    definitions = []
    for form in CallbackRetry:
        _, gateway = await deployed("orchestrated", form)
        [call] = gateway.asked("CreateStateMachine")
        definitions.append(json.loads(call["definition"]))
    retry, reenter = definitions
    assert reenter == reentered(retry) != retry


async def test_executions_are_told_what_to_wait_where_no_retry_says_so() -> None:
    made, _ = await deployed("orchestrated", CallbackRetry.REENTER)
    assert made.waits == DrawnWaits(POLICY, 7)
    made, _ = await deployed("orchestrated", CallbackRetry.RETRY)
    assert made.waits is None


@pytest.mark.parametrize("topology", ["orchestrated", "choreographed"])
async def test_message_that_is_never_given_up_has_nowhere_to_go(topology: str) -> None:
    policy = msgspec.structs.replace(POLICY, max_receives=None)
    made, gateway = await deployed(topology, policy=policy)
    assert not any("RedrivePolicy" in call["Attributes"] for call in gateway.asked("CreateQueue"))
    assert made.queue_urls.keys() == QUEUES


async def test_choreographed_saga_has_no_tries_to_write_out() -> None:
    made, _ = await deployed("choreographed", CallbackRetry.REENTER)
    assert made.state_machine_arn is None


@pytest.mark.parametrize(("topology", "machines"), [("orchestrated", 2), ("choreographed", 0)])
async def test_sweeper_gets_a_table_to_look_in_and_a_machine_that_goes_on_anywhere(
    topology: str, machines: int
) -> None:
    gateway = fake_aws()
    made = await deploy(
        gateway,
        SAGA,
        registry.topology(topology),
        "ns",
        POLICY,
        callback_retry=CallbackRetry.REENTER,
        seed=7,
        sweeper=True,
    )
    assert "ns-ingress-pending" in {call["TableName"] for call in gateway.asked("CreateTable")}
    calls = gateway.asked("CreateStateMachine")
    assert (len(calls), made.resuming_arn is not None) == (machines, machines > 0)
    for first, resumed in zip(calls[::2], calls[1::2], strict=True):
        assert resumed["name"] == f"{first['name']}-resumed"
        assert json.loads(resumed["definition"]) == resumable(json.loads(first["definition"]))
