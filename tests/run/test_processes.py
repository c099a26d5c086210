"""The processes of a block: real ones, but tiny. How they are kept, steered and ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from harness.core.errors import EnvironmentFailure
from harness.deployment import Control
from harness.run import processes
from harness.run.processes import Child, Fleet, spawn
from tests.run.children import FAIL, FAIL_SECOND, SERVE, SLOW_TO_STOP, STUBBORN, arguments

LIMIT_S = 10.0
"""Far more than anything here takes; only a bug makes a test wait for it."""


class Bench:
    """A fleet, its folders, and what it has said."""

    def __init__(self, folder: Path) -> None:
        self.targets = folder / "targets"
        self.targets.mkdir()
        self.logs = folder / "logs"
        self.said: list[str] = []
        self.spoke = asyncio.Event()
        self.fleet = Fleet(self.targets, self.logs, {"SAGASTORM_TEST": "1"}, self._say)

    async def start(self, code: str = SERVE, *, restart: bool = True) -> Child:
        return await self.fleet.start("worker", arguments(code, self.targets), restart=restart)

    async def announced(self, beside: Child) -> int:
        """The process id of a process that has announced itself, other than ``beside``."""
        while True:
            for path in self.targets.glob("worker-*.json"):
                if path.stem != beside.name:
                    return int(path.stem.removeprefix("worker-"))
            await asyncio.sleep(0.005)

    def log(self) -> str:
        return (self.logs / "worker.log").read_text(encoding="utf-8")

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.spoke.set()


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    made = Bench(folder)
    async with asyncio.timeout(LIMIT_S):
        try:
            yield made
        finally:
            await made.fleet.stop()


async def test_process_is_started_with_its_environment_and_serves(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        child = await made.start()
        assert (made.targets / f"{child.name}.json").exists()
        assert child.name == f"worker-{child.process.pid}"
        assert psutil.Process(child.process.pid).environ()["SAGASTORM_TEST"] == "1"
        assert os.getpgid(child.process.pid) != os.getpgid(0), "a Ctrl-C in the terminal must not reach it"


async def test_process_that_is_killed_is_replaced_and_its_metrics_are_no_longer_announced(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        first = await made.start()
        first.signal(signal.SIGKILL)
        second = await made.announced(beside=first)
        assert second != first.process.pid
        assert not (made.targets / f"{first.name}.json").exists()
        assert made.said == [f"worker (pid {first.process.pid}) was killed by SIGKILL: serving; starting another"]
        assert not made.fleet.failed.done()


async def test_process_that_is_not_replaced_fails_the_fleet_with_the_reason(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        child = await made.start(restart=False)
        child.signal(signal.SIGKILL)
        assert await made.fleet.failed == f"worker (pid {child.process.pid}) was killed by SIGKILL: serving"


async def test_process_that_keeps_dying_is_given_up_with_the_reason_of_its_last_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MAX_RESTARTS", 2)
    async with bench(tmp_path) as made:
        child = await made.start(FAIL_SECOND)
        child.signal(signal.SIGKILL)
        assert "exited with 3" in await made.fleet.failed
        assert len(made.said) == 2, "so often another one was started"


async def test_process_that_ends_before_it_serves_is_an_environment_failure_with_its_last_words(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        with pytest.raises(EnvironmentFailure, match=r"exited with 1: the last line says why; its log is worker\.log"):
            await made.start(FAIL)


async def test_process_that_never_serves_is_an_environment_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "READY_LIMIT_S", 0.05)
    async with bench(tmp_path) as made:
        with pytest.raises(EnvironmentFailure, match="worker was not ready"):
            await made.start("import sys; sys.stdin.read()")


async def test_all_processes_are_told_and_so_is_one_that_is_started_later(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        first = await made.start()
        made.fleet.steer(Control(epoch_ns=41))
        made.fleet.steer(Control(epoch_ns=42, storm_on=False))
        while '"epoch_ns":42,"storm_on":false' not in made.log():
            await asyncio.sleep(0.005)
        first.signal(signal.SIGKILL)
        await made.announced(beside=first)
        while made.log().count('"epoch_ns":42') < 2:
            await asyncio.sleep(0.005)
        assert made.log().count('"epoch_ns":41') == 1


async def test_stop_ends_all_processes_and_replaces_none(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        children = [await made.start() for _ in range(2)]
        await made.fleet.stop()
        assert [child.process.returncode for child in children] == [0, 0]
        assert made.said == []
        assert not made.fleet.failed.done()
        await made.fleet.stop()


async def test_stop_reaches_a_process_that_is_just_being_started(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        await made.start(SLOW_TO_STOP)
        dies = await made.start()
        dies.signal(signal.SIGKILL)
        await made.spoke.wait()  # the fleet has decided to start another one, which is now on its way
        await made.fleet.stop()
        left = [process.pid for process in psutil.Process().children() if str(made.targets) in process.cmdline()]
        assert left == []


async def test_stop_kills_a_process_that_will_not_end(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        child = await made.start(STUBBORN)
        await child.stop(limit_s=0.05)
        assert child.process.returncode == -signal.SIGKILL


async def test_stop_of_a_process_that_has_ended_does_nothing(tmp_path: Path) -> None:
    child = await spawn("worker", arguments(FAIL, tmp_path), {}, tmp_path)
    await child.process.wait()
    child.signal(signal.SIGTERM)
    child.steer(Control(epoch_ns=1))
    await child.stop()
    assert child.end() == f"worker (pid {child.process.pid}) exited with 1: the last line says why"


async def test_end_without_a_word_is_told_without_one(tmp_path: Path) -> None:
    child = await spawn("worker", arguments("raise SystemExit(4)", tmp_path), {}, tmp_path)
    await child.process.wait()
    assert child.end() == f"worker (pid {child.process.pid}) exited with 4"
