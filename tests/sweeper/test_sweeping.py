"""What the sweeper does about which saga, and when: on a clock that nobody has to wait for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from harness.aws.pending import PendingSaga, PendingSagas
from harness.core.envelope import Envelope
from harness.core.errors import Indefinite
from harness.history.records import EventRow
from harness.history.spool import Spool, SpoolReader
from harness.measure.metrics import Metrics
from harness.sweeper.sweeping import (
    LOOKS_A_SCAN,
    MAX_REPAIRS,
    OBJECTIVE_S,
    PATIENCE_GROWTH,
    SCAN_EVERY_S,
    STUCK,
    Sweeper,
    Todo,
    decide,
)
from tests.fake_gateway import FakeGateway
from tests.ingress.front_door import FakeConnection
from tests.samples import envelope
from tests.virtual_time import in_virtual_time


class Rows(PendingSagas):
    """The table in memory."""

    def __init__(self, *ids: str) -> None:
        super().__init__(FakeGateway(), "ns")
        self.rows = {saga_id: PendingSaga(envelope(saga_id=saga_id), 0, 0, 0) for saga_id in ids}
        self.expired: list[str] = []

    async def asked_before(self, at_ns: int) -> list[PendingSaga]:
        return [row for saga_id, row in self.rows.items() if row.asked_ns <= at_ns and saga_id not in self.expired]

    async def asked_again(self, saga_id: str, repairs: int, now_ns: int) -> None:
        self.rows[saga_id] = PendingSaga(self.rows[saga_id].envelope, 0, now_ns, repairs)

    async def expire(self, saga_id: str, now_ns: int) -> None:
        self.expired.append(saga_id)


class Orchestrator(FakeConnection):
    """Says of every saga that it runs, until it is told to stop."""

    def __init__(self, *, runs: bool = True) -> None:
        super().__init__()
        self.runs = runs
        self.looked_s: list[float] = []
        self.repaired: list[Envelope] = []
        self.aborted: list[tuple[str, int]] = []

    async def repair(self, envelope: Envelope) -> bool:
        self.looked_s.append(asyncio.get_running_loop().time())
        if not self.runs:
            self.repaired.append(envelope)
        return not self.runs

    async def abort(self, saga_id: str, repairs: int = 0) -> None:
        self.aborted.append((saga_id, repairs))
        self.runs = False


class Sweep:
    """A sweeper at work for a while, and what it said."""

    def __init__(self, folder: Path, rows: Rows, connection: FakeConnection, for_s: float) -> None:
        self.registry = CollectorRegistry()
        self.rows, self.connection = rows, connection
        with Spool(folder / "sweeper.jsonl") as self._spool:
            in_virtual_time(self._main(for_s))
        self.said = [row.what for row in SpoolReader(folder).read() if isinstance(row, EventRow)]

    async def _main(self, for_s: float) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        metrics = Metrics(self.registry, topology="t", saga="s")
        sweeper = Sweeper(
            self.rows,
            self.connection,
            spool=self._spool,
            metrics=metrics,
            now_s=loop.time,
            now_ns=lambda: round(1e9 * loop.time()),
        )
        loop.call_later(for_s, stopping.set)
        await sweeper.run(stopping)

    def counted(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"sagastorm_sweeper_{name}_total", {"topology": "t", "saga": "s"})


def test_patience_grows_and_ends() -> None:
    for repairs in range(MAX_REPAIRS):
        patience_s = OBJECTIVE_S * PATIENCE_GROWTH**repairs
        assert decide(patience_s - 0.1, repairs) is Todo.NOTHING
        assert decide(patience_s, repairs) is Todo.REPAIR
        assert decide(STUCK * patience_s, repairs) is Todo.STOP_AND_REPAIR
    assert decide(OBJECTIVE_S * PATIENCE_GROWTH**MAX_REPAIRS - 0.1, MAX_REPAIRS) is Todo.NOTHING
    assert decide(OBJECTIVE_S * PATIENCE_GROWTH**MAX_REPAIRS, MAX_REPAIRS) is Todo.EXPIRE


def test_saga_within_its_objective_is_not_touched(tmp_path: Path) -> None:
    assert Sweep(tmp_path, Rows("a"), FakeConnection(), OBJECTIVE_S - 0.1).connection.asked == 0


def test_choreographed_saga_is_asked_for_again_and_the_messages_say_which_time_it_is(tmp_path: Path) -> None:
    swept = Sweep(tmp_path, Rows("a"), FakeConnection(), OBJECTIVE_S * (2 + PATIENCE_GROWTH))
    assert swept.connection.started == [replace(envelope(saga_id="a"), repairs=number) for number in (1, 2)]
    assert swept.rows.rows["a"].repairs == 2
    assert swept.counted("repairs") == 2
    assert len(swept.said) == 2
    assert all("saga a" in what for what in swept.said)


def test_saga_that_does_not_come_to_an_end_is_given_up_and_named(tmp_path: Path) -> None:
    swept = Sweep(tmp_path, Rows("a"), FakeConnection(), 600)
    assert swept.connection.asked == MAX_REPAIRS
    assert swept.rows.expired == ["a"]
    assert (swept.counted("repairs"), swept.counted("expired")) == (MAX_REPAIRS, 1)
    assert "saga a" in swept.said[-1]
    assert "left for a person" in swept.said[-1]


@pytest.mark.parametrize(("for_s", "overdue"), [(OBJECTIVE_S - 0.1, 0), (OBJECTIVE_S + SCAN_EVERY_S, 2)])
def test_overdue_is_who_was_last_asked_for_longer_ago_than_the_objective(
    for_s: float, overdue: int, tmp_path: Path
) -> None:
    swept = Sweep(tmp_path, Rows("a", "b"), Orchestrator(), for_s)
    labels = {"topology": "t", "saga": "s"}
    assert swept.registry.get_sample_value("sagastorm_sagas_overdue", labels) == overdue


def test_saga_that_somebody_carries_is_left_alone_and_not_looked_at_all_the_time(tmp_path: Path) -> None:
    orchestrator = Orchestrator()
    swept = Sweep(tmp_path, Rows("a"), orchestrator, STUCK * OBJECTIVE_S - 0.1)
    assert orchestrator.looked_s == [OBJECTIVE_S, 2 * OBJECTIVE_S]
    assert (orchestrator.repaired, orchestrator.aborted, swept.said) == ([], [], [])
    assert swept.rows.rows["a"].repairs == 0


def test_execution_that_runs_for_very_long_is_stopped_and_then_repaired(tmp_path: Path) -> None:
    orchestrator = Orchestrator()
    Sweep(tmp_path, Rows("a"), orchestrator, STUCK * OBJECTIVE_S + SCAN_EVERY_S)
    assert orchestrator.aborted == [("a", 0)]
    assert [envelope.repairs for envelope in orchestrator.repaired] == [1]


def test_no_execution_of_a_saga_that_is_given_up_runs_on(tmp_path: Path) -> None:
    orchestrator = Orchestrator(runs=False)
    swept = Sweep(tmp_path, Rows("a"), orchestrator, 600)
    assert swept.rows.expired == ["a"]
    assert orchestrator.aborted == [("a", MAX_REPAIRS)]


def test_one_scan_sees_to_some_and_the_next_to_others(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(LOOKS_A_SCAN + 5)]
    orchestrator = Orchestrator()
    Sweep(tmp_path, Rows(*names), orchestrator, OBJECTIVE_S + 2 * SCAN_EVERY_S)
    assert orchestrator.looked_s == [OBJECTIVE_S] * LOOKS_A_SCAN + [OBJECTIVE_S + SCAN_EVERY_S] * 5


def test_repair_that_fails_is_not_counted_and_made_later_and_those_beside_it_are_made(tmp_path: Path) -> None:
    connection = FakeConnection(Indefinite("no answer"))
    swept = Sweep(tmp_path, Rows("a", "b"), connection, 2 * OBJECTIVE_S + SCAN_EVERY_S)
    assert [one.saga_id for one in connection.started] == ["b", "a"]
    assert swept.counted("repairs") == 2


@pytest.mark.parametrize("failures", [1, 3])
def test_scan_that_fails_is_followed_by_another(tmp_path: Path, failures: int) -> None:
    class Unreadable(Rows):
        async def asked_before(self, at_ns: int) -> Any:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise Indefinite("no answer")
            return await super().asked_before(at_ns)

    assert Sweep(tmp_path, Unreadable("a"), FakeConnection(), OBJECTIVE_S + SCAN_EVERY_S).connection.asked == 1


def test_stop_finishes_the_scan(tmp_path: Path) -> None:
    class Slow(FakeConnection):
        async def start(self, envelope: Envelope) -> None:
            await asyncio.sleep(30)
            await super().start(envelope)

    swept = Sweep(tmp_path, Rows("a"), Slow(), OBJECTIVE_S + 1)
    assert swept.rows.rows["a"].repairs == swept.counted("repairs") == 1
