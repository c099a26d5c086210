"""What git knows of the folder that is checked: which revision it holds, and which one is its base."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import EnvironmentFailure, Problem, UsageError

GIT_TIMEOUT_S = 60.0
# In a hook, git says by these where the repository is, whatever folder a command is run in.
SAID_BY_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@dataclass(frozen=True)
class Repository:
    """A work tree, and the folder in it that is checked."""

    root: Path
    folder: Path
    """Below the root; ``.`` where it is the root."""

    def git(self, *arguments: str) -> str:
        """What a command prints. Raises ``EnvironmentFailure`` where it fails."""
        try:
            done = _git(self.root, *arguments)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentFailure(f"git {arguments[0]}: {error}") from error
        if done.returncode:
            raise EnvironmentFailure(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def attempt(self, *arguments: str) -> bool:
        """Whether a command that may well fail did not."""
        return not _git(self.root, *arguments).returncode

    def commit(self, ref: str) -> str:
        """The commit that ``ref`` names. Raises :class:`~harness.core.errors.UsageError` where git knows none."""
        done = _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if done.returncode:
            known = (
                "a revision that git knows here; in a shallow clone, fetch it first (actions/checkout: fetch-depth: 0)"
            )
            raise UsageError([Problem("--base", ref, known)])
        return done.stdout.strip()

    def has(self, commit: str, path: str) -> bool:
        """Whether the revision has this file, by its path below the folder that is checked."""
        inside = (self.folder / path).as_posix()
        return self.attempt("cat-file", "-e", f"{commit}:{inside}")

    def state(self) -> str:
        """The commit that is checked out; with a digest of what was changed since, if anything was.

        Of files that git was not told of, those of Python count, but for hidden ones: others may be what a check itself has left,
        and a cache may lie in the tree.
        """
        commit = self.git("rev-parse", "HEAD")
        changes = self.git("diff", "--binary", "--no-ext-diff", "HEAD")
        new = self.git("ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--", ":/*.py").split("\0")
        for name in new:
            if not (self.root / name).is_file() or any(part.startswith(".") for part in Path(name).parts):
                continue
            changes += f"{name}\0{hashlib.sha256((self.root / name).read_bytes()).hexdigest()}"
        return f"{commit}-dirty-{hashlib.sha256(changes.encode()).hexdigest()[:12]}" if changes else commit


def repository(folder: Path) -> Repository | None:
    """The one that the folder lies in; none where there is no git or no commit yet."""
    try:
        root, commit = _git(folder, "rev-parse", "--show-toplevel"), _git(folder, "rev-parse", "--verify", "HEAD")
    except (OSError, subprocess.TimeoutExpired):
        return None
    if root.returncode or commit.returncode:
        return None
    top = Path(root.stdout.strip())
    return Repository(top, folder.resolve().relative_to(top.resolve()))


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name not in SAID_BY_HOOKS}
    return subprocess.run(
        # The hooks of a repository are for what a person checks out in it.
        ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],
        cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=GIT_TIMEOUT_S, check=False,
    )  # fmt: skip
