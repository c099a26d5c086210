"""How a session comes by its runs: each once, one at a time, in processes that outlive nobody."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_USAGE, EnvironmentFailure
from harness.pytest_plugin import runs as module
from harness.pytest_plugin.asked import Asked, read
from harness.pytest_plugin.runs import Ended, Runs, make_run
from tests.pytest_plugin.saved import passing

MakeRun = Callable[[Sequence[str], Path], Ended]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return passing(tmp_path_factory.mktemp("saved") / "run")


@pytest.fixture
def made(saved: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What runs were asked for; each is a copy of a saved one."""
    asked: list[Sequence[str]] = []

    def copy(arguments: Sequence[str], root: Path) -> Ended:
        asked.append(arguments)
        shutil.copytree(saved, root / arguments[-1] / f"run-{len(asked)}")
        return Ended(0, "")

    monkeypatch.setattr(module, "make_run", copy)
    return asked


def calm(root: Path, seed: int = 1) -> Asked:
    return read(("calm",), {"seed": seed}, "", root)


def test_a_run_is_made_once_for_all_who_ask_the_same(tmp_path: Path, made: list[Sequence[str]]) -> None:
    runs = Runs(tmp_path, Path("runs/pytest"), tmp_path / "shared")
    folder, report = runs.of(calm(tmp_path))
    assert runs.of(calm(tmp_path)) == (folder, report)
    assert folder == tmp_path / "runs" / "pytest" / "run-1"
    assert runs.of(calm(tmp_path, seed=2))[0].name == "run-2"
    assert made[0] == ["run", "--seed", "1", "--storm", "calm", "--runs", "runs/pytest"]
    assert len(made) == 2


def test_another_process_of_the_session_reads_the_same_run_and_another_session_makes_its_own(
    tmp_path: Path, made: list[Sequence[str]]
) -> None:
    one, other, later = (
        Runs(tmp_path, Path("runs"), tmp_path / name) for name in ("session-1", "session-1", "session-2")
    )
    assert one.of(calm(tmp_path))[0] == other.of(calm(tmp_path))[0]
    assert len(made) == 1
    assert later.of(calm(tmp_path))[0].name == "run-2"


def test_nobody_else_makes_a_run_in_the_folder_meanwhile(
    tmp_path: Path, made: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy: MakeRun = module.make_run
    held: list[bool] = []

    def looking(arguments: Sequence[str], root: Path) -> Ended:
        descriptor = os.open(root / "runs", os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(True)
        finally:
            os.close(descriptor)
        return copy(arguments, root)

    monkeypatch.setattr(module, "make_run", looking)
    Runs(tmp_path, Path("runs"), tmp_path / "shared").of(calm(tmp_path))
    assert held == [True]


def test_a_run_that_could_not_be_made_says_why_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Sequence[str]] = []

    def failing(arguments: Sequence[str], root: Path) -> Ended:
        tries.append(arguments)
        (root / "runs" / "half-a-run").mkdir()
        return Ended(EXIT_ENVIRONMENT, "sagastorm: the embedded emulator could not be installed")

    monkeypatch.setattr(module, "make_run", failing)
    runs = Runs(tmp_path, Path("runs"), tmp_path / "shared")
    for _ in range(2):
        with pytest.raises(EnvironmentFailure) as failed:
            runs.of(calm(tmp_path))
    assert "`sagastorm run --seed 1 --storm calm` ended with 4:\nsagastorm: the embedded emulator" in str(failed.value)
    assert "what it left is in" in str(failed.value)
    assert len(tries) == 1


def test_what_the_command_says_is_passed_on_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "harness.py").write_text("raise AssertionError('a project may have a harness of its own')")
    ended = make_run(["run", "--rate", "none"], tmp_path)
    assert ended.code == EXIT_USAGE
    assert "--rate: 'none' is not valid" in ended.said
    assert ended.said in capsys.readouterr().out


HELD = """
import signal, threading, time
from harness.pytest_plugin import child
child.PATIENCE_S, child.STOP_LIMIT_S = 0.1, {limit_s}
drained = []
signal.signal(signal.SIGINT, lambda *_: (drained.append(1), signal.signal(signal.SIGINT, {second})))
threading.Thread(target=child.end_with_parent, daemon=True).start()
print("ready", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped at once", len(drained), flush=True)
    raise SystemExit(130)
"""


@pytest.mark.parametrize(
    ("second", "limit_s", "said"),
    [("signal.default_int_handler", 30, "stopped at once 1\n"), ("signal.SIG_IGN", 0.1, "")],
    ids=["which stops when it is told twice", "which does not stop"],
)
def test_a_run_ends_with_the_process_that_asked_for_it(second: str, limit_s: float, said: str) -> None:
    """As a run does, the process takes a first interruption for a wish to drain."""
    with subprocess.Popen(
        [sys.executable, "-c", HELD.format(second=second, limit_s=limit_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.close()
        assert process.stdout.read() == said
        assert process.wait() == EXIT_INTERRUPTED
