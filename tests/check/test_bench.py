"""How ``make bench-gates`` makes many checks of a few blocks, and what it says of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from harness.core.saga import Saga
from harness.core.verdict import RunVerdict
from harness.gate.read import read_gates
from harness.participants.dispatcher import Reply
from harness.sagas.create_order import SAGA
from harness.topologies.base import Deployed
from tests.bench.gate_checks import AGAIN, SLOWER, TOPOLOGY, Round, in_pairs, judged_by, rounds, slowness, tally, usual
from tests.bench.gates import BEGIN, END, PLANTED, of_bugs, settings, written
from tests.gate import job
from tests.planted_bugs.participant_bugs import PARTICIPANT_BUGS
from tests.planted_bugs.topology_bugs import TOPOLOGY_BUGS
from tests.report import synthetic_run

NO_SLOWER = job.gates(gate=[{"metric": "completion_ms.p50", "against": "base", "tolerance": "5%"}])


def measured(count: int) -> list[Round]:
    """Rounds whose third block takes 1.15 times as long."""
    (same, base), (slower, _) = job.pairs(count), job.pairs(count, 1.15)
    return [Round(*each) for each in zip(base, same, slower, strict=True)]


def test_checks_are_formed_of_every_choice_of_rounds_and_as_many_are_apart_as_share_none() -> None:
    made = measured(5)
    same = in_pairs(made, 4, judged_by(NO_SLOWER), slower=False)
    slower = in_pairs(made, 4, judged_by(NO_SLOWER), slower=True)
    assert (same.failed, same.inconclusive, same.checks, same.apart) == (0, 0, 5, 1)
    assert (slower.failed, slower.checks) == (5, 5)
    assert slowness(made) == pytest.approx(1.15, abs=0.02)


def test_the_usual_gate_holds_a_block_against_the_number_that_another_round_has_left() -> None:
    made = measured(3)
    assert [usual(made, slower=slower).failed for slower in (False, True)] == [0, 6]


def test_the_interval_is_that_of_the_checks_that_are_apart_and_not_of_all() -> None:
    many = tally([RunVerdict.FAIL] * 90 + [RunVerdict.PASS] * 10, 10)
    assert many.rate == 0.9
    low, high = many.interval()
    assert (low, high) == pytest.approx((0.596, 0.982), abs=0.001)
    assert tally([RunVerdict.PASS] * 10, 10).interval()[1] == pytest.approx(0.278, abs=0.001)


def test_the_blocks_of_a_run_become_rounds_of_runs_of_one_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for of_topology in (synthetic_run.MEDIAN_MS, synthetic_run.SIGMA, synthetic_run.OVERLOAD_MS):
        for name in (AGAIN, SLOWER):
            monkeypatch.setitem(of_topology, name, of_topology[TOPOLOGY])
    asked = settings("calm", 3, (TOPOLOGY, AGAIN, SLOWER), "ABCCBA")
    spec = synthetic_run.Spec(
        seed=3, topologies=asked.topologies, interleave=asked.interleave, duration_s=6.0, storm=False,
        restart_in_block=None,
    )  # fmt: skip
    made = rounds(synthetic_run.build(tmp_path / "run", spec))
    assert [each.base.data.blocks[0].block.round for each in made] == [0, 1]
    for each in made:
        blocks = [report.data.blocks for report in (each.base, each.same, each.slower)]
        assert {(len(one), one[0].block.topology, one[0].block.scheduled) for one in blocks} == {
            (1, TOPOLOGY, blocks[0][0].block.scheduled)
        }
        assert {report.judgement.verdict for report in (each.base, each.same, each.slower)} == {RunVerdict.PASS}
    assert len({report.run.run_id for each in made for report in (each.base, each.same, each.slower)}) == 6


@pytest.fixture
def planted() -> Any:
    spec = importlib.util.spec_from_file_location("planted_slowness", PLANTED / "planted_slowness.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_slower_topology_is_late_in_one_step_and_otherwise_the_same(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    told: list[str] = []

    class Connection:
        async def reply(self, delivery: Any, reply: Reply) -> None:
            told.append(delivery.step)

    class Original:
        def connect(self, gateway: Any, saga: Saga, deployed: Deployed) -> Any:
            return Connection()

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)

    class Delivery:
        def __init__(self, step: str) -> None:
            self.step = step

    monkeypatch.setattr(planted, "ORCHESTRATED", Original())
    monkeypatch.setattr(planted.asyncio, "sleep", sleep)
    monkeypatch.setenv(planted.LATE_MS_VARIABLE, "7")
    for topology in (planted.AGAIN, planted.SLOWER):
        connection = topology.connect(None, SAGA, Deployed(queue_urls={}, bus="bus"))
        for step in ("create", "charge"):
            await connection.reply(Delivery(step), Reply(result="done", data={}))
    assert told == ["create", "charge"] * 2
    assert slept == [0.007]


def test_the_table_takes_the_place_of_the_one_before() -> None:
    once = written("# Gates\n", ["old"])
    assert once.count(BEGIN) == once.count(END) == 1
    again = written(once + "\nthe rest\n", ["new"])
    assert "old" not in again
    assert again == once.replace("old", "new") + "\nthe rest\n"


def test_planted_bugs_fail_the_invariants_and_their_cured_twins_do_not() -> None:
    some = [*PARTICIPANT_BUGS[:2], *TOPOLOGY_BUGS[:2]]
    bugs, cured, usual_bugs, _ = of_bugs(read_gates({}), some)
    assert bugs.failed == bugs.checks == cured.checks == sum(len(bug.topologies) for bug in some)
    assert cured.failed == 0
    assert usual_bugs.failed < bugs.failed
