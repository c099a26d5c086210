"""A worker does not begin what is no longer its own, wherever a message has waited before."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from chaos.faults.overload import Overload
from chaos.injector import Strike
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery
from harness.worker.ports import Work
from harness.worker.shedding import Outlived, while_ours
from tests.samples import delivery
from tests.virtual_time import in_virtual_time

VISIBLE_AGAIN_S = 10.0
BACKLOG = 20
METRICS = Metrics(CollectorRegistry(), topology="t", saga="s")


async def done(_: Delivery) -> Reply:
    return Reply(result="done")


async def overloaded(work: Work) -> list[str]:
    """What becomes of many messages, all in hand at once, where one is handled each second."""
    overload = Overload(Overload.Options(actions_per_s=1.0), workers=1)
    until_s = asyncio.get_running_loop().time() + VISIBLE_AGAIN_S

    async def handled(number: int) -> str:
        message = delivery(expires_s=until_s)
        try:
            if not overload.bites(Strike()):
                return (await work(message)).result
            reply: Reply = await overload.strike(Strike(), lambda: work(message))
        except Outlived:
            return "outlived"
        return reply.result

    return await asyncio.gather(*(handled(number) for number in range(BACKLOG)))


def test_what_waited_in_hand_for_longer_than_its_visibility_timeout_is_not_begun() -> None:
    assert in_virtual_time(overloaded(while_ours(done, METRICS))) == ["done"] * 10 + ["outlived"] * 10


def test_without_shedding_it_is_begun_and_done_in_vain() -> None:
    assert in_virtual_time(overloaded(done)) == ["done"] * BACKLOG


async def test_what_is_not_begun_is_counted_for_its_participant() -> None:
    registry = CollectorRegistry()
    timely = while_ours(done, Metrics(registry, topology="t", saga="s"))
    await timely(delivery())
    with pytest.raises(Outlived):
        await timely(delivery(expires_s=asyncio.get_running_loop().time() - 1))
    labels = {"topology": "t", "saga": "s", "participant": "payment"}
    assert registry.get_sample_value("sagastorm_steps_shed_total", labels) == 1


async def test_message_that_was_never_in_a_queue_is_never_too_late() -> None:
    assert await while_ours(done, METRICS)(delivery()) == Reply(result="done")


async def test_too_late_is_said_with_its_step() -> None:
    with pytest.raises(Outlived, match="charge: its message became somebody else's 1"):
        await while_ours(done, METRICS)(delivery(expires_s=asyncio.get_running_loop().time() - 1))
