"""From a delivery to its reply: the order of things, what is recorded, and what is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from harness.core.errors import Indefinite
from harness.core.subject import SUBJECTS, Subject
from harness.history.records import StepRow
from harness.history.spool import Spool, SpoolReader
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Dispatcher, Reply
from harness.sagas.create_order import SAGA
from harness.topologies.base import Delivery
from harness.worker.ports import Received, Work
from harness.worker.processing import Processing, participant_work
from tests.samples import delivery
from tests.world.store import MemoryStore


class FakeConnection:
    """Remembers replies, or fails to give them. ``told`` is called with each try."""

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self.replies: list[tuple[str, Reply]] = []
        self.told = told
        self.error: Exception | None = None

    async def reply(self, delivered: Delivery, reply: Reply) -> None:
        self.told()
        if self.error:
            raise self.error
        self.replies.append((delivered.step, reply))


class Bench:
    """A processing on a bench: any work may be put in, everything that comes out is at hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._registry = CollectorRegistry()
        self._metrics = Metrics(self._registry, topology="t", saga="s")
        self.connection = FakeConnection()
        self.spool = Spool(folder / "worker-1.jsonl")

    def processing(self, work: Work, *, outbox: bool = True) -> Processing:
        return Processing(
            SAGA,
            work,
            self.connection.reply,
            worker="worker-1",
            spool=self.spool,
            metrics=self._metrics,
            now_s=lambda: 12.34567,
            outbox=outbox,
        )

    async def process(self, work: Work, delivered: Delivery) -> None:
        await self.processing(work)(Received(delivered, "body", self.nothing_more, self.nobody))

    async def nothing_more(self, body: str, delay_s: int) -> None:
        raise AssertionError("nobody asked for a message")

    async def nobody(self) -> None:
        raise AssertionError("with an outbox the message is acknowledged after its reply")

    def rows(self) -> list[StepRow]:
        return [row for row in SpoolReader(self.folder).read() if isinstance(row, StepRow)]

    def counted(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(name, {"topology": "t", "saga": "s"} | labels)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.spool.close()


def replying(reply: Reply) -> Work:
    async def work(delivered: Delivery) -> Reply:
        return reply

    return work


def failing(error: Exception) -> Work:
    async def work(delivered: Delivery) -> Reply:
        raise error

    return work


async def test_step_is_recorded_counted_and_answered(bench: Bench) -> None:
    await bench.process(replying(Reply(result="done")), delivery("charge", retry=1, receives=2))
    [row] = bench.rows()
    assert (row.t_s, row.worker, row.participant) == (12.3457, "worker-1", "payment")
    assert (row.saga_id, row.arrival, row.step, row.attempt) == ("saga-7", 7, "charge", "1.2")
    assert (row.result, row.replayed, row.detail) == ("done", False, None)
    assert row.took_ms >= 0
    assert bench.connection.replies == [("charge", Reply(result="done"))]
    assert bench.counted("sagastorm_step_attempts_total", participant="payment", step="charge", result="done") == 1
    assert bench.counted("sagastorm_step_duration_seconds_count", participant="payment", step="charge") == 1


async def test_refusal_is_recorded_with_its_reason(bench: Bench) -> None:
    await bench.process(replying(Reply(result="refused", reason="insufficient-funds")), delivery("charge"))
    [row] = bench.rows()
    assert (row.result, row.detail) == ("refused", "insufficient-funds")
    assert bench.connection.replies[0][1].reason == "insufficient-funds"


async def test_step_that_failed_is_recorded_and_gets_no_reply(bench: Bench) -> None:
    with pytest.raises(Indefinite):
        await bench.process(failing(Indefinite("a conflict")), delivery("charge"))
    [row] = bench.rows()
    assert (row.result, row.detail) == ("error", "a conflict")
    assert bench.connection.replies == []


async def test_reply_that_did_not_get_through_brings_the_message_back(bench: Bench) -> None:
    bench.connection.error = Indefinite("no answer")
    with pytest.raises(Indefinite, match="no answer"):
        await bench.process(replying(Reply(result="done")), delivery("charge"))
    assert [row.result for row in bench.rows()] == ["done"]


async def test_replay_is_counted_as_a_suppressed_duplicate_and_answered_again(bench: Bench) -> None:
    replay = Reply(result="done", replayed=True)
    await bench.process(replying(replay), delivery("refund"))
    assert bench.counted("sagastorm_duplicates_delivered_total", step="refund") == 1
    assert bench.counted("sagastorm_duplicates_suppressed_total", step="refund") == 1
    assert bench.counted("sagastorm_compensations_total", participant="payment", step="refund") is None
    assert bench.counted("sagastorm_step_attempts_total", participant="payment", step="refund", result="replayed") == 1
    assert [row.replayed for row in bench.rows()] == [True]
    assert bench.connection.replies == [("refund", replay)]


@pytest.mark.parametrize(("step", "counted"), [("refund", 1), ("charge", None)])
async def test_compensation_is_counted_when_it_is_committed(bench: Bench, step: str, counted: int | None) -> None:
    await bench.process(replying(Reply(result="done")), delivery(step))
    assert bench.counted("sagastorm_compensations_total", participant="payment", step=step) == counted
    assert bench.counted("sagastorm_duplicates_delivered_total", step=step) is None


async def test_work_is_done_in_the_name_of_the_delivered_step(bench: Bench) -> None:
    seen: list[tuple[Subject, ...]] = []

    async def work(delivered: Delivery) -> Reply:
        seen.append(SUBJECTS.get())
        return Reply(result="done")

    await bench.process(work, delivery("charge", retry=2, receives=3))
    assert seen == [(Subject("saga-7", 7, 1.5, "payment", "charge", "2.3"),)]


class Queue:
    """What becomes of one message and its reply, in order."""

    def __init__(self, bench: Bench, deletion: Exception | None = None) -> None:
        self.events: list[str] = []
        self._bench = bench
        self._deletion = deletion
        bench.connection.told = lambda: self.events.append("told")

    async def acknowledge(self) -> None:
        self.events.append("acknowledged")
        if self._deletion:
            raise self._deletion

    def received(self) -> Received:
        return Received(delivery("charge"), "body", self._bench.nothing_more, self.acknowledge)


async def test_without_an_outbox_the_message_is_acknowledged_before_the_reply_is_told(bench: Bench) -> None:
    queue = Queue(bench)
    await bench.processing(replying(Reply(result="done")), outbox=False)(queue.received())
    assert queue.events == ["acknowledged", "told"]
    assert bench.connection.replies == [("charge", Reply(result="done"))]


async def test_reply_that_fails_without_an_outbox_is_lost_and_does_not_bring_the_message_back(bench: Bench) -> None:
    queue = Queue(bench)
    bench.connection.error = Indefinite("no answer")
    await bench.processing(replying(Reply(result="done")), outbox=False)(queue.received())
    assert queue.events == ["acknowledged", "told"]
    assert bench.connection.replies == []


async def test_message_that_cannot_be_acknowledged_comes_again_and_nothing_was_told(bench: Bench) -> None:
    queue = Queue(bench, deletion=Indefinite("no answer"))
    with pytest.raises(Indefinite, match="no answer"):
        await bench.processing(replying(Reply(result="done")), outbox=False)(queue.received())
    assert queue.events == ["acknowledged"]


async def test_step_that_failed_is_not_acknowledged_without_an_outbox_either(bench: Bench) -> None:
    queue = Queue(bench)
    with pytest.raises(Indefinite, match="a conflict"):
        await bench.processing(failing(Indefinite("a conflict")), outbox=False)(queue.received())
    assert queue.events == []


async def test_participants_work_on_the_decoded_request() -> None:
    store = MemoryStore([("payment", "balances", {"id": "ann", "cents": 1_000})])
    work = participant_work(SAGA, Dispatcher(SAGA, store))
    reply = await work(delivery("charge"))
    assert (reply.result, reply.data) == ("done", {"charged_cents": 700})
    assert store.number("payment", "balances:ann:cents") == 300
