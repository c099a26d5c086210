"""What is left of a difference where the machine was the same, and how surely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import pytest

from harness.ablation.change import student
from harness.core.seeded import uniform
from harness.core.verdict import RunVerdict
from harness.gate.equal_speed import MIN_PAIRS, at_equal_speed
from harness.gate.judge import judge_gates
from harness.gate.model import Finding
from harness.report.model import Report
from harness.report.run_data import MACHINE_WORK
from tests.gate import job
from tests.report import small

SLOWER = [0.30, -0.10, 0.05, -0.20, 0.15, 0.00]
"""How much slower the machine was for the second block of each pair."""


def test_a_difference_that_only_follows_the_machine_is_none() -> None:
    amount, interval = at_equal_speed([1.4 * by for by in SLOWER], SLOWER) or pytest.fail()
    assert (amount, interval.low, interval.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_the_interval_is_that_of_the_line_where_the_machine_was_the_same() -> None:
    # By hand: the line is 0.102 + 0.82 x, its residuals squared add up to 0.00108, those of x around their mean 0.1 to 0.1.
    x, y = [0.1, -0.1, 0.2, 0.0, 0.3], [0.20, 0.02, 0.24, 0.10, 0.36]
    amount, interval = at_equal_speed(y, x) or pytest.fail()
    assert amount == pytest.approx(0.102)
    assert interval.high - amount == pytest.approx(3.182 * math.sqrt(0.00108 / 3 * (1 / 5 + 0.1**2 / 0.1)))
    assert amount - interval.low == pytest.approx(interval.high - amount)


@pytest.mark.parametrize("slower", [SLOWER[: MIN_PAIRS - 1], [0.1] * 6, [0.0] * 6, [0.1, 0.2, 0.3, 0.1, 0.0]])
def test_too_few_pairs_say_nothing_and_neither_does_a_machine_that_was_never_slower_on_one_side(
    slower: list[float],
) -> None:
    assert at_equal_speed([0.1 * number for number in range(len(slower))], slower) is None


def noise(seed: int, *key: int) -> float:
    return NormalDist().inv_cdf(uniform(seed, "noise", *key))


@pytest.mark.parametrize("follows", [1.4, 0.0])
def test_of_many_checks_95_in_a_hundred_hold_the_true_difference_whether_times_follow_the_machine_or_not(
    follows: float,
) -> None:
    made = held = narrower = 0
    for check in range(400):
        slower = [0.1 * noise(1, check, pair) for pair in range(6)]
        amounts = [0.14 + follows * by + 0.03 * noise(2, check, pair) for pair, by in enumerate(slower)]
        found, plain = at_equal_speed(amounts, slower), student(amounts)
        if not min(slower) < 0 < max(slower):
            assert found is None
            continue
        assert found
        assert plain
        interval = found[1]
        made += 1
        held += interval.low <= 0.14 <= interval.high
        narrower += interval.high - interval.low < plain.high - plain.low
    assert made > 350
    assert 0.92 < held / made < 0.98
    assert (narrower > 0.95 * made) is (follows > 0)


def turned(
    name: str, speeds: Sequence[float], times: float = 1.0, *, known: bool = True, work: str = "a"
) -> list[Report]:
    """A run of one block for each: on a machine that took so many times as long for everything."""
    made = []
    for turn, by in enumerate(speeds):
        rows = job.sagas(times * by**1.3, turn=2 * turn + (name == "base"), noise=0.02)
        series = small.healthy_series(rows)
        if known:
            series[MACHINE_WORK] = [small.track("machine", [(at_s, 0.002 * by) for at_s in range(-1, 25)], work=work)]
        made.append(job.run(job.block(rows=rows, series=series), run_id=f"{name}-{turn}"))
    return made


OWN, BASE = [1.3, 0.8, 1.1, 1.0, 0.9, 1.2], [1.0, 1.1, 0.9, 1.2, 1.1, 0.8]


def judged(
    times: float, *, known: bool = True, metric: str = "completion_ms.p50", of_base: str = "a", **fields: str
) -> Finding:
    asked = job.gates(gate=[{"metric": metric, "tolerance": "5%", "against": "base", **fields}])
    base = turned("base", BASE, known=known, work=of_base)
    return judge_gates(asked, turned("own", OWN, times, known=known), base).findings[-1]


@pytest.mark.parametrize(("times", "outcome"), [(1.0, RunVerdict.PASS), (1.15, RunVerdict.FAIL)])
def test_a_gate_of_times_tells_a_slower_build_from_a_slower_machine(times: float, outcome: RunVerdict) -> None:
    found = judged(times)
    assert found.outcome is outcome
    assert found.observed == pytest.approx(times, rel=0.01)
    assert found.as_measured is not None and found.as_measured != pytest.approx(times, rel=0.03)
    assert "at equal speed of the machine, " in found.why
    assert found.why.count("as measured") == 1


@pytest.mark.parametrize("times", [1.0, 1.15])
def test_where_a_block_does_not_know_its_machines_speed_the_check_is_as_coarse_as_it_was(times: float) -> None:
    found = judged(times, known=False)
    assert (found.outcome, found.as_measured) == (RunVerdict.INCONCLUSIVE, None)


def test_what_another_work_took_or_over_another_time_says_nothing() -> None:
    assert judged(1.0, of_base="b").as_measured is None
    assert judged(1.0, window="after").as_measured is None


@pytest.mark.parametrize("metric", ["retry_amplification.total", "throughput_per_s"])
def test_what_is_no_time_is_told_as_it_was_measured(metric: str) -> None:
    assert judged(1.0, metric=metric).as_measured is None


def test_topologies_differ_in_what_they_ask_of_the_machine_and_are_told_as_measured() -> None:
    blocks = [
        job.block(2 * turn + side, topology, rows=(rows := job.sagas(by, turn=turn)), series=small.healthy_series(rows) | {
            MACHINE_WORK: [small.track("machine", [(at_s, 0.002 * by) for at_s in range(25)])]
        })
        for turn, pair in enumerate(zip(OWN, BASE, strict=True))
        for side, (topology, by) in enumerate(zip(("orchestrated", "choreographed"), pair, strict=True))
    ]  # fmt: skip
    asked = job.gates(gate=[{"metric": "completion_ms.p50", "tolerance": "5%", "against": "topology:orchestrated"}])
    found = judge_gates(asked, [job.run(*blocks, interleave="AB" * 6)]).findings[-1]
    assert (found.pairs, found.as_measured) == (6, None)
