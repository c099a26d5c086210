"""``sagastorm check``: what it refuses, what it exits with, what it leaves, and how it says to go on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.check.base import Revision, this_revision
from harness.check.execution import MakeRun
from harness.check.plan import Side, Trial
from harness.cli import check, options
from harness.cli import main as command_line
from harness.core.errors import (
    EXIT_ENVIRONMENT,
    EXIT_FAIL,
    EXIT_INTERRUPTED,
    EXIT_PASS,
    EXIT_USAGE,
    EnvironmentFailure,
)
from harness.run.progress import Teller
from tests.check.made_up import make_up

OUTPUTS = {"gates.json", "junit.xml", "summary.md", "comment.md", "badge.json", "badge.svg", "check.json"}
MATRIX = """
[check]
storms = ["calm"]
rate = 12
duration = "6s"
repeats = 1
"""
TWO_STORMS = MATRIX.replace('"calm"', '"calm", "default"').replace("6s", "12s")  # the made-up storm lasts so long
SLOWER = """
[[gate]]
name = "no slower"
metric = "completion_ms.p50"
against = "base"
tolerance = "10%"
"""
BUYS = """
[[gate]]
metric = "completion_ms.p50"
against = "mitigations:sweeper=off"
limit = "ratio < 2"
"""


class Revisions:
    """What stands in for ``sagastorm run`` of each side."""

    def __init__(self) -> None:
        self.slower = {Side.HEAD: 1.0, Side.BASE: 1.0}
        self.broken = False
        self.raises: list[BaseException] = []
        self.made: list[Trial] = []

    def make(self, trial: Trial, teller: Teller) -> None:
        self.made.append(trial)
        if self.raises:
            raise self.raises.pop(0)
        settings = options.settings(trial.flags, {}, trial.folder)
        make_up(trial.folder, settings, self.slower[trial.side], broken=self.broken)


@pytest.fixture
def revisions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Revisions:
    """In a repository with one commit, which is the base as well."""
    made = Revisions()

    def runs(_: object) -> MakeRun:
        return made.make

    @contextmanager
    def base(*_: object) -> Iterator[Revision]:
        yield this_revision(tmp_path)

    monkeypatch.setattr(check, "ordinary_runs", runs)
    monkeypatch.setattr(check, "base_revision", base)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".gitignore").write_text("checks\nout\n", encoding="utf-8")
    (tmp_path / "requirements.lock").write_text("", encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
        git(*command)
    return made


def git(*arguments: str) -> None:
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid")
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


def gates_toml(*parts: str) -> None:
    Path("gates.toml").write_text("".join(parts), encoding="utf-8")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, revisions: Revisions) -> Callable[..., int]:
    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["sagastorm", "check", *arguments])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code

    return run


def test_a_check_passes_and_leaves_everything_in_its_folder(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX, '[[gate]]\nmetric = "completion_ms.p50"\nlimit = "< 5 s"\n')
    assert checked() == EXIT_PASS
    [folder] = Path("checks").iterdir()
    assert {path.name for path in folder.iterdir()} >= OUTPUTS
    assert json.loads((folder / "gates.json").read_bytes())["verdict"] == "pass"
    assert len(list(folder.glob("runs/repeat-1/1-head/*/report.html"))) == 1
    assert str(folder) in capsys.readouterr().out


def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_written(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml('[check]\nstorms = ["tornado"]\nrate = 0\n', '[[gate]]\nmetric = "completion_ms.p98"\nlimit = "< 1 s"\n')
    assert checked("--base", "no-such-ref", "--budget", "soon", "--repeats", "0") == EXIT_USAGE
    told = capsys.readouterr().err
    for part in ("tornado", "check.rate", "completion_ms.p98", "no-such-ref", "--budget", "--repeats"):
        assert part in told
    assert not Path("checks").exists()
    assert revisions.made == []


def test_a_gate_that_nothing_of_the_matrix_answers_is_refused_before_any_run(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX, '[[gate]]\nmetric = "completion_ms.p50"\nlimit = "< 5 s"\nstorm = "poison"\n')
    assert checked() == EXIT_USAGE
    assert "storm poison" in capsys.readouterr().err
    assert not Path("checks").exists()


def test_a_budget_too_short_for_one_repeat_is_refused(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX)
    assert checked("--budget", "30s") == EXIT_USAGE
    assert "or more: one repeat" in capsys.readouterr().err


def test_a_base_without_a_lock_file_and_one_outside_of_a_repository_are_refused(
    checked: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX, 'lock = "other.lock"\n')
    assert checked("--base", "HEAD") == EXIT_USAGE
    assert "a revision with a other.lock" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    gates_toml(MATRIX)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert checked("--base", "HEAD", "--gates", "gates.toml") == EXIT_USAGE


def test_a_build_that_is_slower_than_its_base_fails_and_one_that_is_not_passes(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX.replace("repeats = 1", ""), SLOWER)
    assert checked("--base", "HEAD", "--out", "out/same") == EXIT_PASS
    assert {trial.side for trial in revisions.made} == {Side.HEAD, Side.BASE}
    revisions.slower[Side.HEAD] = 1.3
    assert checked("--base", "HEAD", "--out", "out/slower") == EXIT_FAIL
    assert "FAIL  no slower" in capsys.readouterr().out
    assert json.loads(Path("out/slower/gates.json").read_bytes())["base"]


@pytest.mark.parametrize(
    ("matrix", "gate", "base", "turns"),
    [
        (MATRIX, "", True, {"AB", "BA"}),
        (MATRIX, "", False, {"ABBA"}),
        (MATRIX, BUYS, False, {"AB", "BA"}),
        (MATRIX + 'interleave = "AABB"\n', "", True, {"AABB", "BBAA"}),
    ],
    ids=["base", "no base", "a mitigation removed", "chosen"],
)
def test_where_runs_are_held_against_runs_each_topology_has_one_turn_in_each(
    matrix: str, gate: str, base: bool, turns: set[str], checked: Callable[..., int], revisions: Revisions
) -> None:
    gates_toml(matrix, gate)
    checked(*(["--base", "HEAD"] if base else []), "--repeats", "2")
    assert {trial.flags["interleave"] for trial in revisions.made} == turns


def test_without_a_base_gates_against_one_are_left_out_and_that_is_said(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX, SLOWER)
    assert checked("--out", "out/a") == EXIT_PASS
    assert "left out: no slower" in capsys.readouterr().out
    assert json.loads(Path("out/a/gates.json").read_bytes())["left_out"] == ["no slower"]


def test_a_broken_invariant_stops_the_check_and_fails_it(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(TWO_STORMS, '[[gate]]\nmetric = "dead_letters"\nlimit = "== 0"\n')
    revisions.broken = True
    assert checked("--repeats", "3", "--out", "out/a") == EXIT_FAIL
    assert len(revisions.made) == 1
    assert "Stopped early: " in capsys.readouterr().out
    assert json.loads(Path("out/a/gates.json").read_bytes())["verdict"] == "fail"


def test_an_interruption_keeps_what_is_finished_and_says_how_to_go_on(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX)
    revisions.raises = [KeyboardInterrupt()]
    assert checked() == EXIT_INTERRUPTED
    [folder] = Path("checks").iterdir()
    assert f"To go on: sagastorm check --out {folder.absolute()}" in capsys.readouterr().out
    assert checked("--out", str(folder)) == EXIT_PASS
    assert checked("--out", str(folder)) == EXIT_PASS
    assert len(revisions.made) == 2


def test_a_check_does_not_go_on_with_another_revision(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(MATRIX)
    assert checked("--out", "out/a") == EXIT_PASS
    Path("requirements.lock").write_text("changed", encoding="utf-8")
    assert checked("--out", "out/a") == EXIT_USAGE
    assert "this revision" in capsys.readouterr().err


def test_what_the_environment_took_away_is_no_pass_and_hides_no_fail(
    checked: Callable[..., int], revisions: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    gates_toml(TWO_STORMS)
    revisions.raises = [EnvironmentFailure("no port is free")] * 2
    assert checked("--out", "out/a") == EXIT_ENVIRONMENT
    assert "create-order calm, head, repeat 1 was not measured: no port is free" in capsys.readouterr().out
    assert json.loads(Path("out/a/gates.json").read_bytes())["verdict"] == "inconclusive"
    assert "every-run-made" in Path("out/a/junit.xml").read_text(encoding="utf-8")
    revisions.raises = [EnvironmentFailure("no port is free")] * 2
    revisions.broken = True
    assert checked("--out", "out/b") == EXIT_FAIL


def test_a_matrix_in_pyproject_is_read_where_there_is_no_gates_toml(
    checked: Callable[..., int], revisions: Revisions
) -> None:
    table = MATRIX.replace("[check]", "[tool.sagastorm.gates.check]")
    Path("pyproject.toml").write_text(table, encoding="utf-8")
    assert checked("--repeats", "2") == EXIT_PASS
    assert [trial.seed for trial in revisions.made] == [1, 2]


def test_what_github_shows_beside_a_run_is_printed_and_added_to_the_summary(
    checked: Callable[..., int],
    revisions: Revisions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    gates_toml(MATRIX, '[[gate]]\nname = "quick"\nmetric = "completion_ms.p50"\nlimit = "< 1 ms"\n')
    assert checked() == EXIT_FAIL
    assert "::error title=fail%3A quick" in capsys.readouterr().out
    assert "FAIL quick" in (tmp_path / "step.md").read_text(encoding="utf-8")


def test_where_nothing_at_all_could_be_measured_that_is_what_everything_says(
    checked: Callable[..., int], revisions: Revisions
) -> None:
    gates_toml(MATRIX)
    revisions.raises = [EnvironmentFailure("no port is free")] * 2
    assert checked("--out", "out/a") == EXIT_ENVIRONMENT
    assert json.loads(Path("out/a/gates.json").read_bytes())["verdict"] == "inconclusive"
    assert "no port is free" in Path("out/a/comment.md").read_text(encoding="utf-8")
