"""The processes of a block: started with a lifeline, watched, restarted where that is what a fleet would do.

Each child's standard input is a pipe that only the harness holds open. Lines on it steer the child; its end, however
it comes about, tells the child that the harness is gone. Children have sessions of their own, so that a Ctrl-C in
the terminal reaches the harness alone, which then drains.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.core.errors import EnvironmentFailure
from harness.deployment import Control

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
MAX_RESTARTS = 20
"""Of one process within :data:`RESTARTS_WITHIN_S`: a storm may kill it for as long as it blows, but what cannot live is
not started for ever."""
RESTARTS_WITHIN_S = 60.0
_LOG_TAIL_BYTES = 2000


class Child:
    """One process, its log, and how it ended."""

    def __init__(self, role: str, process: Process, log_path: Path) -> None:
        self.role = role
        self.process = process
        self.log_path = log_path

    @property
    def name(self) -> str:
        """As in its metrics target and its spool."""
        return f"{self.role}-{self.process.pid}"

    def steer(self, control: Control) -> None:
        """Send a line, unless the process has gone."""
        assert self.process.stdin is not None
        with suppress(OSError, RuntimeError):
            self.process.stdin.write(msgspec.json.encode(control) + b"\n")

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """SIGTERM, and SIGKILL if it has not ended within the limit; what it has forked goes with it in any case."""
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.process.wait()), limit_s)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # every child leads a session of its own
        await self.process.wait()

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal, unless the process has gone."""
        with suppress(ProcessLookupError):
            self.process.send_signal(sign)

    def end(self) -> str:
        """How it ended, in words, with the last lines that it wrote."""
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exited with {code}"
        tail = self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        last = tail.splitlines()[-1] if tail else ""
        return f"{self.role} (pid {self.process.pid}) {how}" + (f": {last}" if last else "")


async def spawn(role: str, arguments: Sequence[str], environ: Mapping[str, str], logs: Path) -> Child:
    """Start ``arguments``; what it prints goes to a log file named after its role."""
    logs.mkdir(parents=True, exist_ok=True)
    log_path = logs / f"{role}.log"
    with log_path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=PIPE, stdout=log, stderr=log, env={**os.environ, **environ}, start_new_session=True
        )
    return Child(role, process, log_path)


class Fleet:
    """The workers, the ingress and the sweeper of one block."""

    def __init__(self, targets_dir: Path, logs: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._targets_dir = targets_dir
        self._logs = logs
        self._environ = dict(environ)
        self._say = say
        self._control: Control | None = None
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Resolves with the reason when the fleet cannot go on."""

    async def start(self, role: str, arguments: Sequence[str], *, restart: bool) -> Child:
        """Start a process and wait until it serves. With ``restart`` a process that dies is replaced."""
        child = await self._start(role, arguments)
        await self._ready(child)
        self._keepers.append(asyncio.create_task(self._keep(child, arguments, restart=restart)))
        return child

    def steer(self, control: Control) -> None:
        """Tell all processes, and those that will be started later."""
        self._control = control
        for child in self._children:
            child.steer(control)

    async def stop(self) -> None:
        """Let all finish what they have in hand, and end."""
        # The keepers first: one of them may be about to start another process, which would then be left behind.
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self._children))

    async def _start(self, role: str, arguments: Sequence[str]) -> Child:
        child = await spawn(role, arguments, self._environ, self._logs)
        self._children.append(child)
        if self._control:
            child.steer(self._control)
        return child

    async def _ready(self, child: Child) -> None:
        target = self._targets_dir / f"{child.name}.json"
        deadline = asyncio.get_running_loop().time() + READY_LIMIT_S
        while not target.exists():
            if child.process.returncode is not None:
                raise EnvironmentFailure(f"{child.end()}; its log is {child.log_path.name}")
            if asyncio.get_running_loop().time() > deadline:
                raise EnvironmentFailure(f"{child.role} was not ready within {READY_LIMIT_S:.0f} s")
            await asyncio.sleep(0.02)

    async def _keep(self, child: Child, arguments: Sequence[str], *, restart: bool) -> None:
        loop = asyncio.get_running_loop()
        restarted_s: deque[float] = deque(maxlen=MAX_RESTARTS)
        while True:
            await child.process.wait()
            self._children.remove(child)
            (self._targets_dir / f"{child.name}.json").unlink(missing_ok=True)
            if not restart or (len(restarted_s) == MAX_RESTARTS and loop.time() - restarted_s[0] < RESTARTS_WITHIN_S):
                break
            restarted_s.append(loop.time())
            self._say(f"{child.end()}; starting another")
            try:
                child = await self._start(child.role, arguments)
            except OSError as error:
                self._fail(f"{child.end()}; another could not be started: {error}")
                return
        self._fail(child.end())

    def _fail(self, why: str) -> None:
        if not self.failed.done():
            self.failed.set_result(why)
