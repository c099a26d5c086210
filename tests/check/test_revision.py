"""What git is asked, and what it is not let do."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.check.revision import Repository, repository
from harness.core.errors import EnvironmentFailure, UsageError
from tests.check.repositories import commit, git


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, a__txt="1")
    found = repository(tmp_path)
    assert found
    return found


def test_a_folder_below_is_of_the_same_repository_and_its_files_are_found_below_it(here: Repository) -> None:
    (here.root / "shop").mkdir()
    (here.root / "shop" / "b.lock").write_text("", encoding="utf-8")
    second = commit(here.root)
    below = repository(here.root / "shop")
    assert below
    assert below.folder == Path("shop")
    assert below.has(second, "b.lock")
    assert not below.has(second, "a.txt")
    assert not here.has(second, "b.lock")


def test_names_of_revisions_are_commits_and_unknown_ones_are_refused(here: Repository) -> None:
    first = git(here.root, "rev-parse", "HEAD")
    git(here.root, "tag", "-a", "v1", "--message", "a tag is an object of its own")
    second = commit(here.root, a__txt="2")
    assert [here.commit(ref) for ref in ("v1", "HEAD~1", first[:12], "main")] == [first, first, first, second]
    for ref in ("no-such", "--all", "", "HEAD:a.txt"):
        with pytest.raises(UsageError, match="fetch-depth"):
            here.commit(ref)


def test_what_was_changed_is_part_of_the_state_and_of_what_git_does_not_track_only_code(here: Repository) -> None:
    clean = here.state()
    assert clean == git(here.root, "rev-parse", "HEAD")
    (here.root / "untracked.txt").write_text("x", encoding="utf-8")
    assert here.state() == clean
    (here.root / "a.txt").write_text("changed", encoding="utf-8")
    changed = here.state()
    (here.root / "a.txt").write_text("changed again", encoding="utf-8")
    states = {clean, changed, here.state()}
    (here.root / "shop").mkdir()
    for code in ("x = 1", "x = 2"):
        (here.root / "shop" / "new.py").write_text(code, encoding="utf-8")
        states.add(here.state())
    assert len(states) == 5
    last = here.state()
    for hidden in (".cache/lib/module.py", "shop/.#new.py"):
        (here.root / hidden).parent.mkdir(parents=True, exist_ok=True)
        (here.root / hidden).symlink_to("nowhere")
    (here.root / ".cache" / "tool.py").write_text("x = 3", encoding="utf-8")
    assert here.state() == last


def test_where_there_is_no_repository_or_no_commit_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert repository(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert repository(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert repository(tmp_path) is None


def test_in_a_hook_the_folder_counts_and_not_what_git_says_of_the_hooks_repository(
    here: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))
    assert repository(here.root) == here
    assert here.state() == here.commit("HEAD")


def test_a_command_that_fails_says_what_git_said(here: Repository) -> None:
    with pytest.raises(EnvironmentFailure, match=r"git show nothing: .*nothing"):
        here.git("show", "nothing")
