"""What is kept of runs, in which file, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.baseline.store import MOST_RUNS, read, read_all, save
from harness.core.errors import UsageError
from harness.core.verdict import RunVerdict
from harness.report.model import Report
from harness.report.run_data import RunData
from tests.baseline.runs import reported
from tests.report.synthetic_run import CHARGED_TWICE


def problems(error: UsageError) -> list[str]:
    return [str(problem) for problem in error.problems]


def test_runs_of_the_same_settings_and_machine_come_into_one_file_oldest_first(
    reports: list[Report], tmp_path: Path
) -> None:
    (saved,) = save(reports[::-1], "main", tmp_path)
    assert [run.run_id for run in saved.runs] == [f"run-{day}" for day in range(1, 7)]
    assert read("main", tmp_path) == [saved]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")] == [saved.file]


def test_figures_are_those_of_the_summary(data: RunData, tmp_path: Path) -> None:
    report = reported(data, "one")
    (saved,) = save([report], "main", tmp_path)
    figures = saved.runs[0].figures["choreographed"]
    summary = report.summary.topologies["choreographed"]
    assert figures["completion_ms.p95"] == summary.completion_ms.p95
    assert figures["throughput_per_s"] == summary.throughput_per_s


def test_a_run_that_is_saved_again_is_kept_once_and_replace_forgets_the_others(data: RunData, tmp_path: Path) -> None:
    save([reported(data, "one"), reported(data, "two")], "main", tmp_path)
    (saved,) = save([reported(data, "two")], "main", tmp_path)
    assert {run.run_id for run in saved.runs} == {"one", "two"}
    (saved,) = save([reported(data, "three"), reported(data, "four")], "main", tmp_path, replace=True)
    assert {run.run_id for run in saved.runs} == {"three", "four"}


def test_the_oldest_runs_make_room(data: RunData, tmp_path: Path) -> None:
    one = reported(data, "0")

    def at(n: int) -> Report:
        file = msgspec.structs.replace(data.run, run_id=str(n), started_at=f"2026-02-01T00:00:{n:02}Z")
        return replace(one, data=RunData(file, data.blocks))

    (saved,) = save([at(n) for n in range(MOST_RUNS + 2)], "main", tmp_path)
    assert [run.run_id for run in saved.runs] == [str(n) for n in range(2, MOST_RUNS + 2)]


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": {"system": "Linux", "cores": 4, "cpu": "synthetic", "memory_mib": 24_103}},
        {"machine": {"system": "Linux", "cores": 2, "cpu": "another", "memory_mib": 24_103}},
        {"machine": {"system": "Linux", "cores": 2, "cpu": "synthetic", "memory_mib": 8_000}},
        {"machine": {"system": "Darwin", "cores": 2, "cpu": "synthetic", "memory_mib": 24_103}},
        {"versions": {"python": "3.12.1"}},
        {"backend": None},
        {"storm": {"name": "default", "faults": []}},
    ],
    ids=["cores", "cpu", "memory", "system", "python", "backend", "storm"],
)
def test_what_was_asked_otherwise_or_made_on_something_else_is_another_file(
    data: RunData, tmp_path: Path, changes: dict[str, object]
) -> None:
    one, other = save([reported(data, "one"), reported(data, "two", **changes)], "main", tmp_path)
    assert one.file != other.file
    assert read("main", tmp_path) in ([one, other], [other, one])


def test_a_patch_of_python_a_kernel_and_a_megabyte_make_no_other_machine(data: RunData, tmp_path: Path) -> None:
    machine = data.run.machine | {"release": "6.18", "memory_mib": 24_101}
    other = reported(data, "two", versions={"python": "3.11.9"}, machine=machine)
    assert len(save([reported(data, "one"), other], "main", tmp_path)) == 1


def test_no_path_of_a_machine_is_written(data: RunData, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        data.run.settings, scenario="/home/somebody/mine.py", storm="/home/somebody/s.toml"
    )
    save([reported(data, "one", settings=settings)], "main", tmp_path)
    (path,) = tmp_path.rglob("*.json")
    assert "somebody" not in path.read_text(encoding="utf-8")
    assert json.loads(path.read_bytes())["settings"]["scenario"] == "mine.py"


def test_a_run_that_did_not_pass_and_a_bad_name_are_refused_at_once_and_nothing_is_written(
    data: RunData, tmp_path: Path
) -> None:
    failed = reported(data, "broken", anomalies={0: [CHARGED_TWICE]})
    assert failed.judgement.verdict is RunVerdict.FAIL
    with pytest.raises(UsageError) as refused:
        save([reported(data, "one"), failed], "../main", tmp_path)
    name, run = problems(refused.value)
    assert "--name: '../main' is not valid" in name
    assert "'broken' is not valid; one that passed; it is fail: block 1 (orchestrated): the audit found" in run
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_baselines_are_all_named(data: RunData, tmp_path: Path) -> None:
    (saved,) = save([reported(data, "one")], "main", tmp_path)
    (tmp_path / "main" / "a.json").write_text("{")
    newer = json.loads((tmp_path / saved.file).read_bytes()) | {"schema": "sagastorm.baseline/2"}
    (tmp_path / "main" / "b.json").write_text(json.dumps(newer))
    with pytest.raises(UsageError) as refused:
        read_all(tmp_path)
    first, second = problems(refused.value)
    assert "a.json" in first
    assert "its schema is sagastorm.baseline/2" in second
    with pytest.raises(UsageError):
        save([reported(data, "two")], "main", tmp_path)
    assert json.loads((tmp_path / saved.file).read_bytes())["runs"][0]["run_id"] == "one"


def test_of_nothing_that_was_saved_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read("main", tmp_path / "none") == []
    assert read_all(tmp_path / "none") == []
