"""``sagastorm gate``: from the command line to the exit code."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.core.errors import EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_USAGE
from harness.history import run_file
from tests.cli.test_commands import sagastorm
from tests.report import synthetic_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short runs of the same, and one of another rate."""
    folder = tmp_path_factory.mktemp("runs")
    for name, rate_per_s in (("one", 12.0), ("two", 12.0), ("other", 5.0)):
        spec = synthetic_run.Spec(seed=7, interleave="AB", rate_per_s=rate_per_s)
        built = synthetic_run.build(folder / name, spec)
        run_file.save(built, msgspec.structs.replace(run_file.load(built), run_id=name))
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a gates.toml, and the current one."""
    (tmp_path / "gates.toml").write_text(
        '[[gate]]\nmetric = "completion_ms.p50"\nlimit = "< 1 s"\n'
        '[[gate]]\nmetric = "completion_ms.p50"\ntolerance = "5%"\nagainst = "base"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def test_runs_are_judged_and_everything_is_written(
    runs: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = sagastorm(monkeypatch, "gate", "one", "--runs", runs, "--base", "two", "--out", "out")
    # Two runs of one block each make one pair.
    assert code == EXIT_INCONCLUSIVE
    out = capsys.readouterr().out
    assert "sagastorm gate   INCONCLUSIVE" in out
    assert "1 pair of blocks met the same arrivals; 3 are needed." in out
    assert {"gates.json", "junit.xml", "summary.md", "comment.md", "badge.json"} < {
        path.name for path in (project / "out").iterdir()
    }


def test_no_base_has_to_be_said(
    runs: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "gate", "one", "--runs", runs, "--out", "out") == EXIT_USAGE
    assert "--no-base" in capsys.readouterr().err
    assert not (project / "out").exists()
    names = ", ".join(f'"{name}"' for name in ("every-fault-fired", "every-saga-ended"))
    with (project / "gates.toml").open("a") as file:
        file.write(f"[invariants]\nexcept = [{names}]\n")
    assert sagastorm(monkeypatch, "gate", "one", "--runs", runs, "--no-base") == EXIT_PASS
    assert "Left out by name: every-fault-fired, every-saga-ended, completion_ms.p50 within 5%" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("none-such", "--no-base"),
        ("one", "other", "--no-base"),
        ("one", "--base", "two", "--no-base"),
        ("one", "--gates", "none-such.toml"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_judged_is_bad_input_and_nothing_is_written(
    runs: Path, project: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert sagastorm(monkeypatch, "gate", *arguments, "--runs", runs, "--out", "out") == EXIT_USAGE
    assert not (project / "out").exists()


def test_all_that_is_wrong_with_gates_and_runs_is_told_at_once(
    runs: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "gates.toml").write_text('colour = "red"\n')
    assert sagastorm(monkeypatch, "gate", "one", "none-such", "--base", "lost", "--runs", runs) == EXIT_USAGE
    told = capsys.readouterr().err
    assert "colour: 'red' is not valid" in told
    assert "RUN: 'none-such' is not valid; a run's folder (with a run.json), or the id of one in " in told
    assert "RUN: 'lost' is not valid" in told


def test_a_file_in_the_place_of_the_folder_is_bad_input_before_anything_is_judged(
    runs: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "out").write_text("mine")
    assert sagastorm(monkeypatch, "gate", "one", "--no-base", "--runs", runs, "--out", "out") == EXIT_USAGE
    told = capsys.readouterr()
    assert "--out: 'out' is not valid; a folder" in told.err
    assert told.out == ""
    assert (project / "out").read_text() == "mine"


def test_actions_is_told(
    runs: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "step.md"))
    sagastorm(monkeypatch, "gate", "one", "--runs", runs, "--base", "two")
    assert "::warning title=inconclusive" in capsys.readouterr().out
    assert (project / "step.md").read_text().startswith("<!-- sagastorm-gate -->")
