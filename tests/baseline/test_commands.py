"""The commands, from the command line to the exit code."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.core.errors import EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_USAGE
from harness.history import run_file
from tests.cli.test_commands import sagastorm
from tests.report import synthetic_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = synthetic_run.Spec(topologies=("orchestrated",), interleave="A", storm=False, restart_in_block=None)
    folder = tmp_path_factory.mktemp("runs")
    again = synthetic_run.build(folder / "two", spec)
    run_file.save(again, msgspec.structs.replace(run_file.load(again), run_id="two"))
    return synthetic_run.build(folder / "one", spec)


def test_a_run_is_saved_listed_and_compared(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    where = ("--baselines", "kept")
    assert sagastorm(monkeypatch, "baseline", "save", "one", "--runs", run.parent, "--to", "kept") == EXIT_PASS
    assert sagastorm(monkeypatch, "baseline", "list", *where) == EXIT_PASS
    listed = capsys.readouterr().out
    assert listed.count("main: create-order, storm calm") == 2
    assert "1 run of 2026-11-01; 5 are needed" in listed
    assert sagastorm(monkeypatch, "baseline", "compare", run, *where) == EXIT_USAGE  # there is nothing else in it
    assert sagastorm(monkeypatch, "baseline", "compare", "two", "--runs", run.parent, *where) == EXIT_INCONCLUSIVE
    assert "against main: 1 run of 2026-11-01" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    "arguments", [("save", "none-such"), ("save", "one", "--name", "a/b"), ("compare", "one")], ids=" ".join
)
def test_what_cannot_be_done_is_bad_input_and_writes_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sagastorm(monkeypatch, "baseline", *arguments, "--runs", run.parent) == EXIT_USAGE
    assert list(tmp_path.iterdir()) == []
