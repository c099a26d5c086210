"""The embedded backend: MiniStack in a process of its own, on a port of its own, gone when the run is over.

Its process is a session of its own, so that a Ctrl-C in the terminal leaves it serving while the harness drains. It
cannot outlive the harness either: its standard input is a pipe that nobody writes to, and when that closes, however the
harness died, the launcher exits.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from harness.aws.services import SERVICES, listing_headers
from harness.backends.base import DEFAULT_REGION, Endpoints
from harness.backends.environment import inherited
from harness.core.errors import EnvironmentFailure, Problem, UsageError

LAUNCHER: Final = Path(__file__).with_name("ministack_launcher.py")

_READY_POLL_S: Final = 0.02
_REQUEST_TIMEOUT_S: Final = 5.0
_TERM_TIMEOUT_S: Final = 3.0
_KILL_TIMEOUT_S: Final = 5.0
_TAIL_LINES: Final = 20
_REPORT_NAME: Final = "launcher.json"


class LauncherReport(msgspec.Struct, frozen=True):
    """What the launcher says of itself before it serves (see ``ministack_launcher.py``)."""

    ministack: str
    python: str
    port: int
    patched: list[str]
    not_patched: list[str]

    @property
    def version(self) -> str:
        """As it stands beside results: two runs compare only if this is the same."""
        if self.not_patched:
            return f"{self.ministack} (uvicorn, sleeps NOT removed: {'; '.join(self.not_patched)})"
        return f"{self.ministack} (uvicorn, sleeps removed)"


class Embedded:
    """MiniStack, started for this run. ``log_path`` receives all it prints.

    ``interpreter`` is the Python that has MiniStack; without one, ``emulator_env`` provides it.
    """

    name = "embedded"

    def __init__(self, log_path: Path, *, interpreter: Path | None = None, start_timeout_s: float = 30.0) -> None:
        self._log_path = log_path
        self._interpreter = interpreter
        self._start_timeout_s = start_timeout_s
        self._scratch: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def start(self) -> Endpoints:
        """Start it and wait until it answers; about a second, longer the first time on a machine.

        Raises ``EnvironmentFailure`` with the end of its log.
        """
        if self._process is not None:
            raise RuntimeError("an embedded emulator is started once")
        interpreter = self._interpreter or await _provided_interpreter()
        try:
            self._scratch = Path(tempfile.mkdtemp(prefix="sagastorm-emulator-"))
            self._process = await self._spawn(interpreter, self._scratch)
            report = await self._ready(self._process, self._scratch / _REPORT_NAME)
        except BaseException:
            await self.stop()
            raise
        url = f"http://127.0.0.1:{report.port}"
        return Endpoints(
            urls=dict.fromkeys(SERVICES, url),
            region=DEFAULT_REGION,
            emulator=True,
            name=self.name,
            product="ministack",
            version=report.version,
            pid=self._process.pid,
        )

    async def stop(self) -> None:
        """SIGTERM, SIGKILL to whatever is left of its process group, and its temporary files are removed."""
        self._stopping = True
        if self._process is not None:
            await _end(self._process)
            await _let_go_of_lifeline(self._process)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    async def died(self) -> str:
        """Wait for the process to end; the reason names the signal or the exit status."""
        if self._process is None:
            raise RuntimeError("the embedded emulator was never started")
        status = await self._process.wait()
        emulator = f"the embedded emulator (pid {self._process.pid})"
        if self._stopping:
            return f"{emulator} was stopped"
        return f"{emulator} {_describe(status)}; its log is {self._log_path}"

    async def _spawn(self, interpreter: Path, scratch: Path) -> asyncio.subprocess.Process:
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with self._log_path.open("ab") as log:
                return await asyncio.create_subprocess_exec(
                    str(interpreter),
                    "-I",  # or the script's own folder would be where it finds its modules first
                    str(LAUNCHER),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=scratch,
                    env=_environment(os.environ, scratch),
                )
        except OSError as error:
            raise EnvironmentFailure(f"the embedded emulator did not start: {error}") from error

    async def _ready(self, process: asyncio.subprocess.Process, report_path: Path) -> LauncherReport:
        deadline_s = time.monotonic() + self._start_timeout_s
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)) as session:
            while time.monotonic() < deadline_s:
                if process.returncode is not None:
                    raise self._failed_start(_describe(process.returncode))
                report = _read_report(report_path)
                if report is not None and await _answers(session, f"http://127.0.0.1:{report.port}"):
                    return report
                await asyncio.sleep(_READY_POLL_S)
        raise self._failed_start(f"did not answer within {self._start_timeout_s:g} s")

    def _failed_start(self, what: str) -> EnvironmentFailure:
        tail = _tail(self._log_path)
        log = [f"the end of its log, {self._log_path}:", *tail] if tail else [f"its log, {self._log_path}, is empty"]
        return EnvironmentFailure("\n    ".join([f"the embedded emulator {what} while it started; {log[0]}", *log[1:]]))


class EmbeddedKind:
    """``--backend embedded``."""

    rate_per_s: float | None = 25.0
    """About a quarter of what it can do on two cores, so that both topologies have room for a surge."""

    def resolve(self, endpoint_url: str | None, environ: Mapping[str, str]) -> None:
        """It is wherever it is started; an address of another emulator contradicts it."""
        if endpoint_url is not None:
            raise UsageError([Problem("--endpoint-url", endpoint_url, "none: --backend embedded starts an emulator")])

    def backend(self, urls: Mapping[str, str] | None, log_path: Path) -> Embedded:
        """One emulator, for one block."""
        return Embedded(log_path)


KIND: Final = EmbeddedKind()


async def _provided_interpreter() -> Path:
    # Imported late: `python -m harness.backends.emulator_env` must not find itself imported already.
    from harness.backends import emulator_env

    return await emulator_env.ensure()


def _environment(ours: Mapping[str, str], scratch: Path) -> dict[str, str]:
    return inherited(ours) | {
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": DEFAULT_REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "TMPDIR": str(scratch),
        "SAGASTORM_LAUNCHER_SCRATCH": str(scratch),
        "SAGASTORM_LAUNCHER_REPORT": str(scratch / _REPORT_NAME),
    }


def _read_report(path: Path) -> LauncherReport | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LauncherReport)
    except FileNotFoundError:
        return None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether it is ready, by its own word and by a first call to each service.

    The call proves that the service is there. And MiniStack parses a service's model on its first call, which would
    otherwise hold up everything beside the run's first sagas.
    """
    try:
        async with session.get(url + "/_ministack/ready") as response:
            if response.status != 200:
                return False
        for service in SERVICES:
            async with session.post(url, data=b"{}", headers=listing_headers(service)) as response:
                if response.status != 200:
                    return False
    except (aiohttp.ClientError, TimeoutError):
        return False
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return  # its number, and its group's, may be somebody else's by now
    _signal(process.pid, signal.SIGTERM)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _TERM_TIMEOUT_S)
    _signal(-process.pid, signal.SIGKILL)  # its group: it may have started processes of its own
    try:
        await asyncio.wait_for(process.wait(), _KILL_TIMEOUT_S)
    except TimeoutError as error:
        raise EnvironmentFailure(f"the embedded emulator (pid {process.pid}) survived SIGKILL") from error


async def _let_go_of_lifeline(process: asyncio.subprocess.Process) -> None:
    # asyncio would close it in its own time, and complain if the loop is closed first.
    if process.stdin is not None:
        process.stdin.close()
        with suppress(OSError):
            await process.stdin.wait_closed()


def _signal(pid: int, number: signal.Signals) -> None:
    # Gone already; macOS answers "not permitted" for a group in which only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _describe(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _tail(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
