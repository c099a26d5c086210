"""What becomes of a step and of its reply."""

from __future__ import annotations

import asyncio

import pytest
from botocore.exceptions import ClientError

from chaos.faults.execution_aborted import ExecutionAborted
from chaos.faults.fail_first import FailFirst
from chaos.faults.participant_down import ParticipantDown
from chaos.faults.reply_late import ReplyLate
from chaos.faults.reply_lost import ReplyLost
from chaos.injector import Strike
from harness.core.errors import Indefinite
from harness.sagas.create_order import SAGA
from harness.topologies.base import Deployed
from harness.topologies.choreographed import TOPOLOGY as CHOREOGRAPHED
from harness.topologies.orchestrated import TOPOLOGY as ORCHESTRATED
from tests.chaos.acting import Act
from tests.fake_gateway import FakeGateway, aws_error
from tests.samples import delivery
from tests.virtual_time import in_virtual_time


def test_participant_that_is_down_does_nothing_and_has_the_message_come_again() -> None:
    act = Act()
    with pytest.raises(Indefinite, match="payment cannot be reached"):
        in_virtual_time(ParticipantDown(ParticipantDown.Options(), 1).strike(Strike(delivery=delivery("charge")), act))
    assert act.begun_s == []


def test_step_fails_on_so_many_deliveries_and_is_not_struck_on_the_next() -> None:
    injector, act = FailFirst(FailFirst.Options(times=2), 1), Act()
    for receives in (1, 2):
        strike = Strike(delivery=delivery("charge", receives=receives))
        assert injector.bites(strike)
        with pytest.raises(Indefinite, match=f"failure {receives} of 2"):
            in_virtual_time(injector.strike(strike, act))
    assert not injector.bites(Strike(delivery=delivery("charge", receives=3)))
    assert act.begun_s == []


def test_commands_that_an_orchestrator_sent_before_count_as_tries_so_that_the_step_passes_in_the_end() -> None:
    injector = FailFirst(FailFirst.Options(times=2), 1)
    assert [
        injector.bites(Strike(delivery=delivery("charge", retry=retry, receives=receives)))
        for retry, receives in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1))
    ] == [True, True, False, True, False, False]


def test_lost_reply_is_not_given_and_nobody_notices() -> None:
    act = Act()
    assert in_virtual_time(ReplyLost(ReplyLost.Options(), 1).strike(Strike(), act)) is None
    assert act.begun_s == []


def test_late_reply_is_given_late() -> None:
    act = Act()

    async def main() -> float:
        await ReplyLate(ReplyLate.Options(delay_s=7.5), 1).strike(Strike(), act)
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == 7.5
    assert act.begun_s == [7.5]


MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:ss-1-create-order"


def test_aborted_execution_is_stopped_before_the_step_is_taken() -> None:
    gateway, act = FakeGateway(StopExecution={}), Act("taken")
    deployed = Deployed(queue_urls={}, bus="bus", state_machine_arn=MACHINE)
    strike = Strike(delivery=delivery("charge"), connection=ORCHESTRATED.connect(gateway, SAGA, deployed))
    assert in_virtual_time(ExecutionAborted(ExecutionAborted.Options(), 1).strike(strike, act)) == "taken"
    [stopped] = gateway.asked("StopExecution")
    assert stopped["executionArn"] == MACHINE.replace("stateMachine", "execution") + ":saga-7"


async def test_execution_that_is_not_there_cannot_be_stopped_and_another_error_is_told() -> None:
    deployed = Deployed(queue_urls={}, bus="bus", state_machine_arn=MACHINE)
    gone = FakeGateway(StopExecution=aws_error("ExecutionDoesNotExist"))
    await ORCHESTRATED.connect(gone, SAGA, deployed).abort("saga-7")
    assert len(gone.calls) == 1
    with pytest.raises(ClientError, match="ThrottlingException"):
        throttled = FakeGateway(StopExecution=aws_error("ThrottlingException"))
        await ORCHESTRATED.connect(throttled, SAGA, deployed).abort("saga-7")


def test_execution_can_be_aborted_only_where_there_is_an_orchestrator() -> None:
    injector = ExecutionAborted(ExecutionAborted.Options(), 1)
    deployed = Deployed(queue_urls={}, bus="bus")
    assert injector.applies_to(ORCHESTRATED.connect(FakeGateway(), SAGA, deployed))

    async def main() -> bool:
        return injector.applies_to(CHOREOGRAPHED.connect(FakeGateway(), SAGA, deployed))

    assert not in_virtual_time(main())
