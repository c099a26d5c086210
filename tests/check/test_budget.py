"""How many repeats fit, and what they buy."""

from __future__ import annotations

import msgspec
import pytest

from harness.check.budget import PAIRS, Pacing, finds, planned_run_s, repeats_for, what_it_buys
from harness.check.plan import MOST_REPEATS
from harness.core.errors import UsageError
from harness.core.verdict import RunVerdict
from harness.gate.model import Case, Finding, Gates
from harness.settings import RunSettings
from tests.gate.job import gate_of

CASE = Case(saga="create-order", storm="calm", topology="orchestrated")
SLOWER = gate_of("completion_ms.p50 ratio < 1.10", against="base")
TAIL = gate_of("completion_ms.p99 ratio < 1.10", against="base")
MORE_UNDONE = gate_of("compensation_rate difference < 2 pp", against="base")


def finding(expression: str = "", detects: float | None = None) -> Finding:
    gate = gate_of(expression) if expression else SLOWER
    return Finding(gate=gate, case=CASE, outcome=RunVerdict.PASS, why="2 pairs, 3 are needed.", detects=detects)


def test_without_a_budget_there_are_as_many_repeats_as_were_asked_for() -> None:
    assert Pacing(5, None, paired=False).wanted(1, 1e6, 60.0) == 5


def test_with_nothing_asked_for_there_are_as_many_as_the_gates_take_and_both_sides_go_first_as_often() -> None:
    gates = Gates(gates=(SLOWER,), source="")
    assert repeats_for(gates, "AB", PAIRS) == repeats_for(gates, "ABBA", PAIRS) == PAIRS
    assert repeats_for(gates, "AB") == 3
    assert repeats_for(Gates(gates=(SLOWER, TAIL), source=""), "AB") == 4
    of_topologies = Gates(gates=(gate_of("completion_ms.p50 ratio < 2", against="topology:orchestrated"),), source="")
    assert [repeats_for(of_topologies, turns) for turns in ("AB", "AAB", "ABBA")] == [3, 3, 2]
    assert repeats_for(Gates(gates=(), source=""), "AB", PAIRS) == 1
    assert Pacing(None, None, paired=False, usual=3).wanted(0, 0.0, 60.0) == 3
    assert [Pacing(None, None, paired=True, usual=n).wanted(0, 0.0, 60.0) for n in (1, 2, 3)] == [2, 2, 4]


def test_a_budget_is_filled_with_whole_repeats_counting_those_that_are_done() -> None:
    pacing = Pacing(None, 480.0, paired=False)
    assert pacing.wanted(0, 0.0, 100.0) == 4
    assert pacing.wanted(1, 100.0, 100.0) == 4
    assert pacing.wanted(1, 230.0, 230.0) == 2
    assert pacing.wanted(3, 700.0, 233.0) == 3


def test_with_a_base_a_budget_is_filled_by_twos() -> None:
    pacing = Pacing(None, 480.0, paired=True)
    assert [pacing.wanted(0, 0.0, repeat_s) for repeat_s in (90.0, 150.0, 400.0)] == [4, 2, 1]
    assert pacing.wanted(3, 360.0, 120.0) == 4


def test_a_budget_is_not_cut_below_what_the_gates_need_and_too_small_a_one_is_told_beforehand() -> None:
    pacing = Pacing(None, 480.0, paired=True, needed=3)
    assert pacing.wanted(0, 0.0, 150.0) == 3
    assert pacing.shortage(150.0) is None
    told = pacing.shortage(200.0)
    assert told == "Too few to tell: 2 repeats are planned, and gates against something take 3 repeats, about 10.0 min."


def test_no_more_repeats_are_made_than_asked_for_or_than_there_is_a_bound_however_large_the_budget() -> None:
    assert Pacing(3, 1e5, paired=False).wanted(0, 0.0, 10.0) == 3
    assert Pacing(None, 1e5, paired=False).wanted(0, 0.0, 10.0) == MOST_REPEATS


def test_a_budget_in_which_nothing_fits_is_refused_with_what_would_fit() -> None:
    with pytest.raises(UsageError, match=r"'60 s' is not valid; 2\.0 min or more"):
        Pacing(None, 60.0, paired=False).check(120.0)
    Pacing(None, 120.0, paired=False).check(120.0)


def test_a_run_is_planned_by_its_blocks() -> None:
    short, twice = (planned_run_s(RunSettings(interleave=letters, duration_s=10.0)) for letters in ("AB", "ABBA"))
    assert twice - short == pytest.approx(2 * (10.0 + 11.0))


def test_four_times_the_data_brings_what_is_found_half_as_near_to_the_limit() -> None:
    ratio = finds(finding(detects=1.10 * 1.44), 1, 4)
    assert ratio == pytest.approx(1.10 * 1.2)
    share = msgspec.structs.replace(finding(detects=0.10), gate=MORE_UNDONE)
    assert finds(share, 1, 4) == pytest.approx(0.02 + 0.04)
    assert finds(finding(detects=1.5), 3, 3) == pytest.approx(1.5)


def test_what_it_buys_is_told_of_relative_gates_only_and_where_it_is_not_known_yet_why() -> None:
    known, unknown = what_it_buys([finding(detects=1.21), finding("completion_ms.p50 < 1 s"), finding()], 2, 2)
    assert "2 repeats find 1.21x nine times of ten" in known
    assert unknown.endswith("2 pairs, 3 are needed.")
