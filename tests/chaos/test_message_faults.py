"""What becomes of a message on its way: lost, late, overtaken, or followed by one that nobody can handle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from chaos.faults.message_delayed import MessageDelayed
from chaos.faults.message_lost import MessageLost
from chaos.faults.message_reordered import MessageReordered
from chaos.faults.poison import Poison
from chaos.injector import Strike
from harness.core.identity import issue
from harness.measure.metrics import Metrics
from harness.sagas.create_order import SAGA
from harness.topologies.base import Connection, Deployed
from harness.topologies.choreographed import TOPOLOGY as CHOREOGRAPHED
from harness.topologies.orchestrated import TOPOLOGY as ORCHESTRATED
from harness.worker.processing import Reader, Unreadable
from tests.chaos.acting import Act, Queue
from tests.fake_gateway import FakeGateway
from tests.samples import AUDIENCE, KEY, delivery, envelope
from tests.virtual_time import in_virtual_time

DEPLOYED = Deployed(queue_urls={}, bus="bus")


def test_lost_message_is_acknowledged_and_never_handled() -> None:
    act = Act()
    assert in_virtual_time(MessageLost(MessageLost.Options(), 1).strike(Strike(), act)) is None
    assert act.begun_s == []


def test_delayed_message_is_put_back_with_its_delay_and_not_handled_now() -> None:
    act, queue = Act(), Queue()
    injector = MessageDelayed(MessageDelayed.Options(delay_s=30), 1)
    in_virtual_time(injector.strike(Strike(received=queue.received()), act))
    assert queue.put == [("body", 30)]
    assert act.begun_s == []


class Line:
    """Messages that come one after the other to an injector that holds some of them."""

    def __init__(self, overtaken_by: int, at_most_s: float = 2.0) -> None:
        options = MessageReordered.Options(overtaken_by=overtaken_by, at_most_s=at_most_s)
        self.injector = MessageReordered(options, 1)
        self.handled: list[tuple[str, float]] = []

    async def held(self, name: str, participant: str = "payment") -> None:
        """A message that is struck."""

        async def handle() -> None:
            await self.passing(name, participant)

        await self.injector.strike(Strike(delivery=delivery("charge", participant)), handle)

    async def passing(self, name: str, participant: str = "payment", at_s: float = 0.0) -> None:
        """A message that is not."""
        await asyncio.sleep(at_s)
        self.handled.append((name, asyncio.get_running_loop().time()))
        self.injector.handled(delivery("charge", participant))


def test_message_is_held_until_so_many_later_ones_have_overtaken_it() -> None:
    line = Line(overtaken_by=2)

    async def main() -> None:
        await asyncio.gather(line.held("held"), *(line.passing(f"{at_s}", at_s=at_s) for at_s in (0.25, 0.5, 0.75)))

    in_virtual_time(main())
    assert line.handled == [("0.25", 0.25), ("0.5", 0.5), ("held", 0.5), ("0.75", 0.75)]


def test_messages_of_another_participant_overtake_nobody() -> None:
    line = Line(overtaken_by=1)

    async def main() -> None:
        await asyncio.gather(line.held("held"), line.passing("other", "order", 0.5), line.passing("later", at_s=1.0))

    in_virtual_time(main())
    assert [name for name, _ in line.handled] == ["other", "later", "held"]


def test_held_message_waits_no_longer_than_it_may() -> None:
    line = Line(overtaken_by=1, at_most_s=1.5)
    in_virtual_time(line.held("held"))
    assert line.handled == [("held", 1.5)]


def choreographed() -> tuple[Connection, str]:
    """A choreographed connection, and a message as it reaches the payment service."""
    event = {"detail-type": "OrderCreated", "detail": {"envelope": envelope(identity=issue(KEY, "ann", AUDIENCE))}}
    return CHOREOGRAPHED.connect(FakeGateway(), SAGA, DEPLOYED), msgspec.json.encode(event).decode()


def orchestrated() -> tuple[Connection, str]:
    """The same, orchestrated."""
    signed = envelope(identity=issue(KEY, "ann", AUDIENCE))
    command = {"step": "charge", "retry": 0, "token": "t", "envelope": signed}
    return ORCHESTRATED.connect(FakeGateway(), SAGA, DEPLOYED), msgspec.json.encode(command).decode()


@pytest.mark.parametrize("topology", [choreographed, orchestrated])
@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("unreadable", "truncated"),
        ("wrong-type", "Expected `int`, got `str`"),
        ("too-large", "250000 characters"),
        ("unknown-version", "Invalid enum value 999"),
    ],
)
def test_poison_is_put_in_the_queue_and_refused_for_what_is_wrong_with_it(
    topology: object, form: str, why: str, tmp_path: Path
) -> None:
    assert callable(topology)
    connection, body = topology()
    act, queue = Act("the original"), Queue()
    injector = Poison(Poison.Options(form=form), 1)
    result = in_virtual_time(injector.strike(Strike(received=queue.received(body)), act))
    assert (result, len(act.begun_s)) == ("the original", 1)
    [(poison, delay_s)] = queue.put
    assert delay_s == 0
    assert len(poison.encode()) < 256 * 1024, "or older emulators would not take it"

    read = Reader(connection, Metrics(CollectorRegistry(), topology="t", saga="s"), KEY, AUDIENCE)
    assert read("payment", body, 1).step == "charge"
    with pytest.raises(Unreadable, match=why):
        read("payment", poison, 1)
