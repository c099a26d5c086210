"""The virtual environment that the embedded emulator runs in: made once from ``ministack.lock``, then reused.

MiniStack pins a botocore that aioboto3 cannot live with, so it gets an environment of its own:
``$SAGASTORM_EMULATOR_HOME`` if that is set, else ``$XDG_CACHE_HOME/sagastorm/ministack-<fingerprint>`` (and
``~/.cache`` where that is not set either). The fingerprint covers the lock and the interpreter's version, so a changed lock makes a new
environment and never a half-upgraded one. A venv's scripts carry its path, so it cannot be built aside and renamed:
instead the file ``.complete`` is written last, and a lock file keeps two processes from building at the same time.

``python -m harness.backends.emulator_env`` builds it beforehand (``make emulator``), for machines that go offline later.

To make the lock again, for another version of MiniStack, in this folder::

    printf 'ministack==1.5.33\\nuvicorn\\nuvloop\\nhttptools\\n' | uv pip compile - --universal --python-version 3.11 \\
        --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file ministack.lock
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.core.errors import EXIT_PASS, EnvironmentFailure, SagastormError

LOCK: Final = Path(__file__).with_name("ministack.lock")
HOME_VARIABLE: Final = "SAGASTORM_EMULATOR_HOME"
BUILD_COMMAND: Final = "make emulator (python -m harness.backends.emulator_env)"

_STAMP: Final = ".sagastorm"
_MARKER: Final = ".complete"
_COMMAND_TIMEOUT_S: Final = 600.0
_OTHER_BUILDER_TIMEOUT_S: Final = 900.0
_OTHER_BUILDER_POLL_S: Final = 0.2
_TAIL_LINES: Final = 15

Progress = Callable[[str], None]
Install = Callable[[Path], None]


def to_stderr(line: str) -> None:
    """The progress function of the command line."""
    print(line, file=sys.stderr, flush=True)


async def ensure(progress: Progress = to_stderr) -> Path:
    """The emulator's interpreter; builds its environment where there is none yet (10 to 60 s, needs a package index).

    Raises ``EnvironmentFailure``.
    """
    return await asyncio.to_thread(ensure_at, home(os.environ), progress)


def home(environ: Mapping[str, str], lock: Path = LOCK) -> Path:
    """Where the environment belongs."""
    chosen = environ.get(HOME_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = Path(environ.get("XDG_CACHE_HOME", "").strip())
    root = cache if cache.is_absolute() else Path.home() / ".cache"  # the XDG rule: a relative path is ignored
    return root / "sagastorm" / f"ministack-{fingerprint(lock)[:12]}"


def fingerprint(lock: Path = LOCK) -> str:
    """What an environment was built from: another fingerprint is another environment."""
    release = ".".join(platform.python_version_tuple()[:2])
    built_with = f"{platform.python_implementation()} {release} {platform.machine()}"
    return hashlib.sha256(lock.read_bytes() + built_with.encode()).hexdigest()


def interpreter_of(target: Path) -> Path:
    return target / "bin" / "python"


def ensure_at(target: Path, progress: Progress, install: Install | None = None, lock: Path = LOCK) -> Path:
    """``ensure`` for a given folder. ``install`` replaces venv and pip, in tests."""
    wanted = fingerprint(lock)
    if not _is_complete(target, wanted):
        with _only_builder(target, progress):
            if not _is_complete(target, wanted):  # nobody finished it while we waited
                _build(target, wanted, progress, install or (lambda folder: _install(folder, lock)))
    return interpreter_of(target)


def _is_complete(target: Path, wanted: str) -> bool:
    try:
        built_from = (target / _MARKER).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    # The interpreter is a link to the one it was made with, which may have been uninstalled since.
    return built_from == wanted and os.access(interpreter_of(target), os.X_OK)


def _build(target: Path, wanted: str, progress: Progress, install: Install) -> None:
    progress(f"installing the embedded emulator (MiniStack) into {target}; this happens once")
    started_s = time.monotonic()
    try:
        _make_empty(target)
        install(target)
        (target / _MARKER).write_text(wanted + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailure(f"the embedded emulator cannot be installed into {target}: {error}") from error
    progress(f"installed the embedded emulator in {time.monotonic() - started_s:.0f} s")


def _make_empty(target: Path) -> None:
    """A folder that is not stamped as ours is never emptied: the variable may name one that somebody still needs."""
    stamp = target / _STAMP
    if target.exists():
        if not target.is_dir() or (any(target.iterdir()) and not stamp.exists()):
            raise EnvironmentFailure(
                f"{target} exists and is not an environment that sagastorm made, so it is left alone; "
                f"set {HOME_VARIABLE} to a folder that does not exist yet"
            )
        shutil.rmtree(target)
    target.mkdir(parents=True)
    stamp.write_text("Made by sagastorm, and emptied by it when its lock changes.\n", encoding="utf-8")


@contextmanager
def _only_builder(target: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock file beside ``target``. The system lets go of it even if this process is killed."""
    path = target.with_name(target.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        raise EnvironmentFailure(f"the embedded emulator cannot be installed into {target}: {error}") from error
    with handle:
        deadline_s = time.monotonic() + _OTHER_BUILDER_TIMEOUT_S
        told = False
        while not _try_lock(handle.fileno()):
            if not told:
                progress("another process is installing the embedded emulator; waiting for it")
                told = True
            if time.monotonic() > deadline_s:
                raise EnvironmentFailure(f"another process holds {path} for {_OTHER_BUILDER_TIMEOUT_S:.0f} s")
            time.sleep(_OTHER_BUILDER_POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _install(target: Path, lock: Path) -> None:
    _run([sys.executable, "-I", "-m", "venv", str(target)])
    pip = [str(interpreter_of(target)), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)])


def _run(command: Sequence[str], timeout_s: float = _COMMAND_TIMEOUT_S) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is for us: pip would make a failure of it
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or ""
        said = output.decode(errors="replace") if isinstance(output, bytes) else output
        raise _failure(f"was not done after {timeout_s:.0f} s", command, said) from error
    except OSError as error:
        raise _failure(f"did not start: {error}", command, "") from error
    if done.returncode != 0:
        raise _failure(f"failed (exit status {done.returncode})", command, done.stdout)


def _failure(what: str, command: Sequence[str], output: str) -> EnvironmentFailure:
    tail = output.strip().splitlines()[-_TAIL_LINES:]
    return EnvironmentFailure(
        "\n".join(
            [
                "the embedded emulator could not be installed.",
                f"`{' '.join(command)}` {what}:",
                *(f"    {line}" for line in tail),
                f"With a package index in reach, run: {BUILD_COMMAND}",
            ]
        )
    )


def main() -> int:
    """Build the environment and print the path of its interpreter. Returns an exit code."""
    try:
        print(ensure_at(home(os.environ), to_stderr))
    except SagastormError as error:
        to_stderr(f"error: {error}")
        return error.exit_code
    return EXIT_PASS


if __name__ == "__main__":
    sys.exit(main())
