"""Dead letters go back to their queues: once by themselves, and whenever a person says so."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from typing import Any

import pytest

from harness.aws.backlog import REDRIVEN
from harness.core.errors import Indefinite, UsageError
from harness.run.redrive import prefix_of, redrive
from harness.worker.consumer import COPY
from tests.fake_gateway import FakeGateway, Parameters

URL = "http://orders"
DEAD_URL = "http://orders-dead"
COPIED = {COPY: {"DataType": "String", "StringValue": "1"}}


def redriven(times: int) -> dict[str, Any]:
    return {REDRIVEN: {"DataType": "Number", "StringValue": str(times)}}


class FakeQueues:
    """One queue and its dead-letter queue; ``unsent`` are the bodies that cannot be sent."""

    def __init__(self, *dead: tuple[str, dict[str, Any]], unsent: Iterable[str] = ()) -> None:
        self.dead = dict(dead)
        self.back: dict[str, dict[str, Any]] = {}
        self._visible = deque(self.dead)
        self._unsent = set(unsent)
        self.gateway = FakeGateway(
            GetQueueAttributes=self._depth,
            ReceiveMessage=self._receive,
            SendMessage=self._send,
            DeleteMessage=self._delete,
        )

    def visible_again(self) -> None:
        """The time is over for which what was received is hidden."""
        self._visible = deque(self.dead)

    def _depth(self, asked: Parameters) -> dict[str, Any]:
        assert asked["QueueUrl"] == DEAD_URL
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self._visible))}}

    def _receive(self, asked: Parameters) -> dict[str, Any]:
        assert asked["QueueUrl"] == DEAD_URL
        bodies = [self._visible.popleft() for _ in range(min(len(self._visible), asked["MaxNumberOfMessages"]))]
        received = [{"Body": body, "ReceiptHandle": body, "MessageAttributes": self.dead[body]} for body in bodies]
        return {"Messages": received} if received else {}

    def _send(self, asked: Parameters) -> Any:
        assert asked["QueueUrl"] == URL
        if asked["MessageBody"] in self._unsent:
            return Indefinite("no answer")
        self.back[asked["MessageBody"]] = asked["MessageAttributes"]
        return {}

    def _delete(self, asked: Parameters) -> dict[str, Any]:
        del self.dead[asked["ReceiptHandle"]]
        return {}


async def test_every_dead_letter_goes_back_with_what_it_was_marked_with_and_a_mark_of_its_own() -> None:
    queues = FakeQueues(*((f"saga-{number}", COPIED if number == 3 else {}) for number in range(25)))
    assert await redrive(queues.gateway, [URL]) == 25
    assert queues.dead == {}
    assert queues.back["saga-1"] == redriven(1)
    assert queues.back["saga-3"] == COPIED | redriven(1)


async def test_what_came_back_once_and_died_again_stays_where_it_is() -> None:
    queues = FakeQueues(("poison", redriven(1)), ("saga-1", {}))
    assert await redrive(queues.gateway, [URL]) == 1
    assert queues.dead.keys() == {"poison"}
    queues.visible_again()
    assert await redrive(queues.gateway, [URL]) == 0


async def test_person_may_send_it_back_as_often_as_he_likes() -> None:
    queues = FakeQueues(("poison", redriven(1)))
    assert await redrive(queues.gateway, [URL], most=sys.maxsize) == 1
    assert queues.back == {"poison": redriven(2)}


async def test_dead_letter_that_cannot_be_sent_stays_for_the_next_time() -> None:
    queues = FakeQueues(("saga-1", {}), ("saga-2", {}), unsent=["saga-1"])
    assert await redrive(queues.gateway, [URL]) == 1
    assert queues.dead.keys() == {"saga-1"}


async def test_empty_dead_letter_queue_costs_one_look() -> None:
    queues = FakeQueues()
    assert await redrive(queues.gateway, [URL]) == 0
    assert [called for called, _ in queues.gateway.calls] == ["sqs:GetQueueAttributes"]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("ss-20260101-120000-ab12-3", "ss-20260101-120000-ab12-3-"),
        ("20260101-120000-ab12", "ss-20260101-120000-ab12-"),
        ("runs/20260101-120000-ab12/", "ss-20260101-120000-ab12-"),
    ],
)
def test_block_is_named_by_its_namespace_and_a_run_by_its_id_or_folder(name: str, prefix: str) -> None:
    assert prefix_of(name) == prefix


@pytest.mark.parametrize("name", ["", "orders", "ss-20260101-120000-ab12", "ss-20260101-120000-ab12-3-orders"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="NAMESPACE"):
        prefix_of(name)
