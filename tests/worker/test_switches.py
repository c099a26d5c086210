"""A worker as it is put together: a mitigation that is switched off is not in the way of a message, and one that is on is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from harness.core.errors import Indefinite
from harness.core.identity import issue
from harness.core.mitigations import Mitigations
from harness.deployment import Deployment
from harness.history.spool import Spool
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.sagas.create_order import SAGA
from harness.topologies.base import Delivery, Deployed
from harness.topologies.policy import RetryPolicy
from harness.worker.breaker import OPEN_S, WINDOW_CALLS
from harness.worker.budget import MOST_SAVED
from harness.worker.main import Wrappers, connected
from harness.worker.ports import Work
from harness.worker.shedding import CONCURRENCY
from tests.fake_gateway import Answer, FakeGateway, Parameters
from tests.samples import AUDIENCE, KEY, as_json, envelope
from tests.virtual_time import in_virtual_time
from tests.worker.outage import TimedQueue

MESSAGES = CONCURRENCY + 10
ALL_PUT: dict[str, Any] = {"FailedEntryCount": 0, "Entries": []}
SWITCH = pytest.mark.parametrize("switch", ["on", "off"])


@dataclass
class Payment:
    """The payment service's consumer at work for a while, on a queue of charges to make."""

    folder: Path
    writes: Answer = field(default_factory=dict)
    """How its database answers."""
    wrap: Wrappers = field(default_factory=Wrappers)

    def works(self, for_s: float, messages: int = MESSAGES, **switched: Any) -> FakeGateway:
        """What it asked AWS for, with these mitigations switched."""
        return in_virtual_time(self._works(for_s, messages, msgspec.convert(switched, Mitigations)))

    async def _works(self, for_s: float, messages: int, mitigations: Mitigations) -> FakeGateway:
        queue, stopping = TimedQueue(), asyncio.Event()
        queue.gateway._answers |= {"TransactWriteItems": self.writes, "PutEvents": ALL_PUT}
        for number in range(messages):
            queue.send(_charge(f"saga-{number}"))
        with Spool(self.folder / "worker.jsonl") as spool:
            consumers = connected(
                _deployment(mitigations, self.folder),
                KEY,
                "worker-1",
                gateway=queue.gateway,
                wrap=self.wrap,
                spool=spool,
                metrics=Metrics(CollectorRegistry(), topology="t", saga="s"),
                now_s=asyncio.get_running_loop().time,
            )
            running = asyncio.create_task(consumers[SAGA.participants.index("payment")].run(stopping))
            await asyncio.sleep(for_s)
            stopping.set()
            await running
        return queue.gateway


def _charge(saga_id: str) -> str:
    identified = envelope(saga_id=saga_id, identity=issue(KEY, "ann", AUDIENCE))
    return json.dumps({"detail-type": SAGA.steps[0].succeeded, "detail": {"envelope": as_json(identified)}})


def _deployment(mitigations: Mitigations, folder: Path) -> Deployment:
    return Deployment(
        namespace=AUDIENCE,
        saga=SAGA.name,
        topology="choreographed",
        urls={},
        region="us-east-1",
        emulator=True,
        deployed=Deployed(queue_urls=dict.fromkeys(SAGA.participants, "the-queue"), bus="the-bus"),
        policy=RetryPolicy.of(mitigations),
        mitigations=mitigations,
        seed=1,
        workers=1,
        storm={"faults": []},
        spool_dir=str(folder),
        targets_dir=str(folder),
    )


@SWITCH
def test_load_shedding_bounds_what_is_in_hand(tmp_path: Path, switch: str) -> None:
    async def slowly(_: Parameters) -> dict[str, Any]:
        await asyncio.sleep(5)
        return {}

    gateway = Payment(tmp_path, slowly).works(1, load_shedding=switch)
    assert len(gateway.asked("TransactWriteItems")) == {"on": CONCURRENCY, "off": MESSAGES}[switch]


@SWITCH
def test_load_shedding_begins_nothing_that_is_somebody_elses_by_now(tmp_path: Path, switch: str) -> None:
    def delayed(work: Work) -> Work:
        async def late_work(delivery: Delivery) -> Reply:
            await asyncio.sleep(RetryPolicy().visibility_timeout_s + 1)
            return await work(delivery)

        return late_work

    gateway = Payment(tmp_path, wrap=Wrappers(work=delayed)).works(1, messages=1, load_shedding=switch)
    assert len(gateway.asked("TransactWriteItems")) == {"on": 0, "off": 1}[switch]


@SWITCH
def test_circuit_breaker_leaves_a_database_alone_that_is_down(tmp_path: Path, switch: str) -> None:
    gateway = Payment(tmp_path, Indefinite("down")).works(OPEN_S / 2, circuit_breaker=switch)
    asked = len(gateway.asked("TransactWriteItems"))
    assert asked == WINDOW_CALLS if switch == "on" else asked >= MESSAGES


@SWITCH
def test_retry_budget_puts_retries_off_that_are_beyond_it(tmp_path: Path, switch: str) -> None:
    gateway = Payment(tmp_path, Indefinite("down")).works(
        0.5, circuit_breaker="off", retry_budget=switch, jitter="none"
    )
    waits_s = [call["VisibilityTimeout"] for call in gateway.asked("ChangeMessageVisibility")][:MESSAGES]
    soon = RetryPolicy().interval_s
    assert len(waits_s) == MESSAGES
    assert waits_s.count(soon) >= MOST_SAVED
    assert set(waits_s) == {"on": {soon, RetryPolicy().max_delay_s}, "off": {soon}}[switch]


@SWITCH
def test_outbox_tells_before_it_acknowledges(tmp_path: Path, switch: str) -> None:
    gateway = Payment(tmp_path).works(1, messages=1, outbox=switch)
    order = [called for called, _ in gateway.calls if called in ("events:PutEvents", "sqs:DeleteMessageBatch")]
    told_first = ["events:PutEvents", "sqs:DeleteMessageBatch"]
    assert order == {"on": told_first, "off": told_first[::-1]}[switch]
