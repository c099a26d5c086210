"""The embedded backend's process: it starts or says why not, it is gone when it should be, and dying is noticed.

The first half runs stand-ins for the emulator's interpreter; the second half (marked ``embedded``) the real emulator.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import psutil
import pytest

from harness.aws.services import SERVICES
from harness.backends import emulator_env
from harness.backends.base import Endpoints
from harness.backends.embedded import Embedded, LauncherReport
from harness.core.errors import EnvironmentFailure

PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def scratch_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders appear, so that one left behind is seen."""
    root = tmp_path / "scratch"
    root.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(root))
    return root


def interpreter(tmp_path: Path, body: str) -> Path:
    """An "interpreter" that runs ``body`` whatever it is told to run."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return path


async def gone(pid: int) -> None:
    """Wait until no such process runs; a zombie whose parent is not waiting no longer does."""
    while psutil.pid_exists(pid):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        await asyncio.sleep(0.02)


async def test_a_failed_start_shows_the_end_of_the_log_and_leaves_nothing(tmp_path: Path, scratch_root: Path) -> None:
    crash = interpreter(tmp_path, "print('starting')\nraise ImportError('no module named ministack')")
    backend = Embedded(tmp_path / "logs" / "emulator.log", interpreter=crash)
    with pytest.raises(EnvironmentFailure, match="exited with status 1 while it started") as caught:
        await backend.start()
    assert "no module named ministack" in str(caught.value)
    assert str(tmp_path / "logs" / "emulator.log") in str(caught.value)
    assert list(scratch_root.iterdir()) == []


async def test_an_interpreter_that_is_not_there_is_an_environment_failure(tmp_path: Path, scratch_root: Path) -> None:
    backend = Embedded(tmp_path / "emulator.log", interpreter=tmp_path / "nowhere" / "python")
    with pytest.raises(EnvironmentFailure, match="did not start"):
        await backend.start()
    assert list(scratch_root.iterdir()) == []


async def test_an_emulator_that_never_answers_is_given_up_and_ended(tmp_path: Path, scratch_root: Path) -> None:
    stubborn = interpreter(
        tmp_path,
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n",
    )
    backend = Embedded(tmp_path / "emulator.log", interpreter=stubborn, start_timeout_s=1.0)
    with pytest.raises(EnvironmentFailure, match=r"did not answer within 1 s while it started; its log, .* is empty"):
        await backend.start()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert list(scratch_root.iterdir()) == []


async def test_the_emulator_gets_nothing_of_our_environment_that_could_change_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTH", "SERVICES", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "MINISTACK_HOST"):
        monkeypatch.setenv(name, "stray")
    nosy = interpreter(tmp_path, "import os\nprint(sorted(k for k in os.environ if os.environ[k] == 'stray'))")
    with pytest.raises(EnvironmentFailure) as caught:
        await Embedded(tmp_path / "emulator.log", interpreter=nosy).start()
    assert str(caught.value).splitlines()[1:] == ["    []"]


def test_the_version_says_whether_the_sleeps_are_gone() -> None:
    report = LauncherReport("1.5.33", "3.11.7", 1, ["execution-start", "long-poll"], [])
    assert report.version == "1.5.33 (uvicorn, sleeps removed)"
    report = LauncherReport("1.6.0", "3.11.7", 1, ["execution-start"], ["long-poll: there is no esm_wake"])
    assert report.version == "1.6.0 (uvicorn, sleeps NOT removed: long-poll: there is no esm_wake)"


async def test_stopping_what_was_never_started_is_nothing(tmp_path: Path) -> None:
    await Embedded(tmp_path / "emulator.log").stop()


# --- the real emulator ----------------------------------------------------------------------------------------------


@pytest.fixture
async def python() -> Path:
    return await emulator_env.ensure()


@pytest.mark.embedded
async def test_it_starts_answers_and_leaves_no_process_and_no_file(
    tmp_path: Path, scratch_root: Path, python: Path
) -> None:
    backend = Embedded(tmp_path / "emulator.log", interpreter=python)
    endpoints = await backend.start()
    try:
        assert endpoints.pid is not None
        assert set(endpoints.urls) == set(SERVICES)
        assert endpoints.version == "1.5.33 (uvicorn, sleeps removed)"
        assert msgspec.json.decode(msgspec.json.encode(endpoints), type=Endpoints) == endpoints
        assert os.getsid(endpoints.pid) == endpoints.pid  # a Ctrl-C in our terminal is not for it
        listening = {c.laddr.ip for c in psutil.Process(endpoints.pid).net_connections() if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(endpoints.urls["sqs"] + "/_ministack/health") as page,
        ):
            assert page.status == 200
            assert len(page.headers.getall("Date")) == 1
    finally:
        await backend.stop()
    assert not psutil.pid_exists(endpoints.pid)
    assert list(scratch_root.iterdir()) == []
    assert await backend.died() == f"the embedded emulator (pid {endpoints.pid}) was stopped"
    await backend.stop()


@pytest.mark.embedded
async def test_two_emulators_do_not_meet(tmp_path: Path, python: Path) -> None:
    backends = [Embedded(tmp_path / f"{n}.log", interpreter=python) for n in range(2)]
    try:
        started = await asyncio.gather(*(backend.start() for backend in backends))
        assert len({endpoints.urls["sqs"] for endpoints in started}) == 2
    finally:
        await asyncio.gather(*(backend.stop() for backend in backends))


@pytest.mark.embedded
async def test_an_emulator_that_is_killed_has_died_of_that_signal(tmp_path: Path, python: Path) -> None:
    backend = Embedded(tmp_path / "emulator.log", interpreter=python)
    endpoints = await backend.start()
    try:
        assert endpoints.pid is not None
        died = asyncio.create_task(backend.died())
        os.kill(endpoints.pid, signal.SIGKILL)
        reason = await asyncio.wait_for(died, PATIENCE_S)
    finally:
        await backend.stop()
    assert reason.startswith(f"the embedded emulator (pid {endpoints.pid}) was killed by SIGKILL")
    assert "\n" not in reason


@pytest.mark.embedded
async def test_cancelling_a_start_leaves_no_process(tmp_path: Path, scratch_root: Path, python: Path) -> None:
    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}

    others = children()  # an emulator of the whole session, for one
    backend = Embedded(tmp_path / "emulator.log", interpreter=python)
    start = asyncio.create_task(backend.start())
    while not list(scratch_root.iterdir()):
        await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert children() <= others
    assert list(scratch_root.iterdir()) == []


PARENT = """
import asyncio, os, sys, time
from pathlib import Path
from harness.backends.embedded import Embedded

async def main():
    endpoints = await Embedded(Path(sys.argv[1]), interpreter=Path(sys.argv[2])).start()
    if sys.argv[3] == "forks" and os.fork() == 0:
        time.sleep(600)  # it has inherited our end of the lifeline, and outlives us
    print(endpoints.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.embedded
@pytest.mark.parametrize("parent_that", ["is alone", "forks"])
async def test_a_parent_that_is_killed_takes_its_emulator_along(
    tmp_path: Path, scratch_root: Path, python: Path, parent_that: str
) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path / "emulator.log"), str(python), parent_that),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(scratch_root)},
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert parent.stdout is not None
        pid = int(await asyncio.wait_for(parent.stdout.readline(), PATIENCE_S))
        parent.kill()
        await asyncio.wait_for(gone(pid), 5)
        assert list(scratch_root.iterdir()) == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        await parent.communicate()  # to the end of its output, which closes our end of it
