"""One thing against another: what is shown to be beyond the tolerance, what is within, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.core.errors import UsageError
from harness.core.verdict import RunVerdict
from harness.gate.judge import judge_gates
from harness.gate.model import Finding, Gates
from harness.gate.read import read_gates
from harness.report.compare import compare_pairs
from harness.report.model import Report
from harness.report.run_data import CPU, MACHINE_CPU
from tests.gate.job import block, gates, pairs, run, sagas
from tests.report import small

PASS, FAIL, INCONCLUSIVE = RunVerdict.PASS, RunVerdict.FAIL, RunVerdict.INCONCLUSIVE


def against(metric: str, tolerance: str = "5%", reference: str = "base", **fields: str) -> Gates:
    """One relative gate."""
    return gates(gate=[{"metric": metric, "tolerance": tolerance, "against": reference, **fields}])


def only(asked: Gates, own: Sequence[Report], base: Sequence[Report] = ()) -> Finding:
    """What the one gate says of the first case."""
    report = judge_gates(asked, own, base)
    return next(finding for finding in report.findings if finding.gate.name != "instrument")


@pytest.mark.parametrize(("times", "outcome"), [(0.7, PASS), (1.0, PASS), (1.15, FAIL)])
def test_a_slower_revision_fails_and_one_that_is_alike_or_faster_does_not(times: float, outcome: RunVerdict) -> None:
    found = only(against("completion_ms.p50"), *pairs(4, times))
    assert found.outcome is outcome
    assert found.observed == pytest.approx(times, rel=0.02)
    assert found.interval is not None and found.interval.low < times < found.interval.high
    assert found.pairs == 4


def test_less_of_what_is_good_fails() -> None:
    late = [small.saga(number, number / 10, 200.0 if number < 100 else 9000.0) for number in range(200)]
    own, alike, base = (
        [run(block(rows=rows), run_id=f"{name}-{turn}") for turn in range(3)]
        for name, rows in (("own", late), ("alike", small.sagas(200)), ("base", small.sagas(200)))
    )
    assert only(against("throughput_per_s", "10%"), own, base).outcome is FAIL
    assert only(against("throughput_per_s", "10%"), alike, base).outcome is PASS


def test_blocks_that_drift_are_not_taken_for_a_slower_revision() -> None:
    drift = [1.5, 0.9, 1.0, 0.95]
    found = only(against("completion_ms.p50"), *pairs(4, 1.0, drift))
    assert found.outcome is not FAIL
    assert found.interval is not None and found.interval.low < 1.0


def test_blocks_that_disagree_prove_nothing_however_many_sagas_they_hold() -> None:
    drift = [1.4, 1.0, 1.4, 1.0]
    own, base = pairs(4, 1.0, drift)
    blocks = [(left.data.blocks[0], right.data.blocks[0]) for left, right in zip(base, own, strict=True)]
    by_sagas = compare_pairs("base", "own", blocks, 1, {}).of("completion p50").ratio_interval
    assert by_sagas is not None and by_sagas.low > 1.05
    found = only(against("completion_ms.p50"), own, base)
    assert found.outcome is INCONCLUSIVE
    assert found.interval is not None and found.interval.low < 1.0


def test_what_cannot_be_excluded_is_said_of_a_pass() -> None:
    found = only(against("completion_ms.p50"), *pairs(6, 1.04, [1.05, 0.96, 1.03, 0.98, 1.04, 0.97]))
    assert found.outcome is PASS
    assert "could not be excluded" in found.why
    assert found.detects is not None and found.interval is not None
    assert found.detects > 1.05


def test_what_looks_worse_than_is_allowed_is_no_pass_even_if_it_is_not_shown() -> None:
    found = only(against("completion_ms.p50"), *pairs(6, 1.02, [1.12, 0.98, 1.1, 1.0, 1.1, 1.02]))
    assert found.observed is not None and found.observed > 1.05
    assert found.interval is not None and found.interval.holds(1.05)
    assert found.outcome is INCONCLUSIVE


def test_a_check_that_is_too_coarse_to_find_anything_is_no_pass() -> None:
    found = only(against("completion_ms.p50"), *pairs(3, 1.0, [2.0, 0.6, 1.0]))
    assert found.outcome is INCONCLUSIVE
    assert "it may be beyond" in found.why


@pytest.mark.parametrize(("metric", "pairs_made", "needed"), [("completion_ms.p50", 2, 3), ("completion_ms.p99", 3, 4)])
def test_too_few_pairs_are_no_pass(metric: str, pairs_made: int, needed: int) -> None:
    found = only(against(metric), *pairs(pairs_made))
    assert found.outcome is INCONCLUSIVE
    assert found.why == f"{pairs_made} pairs of blocks met the same arrivals; {needed} are needed."


def test_several_blocks_of_the_same_two_runs_are_one_pair() -> None:
    def turned(name: str, times: Sequence[float]) -> list[Report]:
        """Runs of three blocks; what slows one of them down slows all three."""
        rounds = range(3)
        return [
            run(
                *(block(n, rows=sagas(slow, turn=9 * turn + n, noise=0.02)) for n in rounds),
                run_id=f"{name}-{turn}",
                interleave="AAA",
            )
            for turn, slow in enumerate(times)
        ]

    found = only(against("completion_ms.p50"), turned("own", (1.3, 1.2)), turned("base", (1.0, 1.0)))
    assert (found.outcome, found.pairs) == (INCONCLUSIVE, 2)
    assert (
        found.why == "6 pairs of blocks met the same arrivals, which count as 2, one for each two runs; 3 are needed."
    )
    # Nine blocks of which six are 30 % slower: by themselves they would prove it, three pairs of runs do not.
    found = only(against("completion_ms.p50"), turned("own", (1.3, 1.3, 1.0)), turned("base", (1.0, 1.0, 1.0)))
    assert (found.outcome, found.pairs) == (INCONCLUSIVE, 3)
    assert found.interval is not None and found.interval.low < 1.0


def test_only_blocks_that_met_the_same_arrivals_are_paired() -> None:
    own, _ = pairs(4)
    base = [run(block(rows=sagas(count=150)), run_id=f"base-{n}") for n in range(4)]
    assert only(against("completion_ms.p50"), own, base).pairs == 0
    _, base = pairs(4)
    other_seed = [run(report.data.blocks[0], run_id=report.run.run_id, seed=99) for report in base]
    assert only(against("completion_ms.p50"), own, other_seed).pairs == 0


def test_sides_that_did_not_take_turns_are_no_pass_and_no_fail() -> None:
    base, own = (
        [run(block(rows=sagas(times, turn=turn)), run_id=f"{name}{turn}") for turn in range(4)]
        for name, times in (("base", 1.0), ("own", 1.5))
    )
    for first, second in ((own, base), (base, own)):
        found = only(against("completion_ms.p50"), first, second)
        assert (found.outcome, found.pairs) == (INCONCLUSIVE, 4)
        assert "measured before any of the other" in found.why


def test_a_pair_of_which_one_block_shared_the_machine_is_left_out() -> None:
    own, base = pairs(4)
    crowded = small.healthy_series(own[0].data.blocks[0].sagas)
    crowded[MACHINE_CPU] = [small.track("machine", [(-0.5, 100.0), (small.DURATION_S, 130.0), (30.0, 200.0)])]
    busy = run(block(rows=sagas(turn=0, noise=0.02), series=crowded), run_id="own-0")
    found = only(against("completion_ms.p99"), [busy, *own[1:]], base)
    assert (found.outcome, found.pairs) == (INCONCLUSIVE, 3)
    assert "Left out: 1 pair of blocks, as others used more of the machine" in found.why
    found = only(against("completion_ms.p50"), [busy, *own[1:]], base)
    assert (found.outcome, found.pairs) == (PASS, 3)
    assert "Left out: 1 pair of blocks" in found.why


def test_a_backend_that_is_not_in_sight_is_not_taken_for_others() -> None:
    own, base = pairs(4)
    hidden = []
    for number, report in enumerate(own):
        rows = report.data.blocks[0].sagas
        series = small.healthy_series(rows)
        series[CPU] = [track for track in series[CPU] if track.kind != "backend"]
        series[MACHINE_CPU] = [small.track("machine", [(-0.5, 100.0), (small.DURATION_S, 130.0), (30.0, 200.0)])]
        hidden.append(run(block(rows=rows, series=series), run_id=f"own-{number}"))
    assert only(against("completion_ms.p50"), hidden, base).pairs == 4


def lossy(reports: Sequence[Report], name: str) -> list[Report]:
    """The same runs, of whose sagas every tenth never ended."""
    rows = [
        [small.saga(row.arrival, row.scheduled_s, None) if row.arrival % 10 == 0 else row for row in each.data.blocks[0].sagas]
        for each in reports
    ]  # fmt: skip
    return [run(block(rows=each), run_id=f"{name}-{number}") for number, each in enumerate(rows)]


def test_sagas_that_never_ended_make_no_side_look_good() -> None:
    own, base = pairs(4)
    slow, _ = pairs(4, 1.5)
    found = only(against("completion_ms.p50"), lossy(own, "own"), base)
    assert (found.outcome, found.why) == (
        INCONCLUSIVE,
        "80 of 800 sagas have no known end, and it is of the others only.",
    )
    assert only(against("completion_ms.p50"), lossy(slow, "own"), base).outcome is FAIL
    assert only(against("completion_ms.p50"), slow, lossy(base, "base")).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("limit", "outcome"), [("difference < 5 s", FAIL), ("difference < 30 s", INCONCLUSIVE)])
def test_what_never_recovers_where_its_base_does_fails_if_it_was_watched_for_long_enough(
    limit: str, outcome: RunVerdict
) -> None:
    late = [small.saga(n, n / 6, 200.0 if n / 6 < 5 else 9000.0) for n in range(120)]
    own = [run(block(rows=late), run_id=f"own-{n}") for n in range(3)]
    base = [run(block(), run_id=f"base-{n}") for n in range(3)]
    asked = gates(gate=[{"metric": "recovery_completion_s", "limit": limit, "against": "base"}])
    found = only(asked, own, base)
    assert found.outcome is outcome
    assert "did not get back" in found.why
    assert only(asked, base, own).outcome is not FAIL


def test_a_saturated_base_makes_it_inconclusive() -> None:
    own, base = pairs(4, 1.5)
    late = run(block(rows=[small.saga(n, n / 10, sent_s=n / 10 + 2) for n in range(200)]), run_id="base-0")
    assert only(against("completion_ms.p50"), own, [late, *base[1:]]).outcome is INCONCLUSIVE


def test_a_base_that_never_ran_a_case_is_inconclusive() -> None:
    own, _ = pairs(4)
    base = [run(block(1, "choreographed"), run_id="base-0", topologies=("choreographed",), interleave="A")]
    found = judge_gates(against("completion_ms.p50"), own, base).findings[-1]
    assert (found.outcome, found.pairs) == (INCONCLUSIVE, 0)


@pytest.mark.parametrize(("times", "outcome"), [(1.0, PASS), (1.5, FAIL)])
def test_topologies_of_one_run_are_held_against_each_other(times: float, outcome: RunVerdict) -> None:
    blocks = []
    for turn in range(4):
        blocks.append(block(2 * turn, rows=sagas(turn=2 * turn, noise=0.02)))
        blocks.append(block(2 * turn + 1, "choreographed", rows=sagas(times, turn=2 * turn + 1, noise=0.02)))
    report = run(*blocks, interleave="ABABABAB")
    asked = judge_gates(against("completion_ms.p50", "20%", "topology:orchestrated"), [report])
    [found] = [each for each in asked.findings if each.gate.name != "instrument"]
    assert (found.case.topology, found.outcome, found.pairs) == ("choreographed", outcome, 4)


def test_a_mitigation_removed_is_a_reference_and_breaks_no_gate_itself() -> None:
    own, _ = pairs(4)
    removed = [
        run(block(rows=sagas(1.5, turn=20 + n)), run_id=f"off-{n}", mitigations={"sweeper": "off", "backoff": "none"})
        for n in range(4)
    ]
    asked = against("completion_ms.p50", "5%", "mitigations:sweeper=off, backoff=none")
    report = judge_gates(asked, [*own, *removed])
    assert {finding.case.mitigations for finding in report.findings} == {""}
    found = report.findings[-1]
    assert (found.outcome, found.pairs) == (PASS, 4)
    assert found.observed == pytest.approx(1 / 1.5, rel=0.05)


def test_a_window_cuts_both_sides() -> None:
    def late_half(times: float, turn: int) -> list[small.SagaRow]:
        return [
            small.saga(row.arrival, row.scheduled_s, (row.completion_ms or 0) * (times if row.scheduled_s >= 10 else 1))
            for row in sagas(turn=turn, noise=0.02)
        ]

    own = [run(block(rows=late_half(1.5, 2 * n)), run_id=f"own-{n}") for n in range(4)]
    base = [run(block(rows=late_half(1.0, 2 * n + 1)), run_id=f"base-{n}") for n in range(4)]
    assert only(against("completion_ms.p50", window="before"), own, base).outcome is PASS
    assert only(against("completion_ms.p50", window="after"), own, base).outcome is FAIL


def test_a_share_is_held_by_its_difference() -> None:
    def undone(share: float) -> list[small.SagaRow]:
        return [
            small.saga(
                n, n / 10, outcome="compensated" if n % 100 < 100 * share else "completed", reason="out-of-stock"
            )
            for n in range(200)
        ]

    base = [run(block(rows=undone(0.1)), run_id=f"base-{n}") for n in range(3)]
    more = [run(block(rows=undone(0.3)), run_id=f"own-{n}") for n in range(3)]
    alike = [run(block(rows=undone(0.1)), run_id=f"own-{n}") for n in range(3)]
    found = only(against("compensation_rate", "2 pp"), more, base)
    assert (found.outcome, found.observed) == (FAIL, pytest.approx(0.2))
    assert only(against("compensation_rate", "2 pp"), alike, base).outcome is PASS


def test_a_figure_that_is_of_no_saga_goes_by_its_blocks() -> None:
    own = [run(block(dead_letters=number), run_id=f"own-{turn}") for turn, number in enumerate((9, 11, 10))]
    base = [run(block(dead_letters=number), run_id=f"base-{turn}") for turn, number in enumerate((2, 3, 2))]
    assert only(against("dead_letters", "50%"), own, base).outcome is FAIL
    none = [run(block(), run_id=f"none-{number}") for number in range(3)]
    assert "a difference can be asked for" in only(against("dead_letters", "50%"), own, none).why
    difference = gates(gate=[{"metric": "dead_letters", "limit": "difference <= 0", "against": "base"}])
    assert only(difference, own, none).outcome is FAIL
    assert only(difference, none, [run(block(), run_id=f"b-{n}") for n in range(3)]).outcome is PASS


@pytest.mark.parametrize(
    ("before", "allowed", "outcome"),
    [(2, 0, INCONCLUSIVE), (0, 0, FAIL), (2, 5, INCONCLUSIVE), (3, 5, PASS), (3, 0, PASS)],
)
def test_counts_that_differ_by_exactly_the_same_prove_nothing_unless_there_were_none(
    before: int, allowed: int, outcome: RunVerdict
) -> None:
    own = [run(block(dead_letters=3), run_id=f"own-{n}") for n in range(3)]
    base = [run(block(dead_letters=before), run_id=f"base-{n}") for n in range(3)]
    asked = gates(gate=[{"metric": "dead_letters", "limit": f"difference <= {allowed}", "against": "base"}])
    assert only(asked, own, base).outcome is outcome


def test_runs_that_were_not_asked_the_same_are_refused_before_anything_is_judged() -> None:
    own, base = pairs(3)
    faster = run(block(), run_id="fast", rate_per_s=50.0)
    with pytest.raises(UsageError, match="rate of fast: 50.0 is not valid; own-0 has 12.0"):
        judge_gates(read_gates({}), [*own, faster])
    with pytest.raises(UsageError, match="RUN: 'own-0' is not valid; each run once"):
        judge_gates(read_gates({}), [*own, own[0]])
    with pytest.raises(UsageError, match="a base to hold it against"):
        judge_gates(against("completion_ms.p50"), own)
    judge_gates(read_gates({}), own, base)
