"""Runs and blocks side by side: which are held against which, and what is said where nothing can be."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.report.comparison_page import remarks
from harness.report.comparison_sides import Pick, parse_picks
from harness.report.comparison_tables import difference_rows
from harness.report.tables import outcome_parts
from tests.report.small import block, sagas
from tests.serve.saved import both, compared, of


def refused(*picks: str, runs: tuple[str, ...] = ("one", "two", "odd:name")) -> list[str]:
    with pytest.raises(UsageError) as error:
        parse_picks(picks, runs)
    return [str(problem) for problem in error.value.problems]


def test_picks_are_runs_or_blocks_counted_from_one_in_the_order_given() -> None:
    picks = parse_picks(["two:2", "one", "odd:name"], ["one", "two", "odd:name"])
    assert picks == [Pick("two", 1), Pick("one"), Pick("odd:name")]
    assert [str(pick) for pick in picks] == ["two:2", "one", "odd:name"]


@pytest.mark.parametrize("pick", ["none", "../one", "one/", "one:0", "one:-1", "one:x", "one:²", "one:9999", ":1", ""])
def test_what_is_not_listed_is_no_pick(pick: str) -> None:
    assert refused(pick, "two") == [
        f"pick: {pick!r} is not valid; a run that is listed, or RUN:BLOCK, blocks counted from 1"
    ]


def test_everything_wrong_with_the_picks_is_told_at_once() -> None:
    told = refused(*["one"] * 8, "none")
    assert told[0] == "pick: 9 is not valid; 2 to 8 runs or blocks, the first is the base"
    assert told[1:8] == ["pick: 'one' is not valid; to be picked once"] * 7
    assert "'none'" in told[8]


def test_a_block_is_not_held_against_its_own_run() -> None:
    assert refused("one", "one:2") == [
        "pick: 'one:2' is not valid; another run's block, or without its run: it would be held against itself"
    ]


def test_a_block_that_was_not_run_is_bad_input() -> None:
    with pytest.raises(UsageError, match="'two:3' is not valid; 2 blocks were run"):
        compared("one", "two:3", one=both(), two=both("two"))


def test_runs_are_held_against_the_first_topology_by_topology() -> None:
    groups = compared("one", "two", one=both(), two=both("two", 300.0)).groups
    assert [group.title for group in groups] == ["orchestrated", "choreographed"]
    for group in groups:
        (comparison,) = group.comparisons
        p50 = comparison.of("completion p50")
        assert (comparison.base, comparison.other) == ("A", "B")
        assert p50.ratio == pytest.approx(1.5)
        assert p50.ratio_interval is not None


def test_a_block_joins_the_group_of_its_topology() -> None:
    groups = compared("one", "two:2", one=both(), two=both("two")).groups
    assert [[side.letter for side in group.sides] for group in groups] == [["A"], ["A", "B"]]


def test_where_every_pick_has_one_topology_all_are_held_against_the_first() -> None:
    (group,) = compared("one:1", "one:2", one=both()).groups
    assert group.title == "orchestrated and choreographed"
    assert group.of_one_run
    assert group.comparisons[0].of("completion p50").ratio == pytest.approx(2.0)


def test_figures_of_a_block_are_of_that_block_only() -> None:
    report = of(block(0, rows=sagas(120)), block(1, rows=sagas(100), round=1))
    sides = compared("one:1", "one:2", one=report).groups[0].sides
    assert [side.report.topologies["orchestrated"].scheduled for side in sides] == [120, 100]
    outcomes = [side.report.outcomes["orchestrated"] for side in sides]
    assert [part["count"] for counts in outcomes for part in outcome_parts(counts)] == ["120", "100"]


def test_other_arrivals_give_differences_without_an_interval_and_the_reason() -> None:
    one, two = both(digest="a", seed=1), both("two", 300.0, digest="b", seed=2)
    together = compared("one", "two", one=one, two=two)
    for group in together.groups:
        p50 = group.comparisons[0].of("completion p50")
        assert p50.ratio == pytest.approx(1.5)
        assert p50.ratio_interval is None
        assert not p50.clear
        assert p50.why == "they did not meet the same arrivals, as they differ in seed"
        against = difference_rows(group)[0].against[0]
        assert against.difference == "1.50x (no interval)"
        assert against.strip is not None
        assert against.strip.low is None
    told = remarks(together)
    assert "seed: A: 1; B: 2" in told
    assert (
        "orchestrated: B against A has no intervals: they did not meet the same arrivals, as they differ in seed."
        in told
    )


def test_blocks_of_different_rounds_have_no_interval() -> None:
    rows = sagas(120)
    report = of(block(0, rows=rows, load_digest="a"), block(1, rows=rows, round=1, load_digest="b"))
    (group,) = compared("one:1", "one:2", one=report).groups
    assert group.comparisons[0].of("throughput").why == "they are of different rounds, which meet different arrivals"


def test_a_side_whose_blocks_were_aborted_has_no_difference_and_says_so() -> None:
    aborted = of(block(0, state="aborted"), block(1, "choreographed"), name="two")
    group, _ = compared("one", "two", one=both(), two=aborted).groups
    difference = group.comparisons[0].of("completion p50")
    assert difference.difference is None
    assert difference.why == "no orchestrated block of B ran to its end"
    assert difference_rows(group)[0].against[0].strip is None


def test_a_rate_of_a_few_sagas_is_not_told_as_a_difference() -> None:
    few = of(block(0, rows=sagas(5), load_digest="few"), name="two")
    (group,) = compared("one:1", "two", one=both(), two=few).groups
    difference = group.comparisons[0].of("compensation rate")
    assert difference.difference is None
    assert difference.why == "5 sagas ended in one of the sides, 20 are needed"


def test_runs_that_differ_in_code_and_time_only_have_one_remark_that_they_did_not_take_turns() -> None:
    (remark,) = remarks(compared("one", "two", one=both(), two=both("two")))
    assert "did not take turns" in remark


def test_settings_that_differ_are_told_by_value_with_the_picks_that_have_it() -> None:
    runs = {"one": both(), "two": both("two", workers=2), "three": both("three", workers=2)}
    together = compared("one", "two", "three", **runs)
    assert remarks(together)[0] == "workers: A: 1; B and C: 2"


def test_a_run_that_did_not_pass_is_told_with_its_reason() -> None:
    failed = of(block(0), block(1, "choreographed", drained=False), name="two")
    told = [line for line in remarks(compared("one", "two", one=both(), two=failed)) if "run of B" in line]
    assert len(told) == 1
    assert told[0].startswith("The run of B did not pass (inconclusive): ")


def test_intervals_of_one_metric_are_drawn_to_one_scale() -> None:
    runs = {"one": both(), "two": both("two", 300.0), "three": both("three", 400.0)}
    group = compared("one", "two", "three", **runs).groups[0]
    strips = [against.strip for against in difference_rows(group)[0].against]
    assert all(strips)
    less, more = (strip.point - 100 for strip in strips if strip)
    assert more == pytest.approx(94)
    assert 0 < less < more
