"""An environment that an emulator runs in: a folder made once from lock files, then reused.

It lies in the folder that its variable names, else at ``$XDG_CACHE_HOME/sagastorm/<name>-<fingerprint>`` (and in
``~/.cache`` where that is not set either). The fingerprint covers the locks and the interpreter's version, so a changed
lock makes a new environment and never a half-upgraded one. A venv's scripts carry its path, so it cannot be built aside
and renamed: instead the file ``.complete`` is written last, and a lock file keeps two processes from building at once.
"""

from __future__ import annotations

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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.core.errors import EnvironmentFailure

_STAMP: Final = ".sagastorm"
_MARKER: Final = ".complete"
_COMMAND_TIMEOUT_S: Final = 600.0
_OTHER_BUILDER_TIMEOUT_S: Final = 900.0
_OTHER_BUILDER_POLL_S: Final = 0.2
_TAIL_LINES: Final = 15
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

Progress = Callable[[str], None]
Install = Callable[[Path], None]


def to_stderr(line: str) -> None:
    """The progress function of the command line."""
    print(line, file=sys.stderr, flush=True)


def inherited(ours: Mapping[str, str]) -> dict[str, str]:
    """All that an emulator gets of our variables: a stray AUTH, SERVICES or SFN_MOCK_CONFIG would quietly make it another."""
    return {name: ours[name] for name in _INHERITED if name in ours}


def interpreter_of(target: Path) -> Path:
    return target / "bin" / "python"


def this_interpreter() -> str:
    """As in a fingerprint: what of an interpreter decides which files its packages have."""
    release = ".".join(platform.python_version_tuple()[:2])
    return f"{platform.python_implementation()} {release} {platform.machine()}"


@dataclass(frozen=True)
class Environment:
    """One kind of environment: what it is called, and what it is made from."""

    what: str
    """To the user: ``the embedded emulator``."""
    name: str
    """Of its folder in the cache."""
    home_variable: str
    build_command: str
    locks: tuple[Path, ...]
    built_with: str
    """The interpreter, see :func:`this_interpreter`."""

    def home(self, environ: Mapping[str, str]) -> Path:
        """Where it belongs."""
        chosen = environ.get(self.home_variable, "").strip()
        if chosen:
            return Path(chosen).expanduser().absolute()
        cache = Path(environ.get("XDG_CACHE_HOME", "").strip())
        root = cache if cache.is_absolute() else Path.home() / ".cache"  # the XDG rule: a relative path is ignored
        return root / "sagastorm" / f"{self.name}-{self.fingerprint()[:12]}"

    def fingerprint(self) -> str:
        """What it is built from: another fingerprint is another environment."""
        contents = b"".join(lock.read_bytes() for lock in self.locks)
        return hashlib.sha256(contents + self.built_with.encode()).hexdigest()

    def is_complete(self, target: Path) -> bool:
        """Whether it stands at ``target``, from these very locks."""
        try:
            built_from = (target / _MARKER).read_text(encoding="utf-8").strip()
        except OSError:
            return False
        # The interpreter is a link to the one it was made with, which may have been uninstalled since.
        return built_from == self.fingerprint() and os.access(interpreter_of(target), os.X_OK)

    def ensure_at(self, target: Path, progress: Progress, install: Install) -> Path:
        """Its interpreter; ``install`` fills the empty folder where it does not stand yet.

        Raises ``EnvironmentFailure``.
        """
        if not self.is_complete(target):
            with self._only_builder(target, progress):
                if not self.is_complete(target):  # nobody finished it while we waited
                    self._build(target, progress, install)
        return interpreter_of(target)

    def make_venv(self, target: Path, python: str, lock: Path, *, from_source: Sequence[str] = ()) -> None:
        """A virtual environment of ``python`` with what ``lock`` pins: wheels, but for the packages that have none."""
        self.run([python, "-I", "-m", "venv", str(target)])
        pip = [str(interpreter_of(target)), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        source = ["--no-binary", ",".join(from_source)] if from_source else []
        self.run([*pip, "install", "--require-hashes", "--only-binary", ":all:", *source, "--requirement", str(lock)])

    def run(self, command: Sequence[str], timeout_s: float = _COMMAND_TIMEOUT_S, cwd: Path | None = None) -> None:
        """One command of an installation; ``EnvironmentFailure`` with the end of its output where it fails."""
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
                cwd=cwd,
            )
        except subprocess.TimeoutExpired as error:
            output = error.stdout or ""
            said = output.decode(errors="replace") if isinstance(output, bytes) else output
            raise self._failure(f"was not done after {timeout_s:.0f} s", command, said) from error
        except OSError as error:
            raise self._failure(f"did not start: {error}", command, "") from error
        if done.returncode != 0:
            raise self._failure(f"failed (exit status {done.returncode})", command, done.stdout)

    def _failure(self, what: str, command: Sequence[str], output: str) -> EnvironmentFailure:
        tail = output.strip().splitlines()[-_TAIL_LINES:]
        return EnvironmentFailure(
            "\n".join(
                [
                    f"{self.what} could not be installed.",
                    f"`{' '.join(command)}` {what}:",
                    *(f"    {line}" for line in tail),
                    f"With a package index in reach, run: {self.build_command}",
                ]
            )
        )

    def _build(self, target: Path, progress: Progress, install: Install) -> None:
        progress(f"installing {self.what} into {target}; this happens once")
        started_s = time.monotonic()
        try:
            self._make_empty(target)
            install(target)
            (target / _MARKER).write_text(self.fingerprint() + "\n", encoding="utf-8")
        except OSError as error:
            raise EnvironmentFailure(f"{self.what} cannot be installed into {target}: {error}") from error
        progress(f"installed {self.what} in {time.monotonic() - started_s:.0f} s")

    def _make_empty(self, target: Path) -> None:
        """A folder that is not stamped as ours is never emptied: the variable may name one that somebody still needs."""
        stamp = target / _STAMP
        if target.exists():
            if not target.is_dir() or (any(target.iterdir()) and not stamp.exists()):
                raise EnvironmentFailure(
                    f"{target} exists and is not an environment that sagastorm made, so it is left alone; "
                    f"set {self.home_variable} to a folder that does not exist yet"
                )
            shutil.rmtree(target)
        target.mkdir(parents=True)
        stamp.write_text("Made by sagastorm, and emptied by it when its lock changes.\n", encoding="utf-8")

    @contextmanager
    def _only_builder(self, target: Path, progress: Progress) -> Iterator[None]:
        """Hold the lock file beside ``target``. The system lets go of it even if this process is killed."""
        path = target.with_name(target.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        except OSError as error:
            raise EnvironmentFailure(f"{self.what} cannot be installed into {target}: {error}") from error
        with handle:
            deadline_s = time.monotonic() + _OTHER_BUILDER_TIMEOUT_S
            told = False
            while not _try_lock(handle.fileno()):
                if not told:
                    progress(f"another process is installing {self.what}; waiting for it")
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
