"""A run against a baseline: what is told, what follows from it, and what cannot be known."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from harness.baseline.compare import FALSE_ALARMS, Change, Compared, Row, compare
from harness.baseline.spread import MIN_RUNS, expected
from harness.baseline.store import Baseline, save
from harness.baseline.terminal import print_compared
from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS, UsageError
from harness.report.model import Report
from harness.report.run_data import RunData
from tests.baseline.runs import reported
from tests.report.synthetic_run import CHARGED_TWICE


@pytest.fixture
def baselines(reports: list[Report], tmp_path: Path) -> list[Baseline]:
    return save(reports, "main", tmp_path)


def row(compared: Compared, path: str, topology: str = "orchestrated") -> Row:
    (found,) = [each for each in compared.rows if (each.topology, each.metric.path) == (topology, path)]
    return found


def printed(compared: Compared) -> str:
    file = io.StringIO()
    print_compared(Console(file=file, width=120, _environ={}), compared)
    return file.getvalue()


def undrained(data: RunData) -> RunData:
    blocks = [replace(each, block=msgspec.structs.replace(each.block, drained=False)) for each in data.blocks]
    return RunData(data.run, blocks)


def test_one_more_run_of_the_same_build_is_within_the_spread(data: RunData, baselines: list[Baseline]) -> None:
    compared = compare(reported(data, "new", 1.015), baselines, "main")
    assert {each.change for each in compared.rows} == {Change.NONE}
    assert compared.exit_code == EXIT_PASS
    assert {each.n for each in compared.rows} == {6}


def test_a_run_of_the_baseline_is_not_held_against_itself(reports: list[Report], baselines: list[Baseline]) -> None:
    assert {each.n for each in compare(reports[0], baselines, "main").rows} == {5}


def test_a_run_that_is_the_whole_baseline_has_nothing_to_be_held_against(reports: list[Report], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a baseline with more runs like"):
        compare(reports[0], save(reports[:1], "main", tmp_path), "main")


def test_of_an_unlike_machine_other_runs_are_better_than_none(
    data: RunData, reports: list[Report], tmp_path: Path
) -> None:
    elsewhere = reported(data, "elsewhere", machine=data.run.machine | {"cores": 16})
    compared = compare(reports[0], save([elsewhere, reports[0]], "main", tmp_path), "main")
    assert (compared.advisory, {each.n for each in compared.rows}) == (True, {1})


def test_of_many_figures_one_that_is_a_little_beyond_is_chance(data: RunData, baselines: list[Baseline]) -> None:
    slow = row(compare(reported(data, "new", 1.08), baselines, "main"), "completion_ms.p50")
    kept = [run.figures["orchestrated"]["completion_ms.p50"] or 0.0 for run in baselines[0].runs]
    assert slow.observed is not None and slow.observed > expected(kept, FALSE_ALARMS, 0.0, ratio=True).high
    assert slow.change is Change.NONE


def test_a_slowdown_beyond_the_spread_is_worse_and_fails(data: RunData, baselines: list[Baseline]) -> None:
    compared = compare(reported(data, "new", 1.3), baselines, "main")
    slow = row(compared, "completion_ms.p50")
    assert slow.change is Change.WORSE
    assert slow.ratio == pytest.approx(1.3 / 1.005, rel=0.01)
    assert compared.exit_code == EXIT_FAIL
    (line,) = [
        line.split() for line in printed(compared).splitlines() if "completion_ms.p50" in line and "1.2" in line
    ][:1]
    assert line[-1] == "WORSE"
    assert "6 runs of 2026-11-01 to 2026-11-06" in printed(compared)


def test_a_speedup_is_told_and_fails_nothing(data: RunData, baselines: list[Baseline]) -> None:
    compared = compare(reported(data, "new", 0.7), baselines, "main")
    assert row(compared, "completion_ms.p50").change is Change.BETTER
    assert compared.exit_code == EXIT_PASS


def test_of_throughput_less_is_worse(data: RunData, baselines: list[Baseline]) -> None:
    halved = RunData(data.run, [replace(each, sagas=each.sagas[: len(each.sagas) // 2]) for each in data.blocks])
    compared = compare(reported(halved, "new"), baselines, "main")
    assert row(compared, "throughput_per_s").change is Change.WORSE


def test_on_an_unlike_machine_it_is_advisory_says_why_and_fails_nothing(
    data: RunData, baselines: list[Baseline]
) -> None:
    machine = data.run.machine | {"cores": 16}
    compared = compare(reported(data, "new", 3.0, machine=machine), baselines, "main")
    assert compared.advisory
    assert compared.exit_code == EXIT_PASS
    text = printed(compared)
    assert "Advisory only" in text
    assert "machine: here Linux, synthetic, 16, 24 GiB; there Linux, synthetic, 2, 24 GiB" in text
    assert "WORSE" not in text
    assert re.search(r"completion_ms.p50 .* 2\.9[89]x", text)


def test_an_unlike_machine_excuses_no_run_that_failed_by_itself(data: RunData, baselines: list[Baseline]) -> None:
    machine = data.run.machine | {"cores": 16}
    broken = compare(reported(data, "new", 1.0, {0: [CHARGED_TWICE]}, machine=machine), baselines, "main")
    assert (broken.advisory, broken.exit_code) == (True, EXIT_FAIL)
    unsure = compare(reported(undrained(data), "new", machine=machine), baselines, "main")
    assert unsure.exit_code == EXIT_INCONCLUSIVE


def test_a_baseline_without_any_figure_is_no_pass(data: RunData, baselines: list[Baseline]) -> None:
    empty = [
        msgspec.structs.replace(each, runs=tuple(msgspec.structs.replace(run, figures={}) for run in each.runs))
        for each in baselines
    ]
    assert compare(reported(data, "new"), empty, "main").exit_code == EXIT_INCONCLUSIVE


def test_of_several_machines_the_like_one_is_taken_and_else_the_least_unlike(
    data: RunData, reports: list[Report], tmp_path: Path
) -> None:
    elsewhere = reported(data, "elsewhere", machine=data.run.machine | {"cores": 16})
    both = save([elsewhere, *reports], "main", tmp_path)
    assert len(both) == 2
    assert not compare(reported(data, "new"), both, "main").advisory
    nearest = compare(reported(data, "new", versions={"python": "3.13.0"}), both, "main")
    assert nearest.unlike == {"python": ("Python 3.13", "Python 3.11")}


@pytest.mark.parametrize("count", [1, MIN_RUNS - 1])
def test_of_few_runs_the_spread_is_not_known_and_that_is_no_pass(
    data: RunData, reports: list[Report], tmp_path: Path, count: int
) -> None:
    baselines = save(reports[:count], "main", tmp_path)
    compared = compare(reported(data, "new"), baselines, "main")
    assert {each.change for each in compared.rows} == {Change.UNKNOWN}
    assert compared.exit_code == EXIT_INCONCLUSIVE
    assert f"Not known of every figure: {count} run" in printed(compared)


def test_a_figure_that_is_missing_now_is_no_pass(data: RunData, baselines: list[Baseline]) -> None:
    few = RunData(data.run, [replace(each, sagas=each.sagas[:60]) for each in data.blocks])
    compared = compare(reported(few, "new"), baselines, "main")
    missing = row(compared, "completion_ms.p99")
    assert missing.change is Change.UNKNOWN
    assert "p99 needs 100" in missing.why


def test_a_run_that_failed_or_cannot_tell_does_not_pass_by_its_figures(
    data: RunData, baselines: list[Baseline]
) -> None:
    failed = compare(reported(data, "new", 1.0, {0: [CHARGED_TWICE]}), baselines, "main")
    assert failed.exit_code == EXIT_FAIL
    unsure = compare(reported(undrained(data), "new"), baselines, "main")
    assert unsure.exit_code == EXIT_INCONCLUSIVE
    assert "queues or executions still held work" in printed(unsure)


def test_a_storm_that_was_over_and_is_not_any_more_is_worse(
    data: RunData, baselines: list[Baseline], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.baseline import compare as module
    from harness.report.figures import Figure, Missing

    def never(run: Any, path: str, blocks: Any) -> Figure:
        return Missing("not recovered", longer_than_s=45) if path == "recovery_s" else 1.0

    monkeypatch.setattr(module, "figure", never)
    recovery = row(compare(reported(data, "new"), baselines, "main"), "recovery_s")
    assert recovery.change is Change.WORSE


def test_unlike_settings_are_refused_with_what_differs(data: RunData, baselines: list[Baseline]) -> None:
    settings = msgspec.structs.replace(data.run.settings, seed=8, rate_per_s=30.0)
    with pytest.raises(UsageError) as refused:
        compare(reported(data, "new", settings=settings), baselines, "main")
    assert [str(problem) for problem in refused.value.problems] == [
        "seed of new: '8' is not valid; baseline main has no run with it; the nearest has '7'",
        "rate of new: '30.0' is not valid; baseline main has no run with it; the nearest has '12.0'",
    ]


def test_where_nothing_was_saved_it_is_said_how_to(data: RunData) -> None:
    with pytest.raises(UsageError, match="sagastorm baseline save RUN"):
        compare(reported(data, "new"), [], "main")
