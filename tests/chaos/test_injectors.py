"""The harm itself, one kind of fault after the other, on a clock that nobody has to wait for."""

from __future__ import annotations

import asyncio

import pytest
from botocore.exceptions import ReadTimeoutError

from chaos.faults.duplicate_delivery import DuplicateDelivery
from chaos.faults.overload import Overload
from chaos.faults.surge import Surge
from chaos.faults.timeout import Timeout
from chaos.injector import Strike
from harness.core.errors import Indefinite
from tests.chaos.acting import Act, Queue
from tests.virtual_time import in_virtual_time


def timeout(lost: str) -> Timeout:
    return Timeout(Timeout.Options(lost=lost), workers=1)


def duplicate(delay_s: int) -> DuplicateDelivery:
    return DuplicateDelivery(DuplicateDelivery.Options(delay_s=delay_s), workers=1)


@pytest.mark.parametrize(("lost", "arrived"), [("request", 0), ("response", 1)])
def test_lost_message_keeps_the_sdk_waiting_for_as_long_as_it_will_wait(lost: str, arrived: int) -> None:
    act = Act()

    async def main() -> float:
        with pytest.raises(ReadTimeoutError, match=f"the {lost} was lost"):
            await timeout(lost).strike(Strike(read_timeout_s=2.5), act)
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == 2.5
    assert len(act.begun_s) == act.ended == arrived


def test_response_is_lost_after_the_request_took_effect_and_not_before() -> None:
    act = Act(takes_s=0.5)

    async def main() -> float:
        with pytest.raises(ReadTimeoutError):
            await timeout("response").strike(Strike(read_timeout_s=1.0), act)
        return asyncio.get_running_loop().time()

    in_virtual_time(main())
    assert (act.begun_s, act.ended) == ([0.0], 1)


def test_copy_at_once_is_handled_concurrently_and_waited_for() -> None:
    act, queue = Act(takes_s=1.0), Queue()

    async def main() -> float:
        await duplicate(0).strike(Strike(received=queue.received()), act)
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == 1.0
    assert act.begun_s == [0.0, 0.0]
    assert act.ended == 2
    assert queue.put == []


@pytest.mark.parametrize("takes_s", [0.0, 1.0])
def test_failure_of_the_original_is_its_fate_although_the_copy_succeeded(takes_s: float) -> None:
    act = Act(Indefinite("the original failed"), "the copy", takes_s=takes_s)

    async def main() -> None:
        with pytest.raises(Indefinite, match="the original failed"):
            await duplicate(0).strike(Strike(received=Queue().received()), act)

    in_virtual_time(main())
    assert act.ended == 2


def test_failure_of_the_copy_is_nobodys_fate(caplog: pytest.LogCaptureFixture) -> None:
    act = Act("the original", Indefinite("the copy failed"), takes_s=1.0)
    result = in_virtual_time(duplicate(0).strike(Strike(received=Queue().received()), act))
    assert result == "the original"
    assert act.ended == 2
    assert caplog.records == [], "no forgotten exception is complained about"


def test_late_copy_goes_through_the_queue_and_the_original_is_handled_once() -> None:
    act, queue = Act("the original"), Queue()
    assert in_virtual_time(duplicate(6).strike(Strike(received=queue.received()), act)) == "the original"
    assert queue.put == [("body", 6)]
    assert len(act.begun_s) == 1


def overloaded(act: Act, *, arrive_s: list[float], actions_per_s: float, workers: int) -> list[bool]:
    """Whether each action was struck, in the order of their arrival."""
    struck: list[bool] = []
    injector = Overload(Overload.Options(actions_per_s=actions_per_s), workers)

    async def one(at_s: float) -> None:
        await asyncio.sleep(at_s)
        struck.append(injector.bites(Strike()))
        await (injector.strike(Strike(), act) if struck[-1] else act())

    async def main() -> None:
        await asyncio.gather(*(one(at_s) for at_s in arrive_s))

    in_virtual_time(main())
    return struck


def test_actions_of_an_overloaded_participant_are_spaced_by_its_capacity() -> None:
    act = Act()
    overloaded(act, arrive_s=[0.0] * 5, actions_per_s=4, workers=1)
    assert act.begun_s == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_capacity_is_shared_among_the_workers() -> None:
    act = Act()
    overloaded(act, arrive_s=[0.0] * 3, actions_per_s=4, workers=2)
    assert act.begun_s == [0.0, 0.5, 1.0]


def test_capacity_that_was_not_used_is_gone_and_slow_actions_do_not_hold_up_the_next() -> None:
    act = Act(takes_s=60.0)
    overloaded(act, arrive_s=[0.0, 10.0, 10.0], actions_per_s=4, workers=1)
    assert act.begun_s == [0.0, 10.0, 10.25]


def test_an_action_that_finds_a_free_slot_is_not_struck() -> None:
    struck = overloaded(Act(), arrive_s=[0.0, 10.0, 10.0], actions_per_s=4, workers=1)
    assert struck == [False, False, True]


def test_action_whose_turn_comes_after_its_callers_patience_takes_its_turn_and_fails_undone() -> None:
    act = Act()
    injector = Overload(Overload.Options(actions_per_s=4, patience_actions=2), workers=2)
    ended_s: list[float] = []

    async def one() -> None:
        try:
            await (injector.strike(Strike(), act) if injector.bites(Strike()) else act())
        finally:
            ended_s.append(asyncio.get_running_loop().time())

    async def main() -> list[BaseException | None]:
        at_once = await asyncio.gather(*(one() for _ in range(5)), return_exceptions=True)
        return [*at_once, *await asyncio.gather(one(), return_exceptions=True)]

    ends = in_virtual_time(main())
    assert [isinstance(end, Indefinite) for end in ends] == [False, False, False, True, True, False]
    assert ended_s == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert act.begun_s == [0.0, 0.5, 1.0, 2.5]


def test_surge_has_no_business_in_a_worker() -> None:
    with pytest.raises(AssertionError, match="not struck in a worker"):
        in_virtual_time(Surge(Surge.Options(factor=2), workers=1).strike(Strike(), Act()))
