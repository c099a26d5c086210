"""How runs of a revision are started, ended and believed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import msgspec
import psutil
import pytest

from chaos.storm import shipped
from harness.check.base import Revision
from harness.check.execution import Unusable
from harness.check.plan import Side, Trial
from harness.check.runs import OUTPUT, TAIL_LINES, ordinary_runs, terminable
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_FAIL, EXIT_INTERRUPTED, EXIT_USAGE, EnvironmentFailure
from harness.report.write import SUMMARY
from tests.check.small import CALM, STORMY, Quiet

JUDGED = f'for last; do :; done; mkdir "$last/run"; echo "{{}}" > "$last/run/{SUMMARY}"; '


def make(folder: Path, script: str, trial: Trial, teller: Quiet | None = None) -> None:
    """Run a shell script in the place of ``sagastorm``."""
    (folder / "sagastorm").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / "sagastorm").chmod(0o755)
    revision = Revision("base 0123", (str(folder / "sagastorm"),), folder)
    ordinary_runs(dict.fromkeys(Side, revision))(trial, teller or Quiet())


def trial(folder: Path, side: Side = Side.HEAD, storm: str = "default", planned_s: float = 60.0) -> Trial:
    cell = STORMY if storm == "default" else CALM
    cell = msgspec.structs.replace(cell, flags=cell.flags | {"storm": storm}, planned_s=planned_s)
    (folder / "trial").mkdir(exist_ok=True)
    return Trial(cell, side, 0, 7, folder / "trial")


def test_a_run_is_told_all_of_its_flags_and_where_to_put_itself(tmp_path: Path) -> None:
    make(tmp_path, JUDGED + 'printf "%s\\n" "$@"', trial(tmp_path))
    told = (tmp_path / "trial" / OUTPUT).read_text(encoding="utf-8").splitlines()
    assert told[0] == "run"
    given = dict(zip(told[1::2], told[2::2], strict=True))
    assert given == {f"--{name}": value for name, value in STORMY.flags.items()} | {
        "--seed": "7", "--runs": str(tmp_path / "trial"),
    }  # fmt: skip


@pytest.mark.parametrize("storm", ["default", "mine.toml"])
def test_a_base_meets_the_storm_of_this_revision(storm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, JUDGED + 'while [ "$1" != --storm ]; do shift; done; echo "$2"', trial(tmp_path, Side.BASE, storm))
    told = Path((tmp_path / "trial" / OUTPUT).read_text(encoding="utf-8").strip())
    if storm in shipped():
        assert told.is_absolute()
        assert (told.is_file(), told.stem) == (True, storm)
    else:
        assert told == tmp_path / storm


def test_a_run_that_failed_its_audit_is_a_run(tmp_path: Path) -> None:
    make(tmp_path, JUDGED + f"exit {EXIT_FAIL}", trial(tmp_path))


@pytest.mark.parametrize(
    ("script", "unusable"),
    [
        (f"seq 99; exit {EXIT_USAGE}", True),
        (JUDGED + f"seq 99; exit {EXIT_ENVIRONMENT}", False),
        (f"seq 99; exit {EXIT_FAIL}", False),
        (JUDGED + f"seq 99; exit {EXIT_INTERRUPTED}", False),
    ],
    ids=["refused", "environment", "died of a mistake", "interrupted by another"],
)
def test_what_is_no_run_is_told_with_the_end_of_what_it_said(script: str, unusable: bool, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="base 0123 exited with") as error:
        make(tmp_path, script, trial(tmp_path))
    assert isinstance(error.value, Unusable) == unusable
    assert str(error.value).splitlines()[1:] == [str(number) for number in range(100 - TAIL_LINES, 100)]


def test_a_run_that_takes_ten_times_what_it_should_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="it was not done after"):
        make(tmp_path, "echo $$ > pid; exec sleep 600", trial(tmp_path, planned_s=0.01))
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_a_run_that_a_person_interrupts_is_let_drain(tmp_path: Path) -> None:
    class Impatient(Quiet):
        def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
            raise KeyboardInterrupt

    script = 'trap "echo drained > ended; exit 130" INT; while :; do sleep 0.05; done'
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, script, trial(tmp_path), Impatient())
    assert (tmp_path / "ended").read_text(encoding="utf-8") == "drained\n"


def test_a_cancelled_job_is_an_interrupted_one_while_the_check_runs_and_not_after() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(10.0)
    assert signal.getsignal(signal.SIGTERM) == before
