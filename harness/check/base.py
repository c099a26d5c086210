"""The base revision, made to run beside this one: a work tree and an environment of its own, both outside of ours.

They lie in the cache, by commit: ``$SAGASTORM_BASE_HOME`` or ``$XDG_CACHE_HOME/sagastorm``, in ``base-<commit>/``. The
environment stays for the next check of that base (the last few do); the work tree goes when the check ends, however it does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.backends.environment import Environment, interpreter_of, this_interpreter
from harness.check.revision import SAID_BY_HOOKS, Repository
from harness.core.errors import EnvironmentFailure

HOME_VARIABLE = "SAGASTORM_BASE_HOME"
MOST_KEPT = 3
"""Environments of bases; each takes some hundred megabytes, and a base that moves on makes one a day."""
_IN_USE = "in-use.lock"
# What would lead the base's interpreter to this revision's code, and its git to this work tree.
_LEADS_ASTRAY = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", *SAID_BY_HOOKS)


@dataclass(frozen=True)
class Revision:
    """How to run ``sagastorm`` as it is in one revision."""

    name: str
    command: tuple[str, ...]
    folder: Path
    """Where it is run: its ``sagastorm.toml`` and its files are its own."""
    without: tuple[str, ...] = ()
    """Variables that it does not get."""

    def environ(self, ours: Mapping[str, str]) -> dict[str, str]:
        """The variables of its runs."""
        return {name: value for name, value in ours.items() if name not in self.without}


def this_revision(folder: Path) -> Revision:
    """The one that runs now. Not what the folder happens to call ``harness``: it may be anybody's."""
    return Revision("this revision", (sys.executable, "-P", "-m", "harness.cli.main"), folder)


@contextmanager
def base_revision(
    repository: Repository, commit: str, lock: str, environ: Mapping[str, str], progress: Callable[[str], None]
) -> Iterator[Revision]:
    """The base while it is needed. ``lock`` is its lock file, with hashes, below the folder that is checked.

    Raises ``EnvironmentFailure`` where it cannot be built, or somebody else is using it.
    """
    home = _home(environ) / f"base-{commit[:12]}"
    tree = home / "tree"
    with _alone(home):
        _forget_old(home)
        try:
            _check_out(repository, commit, tree)
            folder = tree / repository.folder
            venv = _environment(commit, folder / lock, home).ensure_at(
                home / "venv", progress, lambda target: _install(target, commit, folder / lock, folder)
            )
            yield Revision(f"base {commit[:12]}", (str(venv.with_name("sagastorm")),), folder, _LEADS_ASTRAY)
        finally:
            _remove(repository, tree)


def _home(environ: Mapping[str, str]) -> Path:
    if chosen := environ.get(HOME_VARIABLE, "").strip():
        return Path(chosen).expanduser().absolute()
    cache = Path(environ.get("XDG_CACHE_HOME", "").strip())
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "sagastorm"


def _environment(commit: str, lock: Path, home: Path) -> Environment:
    return Environment(
        what=f"the base revision {commit[:12]}",
        name=home.name,
        home_variable=HOME_VARIABLE,
        build_command=f"sagastorm check --base {commit[:12]}",
        locks=(lock,),
        built_with=this_interpreter(),
    )


def _install(target: Path, commit: str, lock: Path, project: Path) -> None:
    """What its lock pins; then itself, where it is a package, with the build backend that its lock pins as well."""
    environment = _environment(commit, lock, target.parent)
    environment.run([sys.executable, "-I", "-m", "venv", str(target)])
    pip = [str(interpreter_of(target)), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    environment.run([*pip, "--require-hashes", "--requirement", str(lock)])
    if _is_package(project / "pyproject.toml"):
        environment.run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(project)])
    if not os.access(target / "bin" / "sagastorm", os.X_OK):
        raise EnvironmentFailure(f"the base revision {commit[:12]} has no sagastorm: {lock.name} does not bring it")


def _is_package(pyproject: Path) -> bool:
    try:
        return "build-system" in tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(f"{pyproject}: {error}") from error


def _check_out(repository: Repository, commit: str, tree: Path) -> None:
    _remove(repository, tree)  # of a check that was killed
    repository.git("worktree", "add", "--force", "--detach", str(tree), commit)


def _remove(repository: Repository, tree: Path) -> None:
    # Not by pruning, which would forget other work trees too, such as those on a disk that is not mounted now.
    repository.attempt("worktree", "remove", "--force", "--force", str(tree))
    shutil.rmtree(tree, ignore_errors=True)  # of another clone of the repository, which was killed


def _forget_old(home: Path) -> None:
    """Remove the environments of other bases, but for those that were used last."""
    others = [path for path in home.parent.glob("base-*") if path != home and (path / _IN_USE).is_file()]
    others.sort(key=lambda path: (path / _IN_USE).stat().st_mtime, reverse=True)
    for old in others[MOST_KEPT - 1 :]:
        with suppress(EnvironmentFailure), _alone(old):
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the base for this check; the system lets go of it even if this process is killed."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle = (home / _IN_USE).open("w")
    except OSError as error:
        raise EnvironmentFailure(f"the base revision cannot be built in {home}: {error}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentFailure(
                f"another check uses the base in {home}; {HOME_VARIABLE} names another place"
            ) from None
        yield
