"""Saved runs side by side: which are refused, what is compared, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from harness.core.errors import UsageError
from harness.core.mitigations import Mitigations
from harness.history.run_file import RunFile
from harness.report.compare_runs import FIELDS, RunComparison, allowed, check
from harness.report.compare_terminal import print_comparison
from harness.report.model import Report, make_report
from harness.report.run_data import RunData
from tests.conftest import Golden
from tests.report import synthetic_run
from tests.report.small import block, run, sagas

GOLDEN = Path(__file__).parent / "golden"
ALL = frozenset(FIELDS)
SPEC = synthetic_run.Spec()


def changed(file: RunFile, **settings: Any) -> RunFile:
    """Another run with other settings."""
    return msgspec.structs.replace(file, run_id="other", settings=msgspec.structs.replace(file.settings, **settings))


def reported(data: RunData, **changes: Any) -> Report:
    """The report of a run whose file is another in these fields."""
    data = RunData(msgspec.structs.replace(data.run, **changes), data.blocks)
    return make_report(data, synthetic_run.audits(data))


def compared(*reports: Report, allow: frozenset[str] = frozenset()) -> RunComparison:
    return RunComparison(reports, check([report.run for report in reports], allow))


def printed(runs: RunComparison, width: int = 80) -> str:
    file = StringIO()
    print_comparison(Console(file=file, width=width, _environ={}), runs)
    return file.getvalue()


def refusals(*runs: RunFile, allow: frozenset[str] = frozenset()) -> list[str]:
    with pytest.raises(UsageError) as error:
        check(runs, allow)
    return [str(problem) for problem in error.value.problems]


FILE = synthetic_run.run(SPEC)
OTHER_BACKEND = msgspec.structs.replace(FILE.backend, name="localstack", version="localstack 4.14.0")
DIFFERENT: dict[str, Callable[[RunFile], RunFile]] = {
    "saga": lambda run: changed(run, saga="book-trip"),
    "storm": lambda run: msgspec.structs.replace(run, storm={**run.storm, "faults": []}),
    "scenario": lambda run: changed(run, scenario="any_saga"),
    "seed": lambda run: changed(run, seed=8),
    "rate": lambda run: changed(run, rate_per_s=13.0),
    "arrivals": lambda run: changed(run, arrivals="even"),
    "duration": lambda run: changed(run, duration_s=30.0),
    "cannot-pay-share": lambda run: changed(run, cannot_pay_share=0.1),
    "out-of-stock-share": lambda run: changed(run, out_of_stock_share=0.1),
    "blocks": lambda run: changed(run, interleave="AB"),
    "mitigations": lambda run: changed(run, mitigations=Mitigations(sweeper="off")),
    "workers": lambda run: changed(run, workers=2),
    "load-processes": lambda run: changed(run, load_processes=2),
    "max-in-flight": lambda run: changed(run, max_in_flight=5),
    "drain-limit": lambda run: changed(run, drain_limit_s=5.0),
    "backend": lambda run: msgspec.structs.replace(run, backend=OTHER_BACKEND),
    "machine": lambda run: msgspec.structs.replace(run, machine={**run.machine, "cores": 4}),
}


def test_every_field_that_must_be_the_same_has_an_example_here() -> None:
    assert DIFFERENT.keys() == FIELDS.keys()


@pytest.mark.parametrize("field", FIELDS)
def test_a_difference_is_refused_with_both_values_unless_it_is_allowed(field: str) -> None:
    other = msgspec.structs.replace(DIFFERENT[field](FILE), run_id="other")
    (problem,) = refusals(FILE, other)
    was, now = (FIELDS[field](run) for run in (FILE, other))
    assert problem == (
        f"{field} of other: {now!r} is not valid; {FILE.run_id} has {was!r}; --allow {field} compares them all the same"
    )
    (differing,) = check([FILE, other], frozenset({field}))
    assert (differing.field, differing.values) == (field, (was, now))


def test_all_differences_are_told_at_once_and_of_every_run() -> None:
    problems = refusals(FILE, changed(FILE, seed=8, workers=2), changed(FILE, seed=9))
    assert [problem.partition(" of ")[0] for problem in problems] == ["seed", "seed", "workers"]


def test_runs_of_another_commit_version_or_time_are_compared() -> None:
    other = msgspec.structs.replace(FILE, commit="abc", versions={"python": "3.13.0"}, started_at="later", command="x")
    assert check([FILE, other], frozenset()) == ()


def test_machines_of_one_kind_are_the_same_whatever_their_kernel_and_last_megabytes() -> None:
    machine = {**FILE.machine, "release": "6.1", "memory_mib": 24_090}
    assert check([FILE, msgspec.structs.replace(FILE, machine=machine)], frozenset()) == ()


@pytest.mark.parametrize("count", [0, 1, 9])
def test_it_takes_two_runs_and_no_more_than_a_screen_holds(count: int) -> None:
    assert refusals(*[FILE] * count) == [f"RUN: {count} is not valid; 2 to 8 runs, the first is the base"]


def test_runs_without_a_topology_in_common_are_refused() -> None:
    one, other = changed(FILE, topologies=("orchestrated",)), changed(FILE, topologies=("choreographed",))
    assert "topologies: 'orchestrated and choreographed'" in refusals(one, other, allow=ALL)[0]


def test_names_that_cannot_be_allowed_are_refused_with_the_valid_ones() -> None:
    assert allowed("backend, storm") == {"backend", "storm"}
    assert allowed("") == frozenset()
    with pytest.raises(UsageError) as error:
        allowed("backend,colour,taste")
    assert [(problem.field, problem.value) for problem in error.value.problems] == [
        ("--allow", "colour"),
        ("--allow", "taste"),
    ]
    assert "backend, machine" in error.value.problems[0].valid


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return synthetic_run.read(synthetic_run.build(tmp_path_factory.mktemp("run"), SPEC))


def slower(data: RunData, factor: float) -> RunData:
    """The same run, with every completion this many times as long."""
    return RunData(
        data.run,
        [
            replace(
                each,
                sagas=[
                    msgspec.structs.replace(row, completion_ms=row.completion_ms and row.completion_ms * factor)
                    for row in each.sagas
                ],
            )
            for each in data.blocks
        ],
    )


def test_a_known_slowdown_is_found_in_each_topology_by_the_same_arrivals(data: RunData) -> None:
    runs = compared(reported(data), reported(slower(data, 1.5), run_id="other"))
    assert runs.of.keys() == {"orchestrated", "choreographed"}
    for (comparison,) in runs.of.values():
        assert comparison.rounds == (0, 1)
        difference = comparison.of("completion p50")
        assert difference.ratio == pytest.approx(1.5)
        assert difference.ratio_interval is not None
        assert difference.ratio_interval.holds(1.5)


def test_no_difference_between_saved_runs_is_called_clear(data: RunData) -> None:
    text = printed(compared(reported(data), reported(slower(data, 1.5))))
    assert "1.50x (1.50 to 1.50)" in text
    assert "~" not in text
    assert "So none is called clear" in " ".join(text.split())


def test_runs_that_were_offered_other_arrivals_have_figures_and_a_reason_but_no_difference(data: RunData) -> None:
    other = RunData(
        changed(data.run, seed=8),
        [replace(each, block=msgspec.structs.replace(each.block, load_digest="another")) for each in data.blocks],
    )
    runs = compared(reported(data), reported(other), allow=frozenset({"seed"}))
    text = printed(runs, 140)
    assert "B / A: nothing compared: no round was completed by both runs with the same load." in text
    (line, *_) = [line.split() for line in text.splitlines() if line.startswith("  completion p50")]
    assert line == ["completion", "p50", "262", "ms", "262", "ms", "-"]
    assert "They differ in more than code and time, as was allowed" in text
    assert "seed: A 7; B 8" in text


def test_rounds_that_only_one_run_has_are_left_out_of_the_difference_and_that_is_said(data: RunData) -> None:
    short = RunData(changed(data.run, interleave="AB"), data.blocks[:2])
    text = printed(compared(reported(data), reported(short), allow=frozenset({"blocks"})), 140)
    assert (
        "B / A: over the 1 of 2 rounds that both completed with the same load; the figures beside are over all" in text
    )


def test_across_backends_milliseconds_are_said_to_be_the_backends_own(data: RunData) -> None:
    other = reported(data, run_id="other", backend=OTHER_BACKEND)
    text = " ".join(printed(compared(reported(data), other, allow=frozenset({"backend"}))).split())
    assert "backend: A embedded (ministack 1.5.33), callbacks by retry; B localstack 4.14.0" in text
    assert "Milliseconds are the backends' own" in text
    assert "Milliseconds" not in printed(compared(reported(data), reported(data)))


def test_a_run_that_did_not_pass_is_compared_and_says_so(data: RunData) -> None:
    undrained = RunData(
        data.run, [replace(each, block=msgspec.structs.replace(each.block, drained=False)) for each in data.blocks]
    )
    text = printed(compared(reported(data), reported(undrained)), 140)
    assert "B is inconclusive: block 1 (orchestrated): queues or executions still held work" in text
    assert "and 3 more: sagastorm report synthetic-7" in " ".join(text.split())


def test_runs_without_instrument_backend_or_blocks_can_be_compared() -> None:
    empty = run(interleave="AB")
    report = reported(empty, instrument=None, backend=None)
    assert "CPU of a bare call" in printed(compared(report, report))


def test_only_the_topologies_that_all_runs_have_are_compared() -> None:
    both = run(block(0, rows=sagas(60)), block(1, "choreographed", rows=sagas(60)))
    one = run(block(0, rows=sagas(60)))
    assert list(compared(reported(both), reported(one), allow=frozenset({"blocks"})).of) == ["orchestrated"]


@pytest.mark.parametrize("width", [80, 140])
def test_the_comparison_of_synthetic_runs(data: RunData, width: int, golden: Golden) -> None:
    instrument = msgspec.structs.replace(
        FILE.instrument, capacity_sagas_per_s={"orchestrated": 52.4, "choreographed": 120.0}
    )
    base = reported(data, run_id="20261101-090000-ab01")
    other = reported(
        slower(data, 1.2),
        run_id="20261102-090000-ab02",
        commit="fedcba9876543210",
        versions={**data.run.versions, "aioboto3": "15.6.0"},
        backend=OTHER_BACKEND,
        instrument=instrument,
    )
    golden(GOLDEN / f"compare-{width}.txt", printed(compared(base, other, allow=frozenset({"backend"})), width))


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_no_line_is_wider_than_the_terminal(data: RunData, width: int, count: int) -> None:
    lines = printed(compared(*[reported(data, run_id="20261101-090000-ab01")] * count), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("1.00x (1.00 to 1.00)" in line for line in lines) >= 4
