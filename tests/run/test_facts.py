"""What a run says about the code and the machine that it was made with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psutil
import pytest

from harness.run import facts


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which sagastorm's own code seems to lie."""
    monkeypatch.setattr(facts, "__file__", str(tmp_path / "harness" / "run" / "facts.py"))
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_outside_a_checkout_there_is_no_commit(checkout: Path) -> None:
    assert facts.commit() is None


def test_checkout_that_git_cannot_read_has_no_commit(checkout: Path) -> None:
    (checkout / ".git").mkdir()
    assert facts.commit() is None


def test_commit_is_the_revision_and_says_whether_it_was_changed_since(checkout: Path) -> None:
    file = checkout / "code.py"
    file.write_text("1\n", encoding="utf-8")
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "first")
    clean = facts.commit()
    assert clean is not None
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (checkout / "untracked.txt").write_text("", encoding="utf-8")
    assert facts.commit() == clean
    file.write_text("2\n", encoding="utf-8")
    assert facts.commit() == f"{clean}-dirty"


def test_versions_name_what_the_figures_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "PACKAGES", ("aioboto3", "no-such-package-anywhere"))
    found = facts.versions()
    assert found["aioboto3"] == "15.5.0"
    assert found["no-such-package-anywhere"] == "not installed"
    assert re.match(r"3\.\d+", found["python"])


def test_machine_is_described_and_not_named() -> None:
    found = facts.machine()
    assert found["cores"] in range(1, (psutil.cpu_count() or 1) + 1)
    assert found["memory_mib"] == psutil.virtual_memory().total // 2**20
    assert not {"host", "hostname", "node", "user"} & found.keys()
