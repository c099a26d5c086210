"""A base revision is built beside ours, from its own files, and leaves nothing in our tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.backends.environment import Environment
from harness.check.base import HOME_VARIABLE, MOST_KEPT, Revision, base_revision, this_revision
from harness.check.revision import repository
from harness.core.errors import EnvironmentFailure
from tests.check.conftest import Built
from tests.check.repositories import commit, git

Enter = Callable[[], AbstractContextManager[Revision]]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def enter(built: Built, said: list[str]) -> Enter:
    environ = {HOME_VARIABLE: str(built.cache)}
    return lambda: base_revision(built.here, built.base, "requirements.lock", environ, said.append)


def test_a_base_is_checked_out_and_installed_as_it_is_there(built: Built, enter: Enter) -> None:
    here, base = built.here, built.base
    with enter() as revision:
        assert (revision.folder / "slower.txt").read_text(encoding="utf-8") == "1.0"
        assert git(revision.folder, "rev-parse", "HEAD") == base
        assert 'MADE_UP_SLOWER="1.0"' in Path(revision.command[0]).read_text(encoding="utf-8")
        assert not revision.folder.is_relative_to(here.root)
        assert revision.name == f"base {base[:12]}"


def test_its_environment_is_made_once_and_stays_and_its_work_tree_goes(
    built: Built, enter: Enter, said: list[str]
) -> None:
    here = built.here
    with enter() as revision:
        pass
    assert said == []
    assert Path(revision.command[0]).is_file()
    assert not revision.folder.exists()
    assert len(git(here.root, "worktree", "list").splitlines()) == 1
    assert git(here.root, "status", "--porcelain") == ""


def test_the_work_tree_goes_when_a_person_wants_no_more(built: Built, enter: Enter) -> None:
    with pytest.raises(KeyboardInterrupt), enter() as revision:
        raise KeyboardInterrupt
    assert not revision.folder.exists()
    assert len(git(built.here.root, "worktree", "list").splitlines()) == 1


def test_a_work_tree_that_a_killed_check_has_left_is_replaced(built: Built, enter: Enter) -> None:
    tree = built.cache / f"base-{built.base[:12]}" / "tree"
    git(built.here.root, "worktree", "add", "--detach", str(tree), "HEAD")
    with enter() as revision:
        assert (revision.folder / "slower.txt").read_text(encoding="utf-8") == "1.0"


def test_a_second_check_of_the_same_base_is_told_to_go_elsewhere(enter: Enter) -> None:
    with enter(), pytest.raises(EnvironmentFailure, match=HOME_VARIABLE), enter():
        pass


def test_of_the_environments_of_other_bases_only_those_used_last_are_kept_and_nothing_that_is_not_ours(
    built: Built, enter: Enter
) -> None:
    homes = [built.cache / f"base-{number}" for number in range(MOST_KEPT + 1)]
    for age, home in enumerate(homes):
        home.mkdir()
        (home / "in-use.lock").touch()
        os.utime(home / "in-use.lock", (1e9 - age, 1e9 - age))
    (built.cache / "base-not-ours").mkdir()
    with enter():
        kept = {path.name for path in built.cache.glob("base-*")}
    assert kept == {f"base-{built.base[:12]}", "base-not-ours", *(home.name for home in homes[: MOST_KEPT - 1])}


def test_hooks_of_the_repository_do_not_run(built: Built, enter: Enter) -> None:
    hook = built.here.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n", encoding="utf-8")
    hook.chmod(0o755)
    with enter() as revision:
        assert not (revision.folder / "hooked").exists()


def test_a_base_does_not_get_the_variables_that_lead_to_this_revisions_code(enter: Enter, tmp_path: Path) -> None:
    ours = {"PYTHONPATH": "ours", "VIRTUAL_ENV": "ours", "SAGASTORM_WORKERS": "2"}
    with enter() as revision:
        assert revision.environ(ours) == {"SAGASTORM_WORKERS": "2"}
    assert this_revision(tmp_path).environ(ours) == ours


def test_this_revision_is_the_one_that_runs_and_not_what_a_folder_calls_by_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("raise SystemExit(9)", encoding="utf-8")
    revision = this_revision(tmp_path)
    done = subprocess.run([*revision.command, "storms"], cwd=revision.folder, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"calm" in done.stdout


def test_a_base_that_brings_no_sagastorm_is_a_failure_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(_: Environment, command: list[str]) -> None:
        assert "venv" in command or Path(command[-1]).name == "requirements.lock"

    monkeypatch.setattr(Environment, "run", ran)
    git(tmp_path, "init", "--quiet")
    bare = commit(tmp_path, requirements__lock="# nothing\n")
    here = repository(tmp_path)
    assert here
    environ = {HOME_VARIABLE: str(tmp_path / "cache")}
    with (
        pytest.raises(EnvironmentFailure, match="has no sagastorm"),
        base_revision(here, bare, "requirements.lock", environ, lambda _: None),
    ):
        pass
    assert len(git(tmp_path, "worktree", "list").splitlines()) == 1
