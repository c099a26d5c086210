"""``sagastorm ablate``: what it refuses, what it exits with, and how it says to go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.ablation.plan import FILE_NAME, trials
from harness.cli.ablation import ablate, planned, show
from harness.core.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_PASS,
    EnvironmentFailure,
    RunNotFound,
    UsageError,
)
from harness.core.mitigations import Mitigations
from harness.run.progress import Teller
from harness.settings import RunSettings
from tests.ablation.small import CELLS, plan, saved_run


class Runs:
    """Saves a run for each, or raises what it was given instead of the second one."""

    def __init__(self, second: BaseException | None = None) -> None:
        self._second = second

    def __call__(self, settings: RunSettings, storm: dict[str, object], folder: Path, teller: Teller) -> str:
        if self._second and settings.mitigations != Mitigations():
            raise self._second
        saved_run(folder, settings)
        return "pass"


def test_everything_that_is_wrong_is_told_at_once_whichever_part_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        planned({"rate": "fast", "storm": "tornado"}, "bakcoff", "sweeper=maybe", "0", "sagastorm ablate")
    assert [problem.field for problem in error.value.problems] == [
        "--rate",
        "storm",
        "--without",
        "--cells",
        "--rounds",
    ]
    assert list(tmp_path.iterdir()) == []


def test_everything_on_is_everything_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGASTORM_MITIGATIONS", "backoff=none")
    made = planned({"storm": "calm", "seed": "5"}, "sweeper", None, "2", "sagastorm ablate")
    assert made.settings.mitigations == trials(made, tmp_path)[0].settings.mitigations == Mitigations()
    assert (made.settings.seed, made.rounds, made.storm["name"]) == (5, 2, "calm")
    assert [trial.settings.mitigations.chosen() for trial in trials(made, tmp_path)] == [{}, {"sweeper": "off"}] * 2


def test_the_table_is_printed_and_kept_and_printed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate(plan(CELLS[:2]), None, tmp_path, Runs()) == EXIT_PASS
    folder = tmp_path / "small"
    kept, printed = (folder / "table.md").read_text(encoding="utf-8"), capsys.readouterr().out
    assert "idempotency=none" in printed
    assert show(folder) == EXIT_PASS
    assert (folder / "table.md").read_text(encoding="utf-8") == kept
    assert printed.endswith(capsys.readouterr().out)


def test_an_interruption_keeps_what_is_finished_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate(plan(CELLS[:2]), None, tmp_path, Runs(KeyboardInterrupt())) == EXIT_INTERRUPTED
    folder = tmp_path / "small"
    assert f"To go on: sagastorm ablate --out {folder}" in capsys.readouterr().out
    assert ablate(plan(CELLS[:2]), folder, tmp_path, Runs()) == EXIT_PASS
    assert "1 of 2 runs are finished already" in capsys.readouterr().out


def test_what_could_not_be_measured_is_the_environments_fault_and_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate(plan(CELLS[:2]), None, tmp_path, Runs(EnvironmentFailure("no port is free"))) == EXIT_ENVIRONMENT
    assert "not measured: no port is free" in capsys.readouterr().out


def test_a_folder_without_an_ablation_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match=FILE_NAME):
        show(tmp_path)
