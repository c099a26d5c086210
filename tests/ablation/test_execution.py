"""Which runs an ablation makes, which ones it keeps, and what it does with those that fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.ablation.execution import TRIES, carry_out, finished, time_left
from harness.ablation.plan import Plan, begin, load, make, trials
from harness.core.errors import EnvironmentFailure, RunNotFound, UsageError
from harness.report.write import SUMMARY
from harness.run.progress import Teller
from harness.settings import RunSettings
from tests.ablation.small import CELLS, IDEMPOTENCY, SETTINGS, Quiet, judged_run, plan


class Runs:
    """Makes runs that are nothing but finished, except those whose turn it is to fail."""

    def __init__(self, *failing: BaseException | None) -> None:
        self.made: list[dict[str, str]] = []
        self._failing = list(failing)

    def __call__(self, settings: RunSettings, storm: dict[str, object], folder: Path, teller: Teller) -> str:
        assert not folder.exists() or not any(folder.iterdir())
        self.made.append(settings.mitigations.chosen())
        (folder / "half").mkdir(parents=True)
        if self._failing and (failure := self._failing.pop(0)):
            raise failure
        judged_run(folder, settings)
        return "pass"


def carried_out(asked: Plan, folder: Path, *failing: BaseException | None) -> tuple[Runs, Quiet]:
    runs, teller = Runs(*failing), Quiet()
    begin(asked, folder)
    carry_out(asked, folder, teller, runs)
    return runs, teller


def refusals(kept: Plan, asked: Plan, folder: Path) -> dict[str, object]:
    begin(kept, folder)
    with pytest.raises(UsageError) as error:
        begin(asked, folder)
    return {problem.field: problem.value for problem in error.value.problems}


def test_all_cells_are_run_once_before_any_is_run_again(tmp_path: Path) -> None:
    runs, _ = carried_out(plan(rounds=2), tmp_path)
    assert runs.made == [cell.changed for cell in CELLS] * 2
    assert all(finished(trial) for trial in trials(plan(rounds=2), tmp_path))


def test_finished_runs_are_not_made_again_and_half_a_run_is_removed_and_made_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        carried_out(plan(), tmp_path, None, KeyboardInterrupt())
    runs, teller = carried_out(plan(), tmp_path)
    assert runs.made == [cell.changed for cell in CELLS[1:]]
    assert teller.said[0] == "1 of 3 runs are finished already"
    assert teller.said[1].startswith("Run 2 of 3: idempotency=none")


@pytest.mark.parametrize("spoilt", ["settings", "summary", "run file"])
def test_a_run_counts_as_finished_only_with_its_judgement_and_with_the_settings_of_the_plan(
    spoilt: str, tmp_path: Path
) -> None:
    carried_out(plan(), tmp_path)
    trial = trials(plan(), tmp_path)[1]
    made = finished(trial)
    assert made is not None
    match spoilt:
        case "settings":
            trial = replace(trial, settings=msgspec.structs.replace(trial.settings, seed=8))
        case "summary":
            (made / SUMMARY).unlink()
        case _:
            (made / "run.json").write_text("{", encoding="utf-8")
    assert finished(trial) is None


def test_a_run_that_the_environment_failed_is_made_once_more(tmp_path: Path) -> None:
    runs, teller = carried_out(plan(), tmp_path, None, EnvironmentFailure("no port is free"))
    assert runs.made == [CELLS[0].changed, CELLS[1].changed, CELLS[1].changed, CELLS[2].changed]
    assert "  not measured: no port is free; once more" in teller.said
    assert all(finished(trial) for trial in trials(plan(), tmp_path))


def test_a_run_that_the_environment_fails_again_leaves_its_reason_and_the_others_are_made(tmp_path: Path) -> None:
    failures = [EnvironmentFailure("no port is free")] * TRIES
    carried_out(plan(), tmp_path, None, *failures)
    done = [finished(trial) is not None for trial in trials(plan(), tmp_path)]
    assert done == [True, False, True]
    assert trials(plan(), tmp_path)[1].failure_path.read_text(encoding="utf-8") == "no port is free\n"
    runs, _ = carried_out(plan(), tmp_path)
    assert runs.made == [IDEMPOTENCY.changed]


def test_remaining_time_follows_from_the_runs_that_were_made() -> None:
    assert time_left([], 3) == "3 to go"
    assert time_left([20.0, 40.0], 2) == "about 60 s left"
    assert time_left([60.0], 10) == "about 10 min left"


def test_the_same_plan_goes_on_in_its_folder_with_the_id_that_it_had(tmp_path: Path) -> None:
    kept = begin(plan(), tmp_path / "a")
    again = begin(msgspec.structs.replace(plan(), ablation_id="other", command="again"), tmp_path / "a")
    assert again == kept == load(tmp_path / "a")


def test_another_plan_is_refused_in_that_folder_with_everything_that_differs(tmp_path: Path) -> None:
    other = msgspec.structs.replace(
        plan(CELLS[:2], rounds=2), settings=msgspec.structs.replace(SETTINGS, seed=8, rate_per_s=3.0)
    )
    assert refusals(plan(), other, tmp_path) == {
        "--rate": 3.0,
        "--seed": 8,
        "--cells": "idempotency=none",
        "--rounds": 2,
    }


def test_a_storm_that_was_edited_since_is_refused(tmp_path: Path) -> None:
    edited = msgspec.structs.replace(plan(), storm={"name": "default", "faults": [{}]})
    assert refusals(plan(), edited, tmp_path) == {"storm default": "changed since"}


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="--out"):
        begin(plan(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", [None, "{", '{"schema": "sagastorm.ablation/9"}'])
def test_a_folder_without_a_plan_that_can_be_read_is_no_ablation(content: str | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "ablation.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunNotFound):
        load(tmp_path)


def test_what_the_backend_would_decide_for_every_cell_anew_must_be_chosen() -> None:
    settings = msgspec.structs.replace(SETTINGS, scaled=("rate_per_s", "duration_s"))
    with pytest.raises(UsageError) as error:
        make(settings, {}, CELLS, 1, "sagastorm ablate")
    assert [problem.field for problem in error.value.problems] == ["--rate", "--duration"]
