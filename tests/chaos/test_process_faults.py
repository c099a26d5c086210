"""A worker process that is killed or stopped, as a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.history.records import FaultRow
from harness.history.spool import SpoolReader

ROOT = Path(__file__).parents[2]
WAIT_LIMIT_S = 20.0
CHILD = """
import asyncio, sys
from pathlib import Path
from chaos.faults.{kind} import FAULT
from tests.chaos.scripted import DONE, Rig, ScriptedFault
from tests.samples import delivery

async def main():
    with Rig(Path(sys.argv[1]), ScriptedFault(FAULT(FAULT.Options({options}), 1))) as rig:
        async def work(delivery):
            print("committed", flush=True)
            return DONE

        async def answer(delivery, reply):
            print("replied", flush=True)

        work, answer = rig.engine.wrap_work(work), rig.engine.wrap_reply(answer)
        for receives in (1, 2):
            print("received", flush=True)
            received = delivery("charge", receives=receives)
            await answer(received, await work(received))
            print("deleted", flush=True)

asyncio.run(main())
"""


def child(folder: Path, kind: str, options: str) -> subprocess.Popen[str]:
    """A process that takes the same step twice, with a fault on every attempt, and says what it does."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(kind=kind, options=options), str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def struck(folder: Path) -> list[str]:
    """The attempts that were recorded as struck."""
    return [row.attempt for row in SpoolReader(folder).read() if isinstance(row, FaultRow)]


@pytest.mark.parametrize(
    ("at", "did"),
    [
        ("before-commit", ["received"]),
        ("after-commit", ["received", "committed"]),
        ("after-reply", ["received", "committed", "replied"]),
    ],
)
def test_process_is_killed_at_the_named_point_and_its_strike_is_on_record(
    at: str, did: list[str], tmp_path: Path
) -> None:
    process = child(tmp_path, "crash", f"at={at!r}")
    said, _ = process.communicate(timeout=WAIT_LIMIT_S)
    assert process.returncode == -signal.SIGKILL
    assert said.split() == did
    assert struck(tmp_path) == ["0.1"]


def test_attempt_that_has_killed_a_process_kills_none_of_those_after_it(tmp_path: Path) -> None:
    codes = []
    for _ in range(3):
        process = child(tmp_path, "crash", "at='after-commit'")
        process.communicate(timeout=WAIT_LIMIT_S)
        codes.append(process.returncode)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert struck(tmp_path) == ["0.1", "0.2"], "and each time both attempts are made"


def test_process_stands_still_once_and_is_woken_again_with_nobody_there_to_do_it(tmp_path: Path) -> None:
    process = child(tmp_path, "pause", "length_s=1.5")
    observed = psutil.Process(process.pid)
    deadline = time.monotonic() + WAIT_LIMIT_S
    while observed.status() != psutil.STATUS_STOPPED:
        assert process.poll() is None
        assert time.monotonic() < deadline, "it was never stopped"
        time.sleep(0.01)
    said, _ = process.communicate(timeout=WAIT_LIMIT_S)
    assert process.returncode == 0
    assert said.split() == ["received", "committed", "replied", "deleted"] * 2
    assert struck(tmp_path) == ["0.1"]
