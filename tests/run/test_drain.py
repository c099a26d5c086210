"""When a system counts as run empty, on a clock that nobody has to wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from harness.aws.pending import PendingSagas
from harness.core.errors import Indefinite
from harness.run.drain import CALM_LOOKS, LOOK_EVERY_S, drain
from harness.topologies.base import Deployed
from tests.fake_gateway import FakeGateway, Parameters, aws_error
from tests.virtual_time import in_virtual_time

VISIBLE = "ApproximateNumberOfMessages"
STATES = (VISIBLE, "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


def depth(state: str = VISIBLE, messages: int = 0) -> dict[str, Any]:
    """SQS's answer, in which numbers are text."""
    return {"Attributes": dict.fromkeys(STATES, "0") | {state: str(messages)}}


def one_after_the_other(*answers: Any) -> Callable[[Parameters], Any]:
    """These, and then the last one for ever."""
    left: Iterator[Any] = chain(answers, repeat(answers[-1]))
    return lambda parameters: next(left)


def deployed(queues: int = 1, machine: str | None = None) -> Deployed:
    urls = {f"q{number}": f"http://q{number}" for number in range(queues)}
    return Deployed(queue_urls=urls, bus="bus", state_machine_arn=machine)


def looks(gateway: FakeGateway) -> int:
    return len(gateway.asked("GetQueueAttributes"))


def test_empty_system_is_believed_after_some_calm_looks() -> None:
    gateway = FakeGateway(GetQueueAttributes=depth())
    assert in_virtual_time(drain(gateway, deployed(), limit_s=60))
    assert looks(gateway) == CALM_LOOKS


@pytest.mark.parametrize("state", STATES)
def test_message_in_any_state_is_waited_for(state: str) -> None:
    gateway = FakeGateway(GetQueueAttributes=one_after_the_other(*[depth(state, 1)] * 5, depth()))
    assert in_virtual_time(drain(gateway, deployed(), limit_s=60))
    assert looks(gateway) == 5 + CALM_LOOKS


def test_calm_that_is_broken_starts_anew() -> None:
    broken = [depth()] * (CALM_LOOKS - 1) + [depth(messages=1)]
    gateway = FakeGateway(GetQueueAttributes=one_after_the_other(*broken, depth()))
    assert in_virtual_time(drain(gateway, deployed(), limit_s=60))
    assert looks(gateway) == 2 * CALM_LOOKS


def test_every_queue_counts() -> None:
    def only_the_last_is_full(parameters: Parameters) -> dict[str, Any]:
        return depth(messages=int(parameters["QueueUrl"] == "http://q3"))

    gateway = FakeGateway(GetQueueAttributes=only_the_last_is_full)
    assert not in_virtual_time(drain(gateway, deployed(queues=4), limit_s=5))


def test_execution_that_runs_is_waited_for() -> None:
    running = one_after_the_other({"executions": [{}]}, {"executions": [{}]}, {"executions": []})
    gateway = FakeGateway(GetQueueAttributes=depth(), ListExecutions=running)
    assert in_virtual_time(drain(gateway, deployed(machine="arn"), limit_s=60))
    asked = gateway.asked("ListExecutions")
    assert len(asked) == 2 + CALM_LOOKS
    assert {(call["stateMachineArn"], call["statusFilter"]) for call in asked} == {("arn", "RUNNING")}


def test_system_that_never_runs_empty_is_given_up_after_the_limit() -> None:
    gateway = FakeGateway(GetQueueAttributes=depth(messages=1))
    assert not in_virtual_time(drain(gateway, deployed(), limit_s=10 * LOOK_EVERY_S))
    assert looks(gateway) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("error", [Indefinite("no answer"), aws_error("Throttled")], ids=["unknown", "refused"])
def test_look_that_failed_is_no_calm(error: Exception) -> None:
    gateway = FakeGateway(GetQueueAttributes=one_after_the_other(depth(), depth(), error, depth()))
    assert in_virtual_time(drain(gateway, deployed(), limit_s=60))
    assert looks(gateway) == 3 + CALM_LOOKS


def test_saga_that_lies_in_no_queue_is_waited_for_while_the_sweeper_has_not_given_it_up() -> None:
    gateway = FakeGateway(GetQueueAttributes=depth(), Scan=one_after_the_other(*[{"Count": 1}] * 5, {"Count": 0}))
    assert in_virtual_time(drain(gateway, deployed(), 60, PendingSagas(gateway, "ns")))
    assert looks(gateway) == len(gateway.asked("Scan")) == 5 + CALM_LOOKS
    assert "attribute_not_exists(expired_ns)" in gateway.asked("Scan")[0]["FilterExpression"]


def test_execution_that_a_repair_has_started_is_waited_for() -> None:
    running = {"first": 0, "resumed": 3}

    def executions(parameters: Parameters) -> dict[str, Any]:
        running[parameters["stateMachineArn"]] -= 1
        return {"executions": [{}] * max(0, running[parameters["stateMachineArn"]])}

    gateway = FakeGateway(GetQueueAttributes=depth(), ListExecutions=executions)
    made = Deployed(queue_urls={"q": "http://q"}, bus="bus", state_machine_arn="first", resuming_arn="resumed")
    assert in_virtual_time(drain(gateway, made, limit_s=60))
    assert looks(gateway) == 2 + CALM_LOOKS


def redriving(*answers: int | Exception) -> tuple[Callable[[], Awaitable[int]], list[int]]:
    """A redrive that gives these answers and then finds nothing more; and what it was asked, as it goes."""
    left, asked = iter(answers), list[int]()

    async def redrive() -> int:
        answer = next(left, 0)
        if isinstance(answer, Exception):
            raise answer
        asked.append(answer)
        return answer

    return redrive, asked


def test_dead_letters_that_go_back_are_waited_for() -> None:
    redrive, asked = redriving(0, 3)
    gateway = FakeGateway(GetQueueAttributes=depth())
    assert in_virtual_time(drain(gateway, deployed(), limit_s=60, redrive=redrive))
    assert asked == [0, 3] + [0] * CALM_LOOKS


def test_dead_letters_are_left_alone_while_anything_else_is_under_way() -> None:
    redrive, asked = redriving(1)
    gateway = FakeGateway(GetQueueAttributes=one_after_the_other(*[depth(messages=1)] * 5, depth()))
    assert in_virtual_time(drain(gateway, deployed(), limit_s=60, redrive=redrive))
    assert len(asked) == looks(gateway) - 5


def test_redrive_that_failed_is_no_calm() -> None:
    redrive, asked = redriving(0, Indefinite("no answer"))
    assert in_virtual_time(drain(FakeGateway(GetQueueAttributes=depth()), deployed(), limit_s=60, redrive=redrive))
    assert asked == [0] + [0] * CALM_LOOKS
