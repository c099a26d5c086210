"""The commands that work on what is saved, from the command line to the exit code."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.cli import main as command_line
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_PASS, EXIT_USAGE
from harness.core.mitigations import values
from harness.history import run_file
from tests.report import synthetic_run


def sagastorm(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the command."""
    monkeypatch.setattr("sys.argv", ["sagastorm", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short runs: ``one`` and ``two`` are alike, ``three`` has another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        built = synthetic_run.build(folder / name, synthetic_run.Spec(seed=seed, interleave="AB"))
        run_file.save(built, msgspec.structs.replace(run_file.load(built), run_id=name))
    return folder


def test_saved_runs_are_compared_by_folder_or_id(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "compare", runs / "one", "two", "--runs", runs) == EXIT_PASS
    assert "B / A" in capsys.readouterr().out
    assert list(runs.glob("*/summary.json")) == []


def test_runs_that_differ_are_refused_on_standard_error_until_it_is_allowed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "compare", "one", "three", "--runs", runs) == EXIT_USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "seed of three: 8 is not valid; one has 7; --allow seed" in captured.err
    assert sagastorm(monkeypatch, "compare", "one", "three", "--allow", "seed", "--runs", runs) == EXIT_PASS


@pytest.mark.parametrize(
    "arguments", [("one",), ("one", "none-such"), ("one", "two", "--allow", "colour")], ids=" ".join
)
def test_a_comparison_that_cannot_be_made_is_bad_input(
    runs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert sagastorm(monkeypatch, "compare", *arguments, "--runs", runs) == EXIT_USAGE


def test_of_the_embedded_backend_there_is_nothing_to_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "clean", "--backend", "embedded") == EXIT_PASS
    assert "nothing is left on it" in capsys.readouterr().out


def test_cleaning_a_backend_of_no_known_name_or_with_a_bad_address_is_bad_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sagastorm(monkeypatch, "clean", "--backend", "none-such") == EXIT_USAGE
    assert sagastorm(monkeypatch, "clean", "--endpoint-url", "ftp://x") == EXIT_USAGE


def test_cleaning_where_nothing_answers_is_a_failure_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sagastorm(monkeypatch, "clean", "--endpoint-url", "http://127.0.0.1:1") == EXIT_ENVIRONMENT


def test_of_the_embedded_backend_there_are_no_dead_letters_to_redrive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "redrive", "20260101-120000-ab12", "--backend", "embedded") == EXIT_PASS
    assert "goes with each run" in capsys.readouterr().out


def test_redrive_of_what_is_no_run_is_bad_input_and_where_nothing_answers_a_failure_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = ("--endpoint-url", "http://127.0.0.1:1")
    assert sagastorm(monkeypatch, "redrive", "orders", *nobody) == EXIT_USAGE
    assert sagastorm(monkeypatch, "redrive", "20260101-120000-ab12", *nobody) == EXIT_ENVIRONMENT


def test_mitigations_are_listed_with_their_values_where_they_apply_and_what_they_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    command_line.app(["mitigations"], standalone_mode=False)
    told = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [line.split()[0] for line in told[1:]] == list(values())
    [jitter] = [line for line in told if line.startswith("jitter")]
    assert "full | equal | decorrelated | none" in jitter
    [timeout] = [line for line in told if line.startswith("step-timeout")]
    assert "orchestrated only" in timeout
    assert "gives up waiting for a callback" in timeout
