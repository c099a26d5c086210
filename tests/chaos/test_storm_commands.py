"""``sagastorm storms`` and ``sagastorm storm show``, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.storm import shipped
from harness.cli import main as command_line
from harness.core.errors import EXIT_PASS, EXIT_USAGE


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """80 columns, in a folder without settings."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def sagastorm(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the command; none is 0."""
    monkeypatch.setattr("sys.argv", ["sagastorm", *arguments])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or EXIT_PASS)


def test_shipped_storms_are_listed_with_what_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "storms") == EXIT_PASS
    lines = capsys.readouterr().out.splitlines()
    named = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert named == shipped()
    assert all(len(line.rstrip()) <= 80 for line in lines)


def test_storm_is_drawn_over_the_length_of_load_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "storm", "show", "default", "--duration", "60", "--rate", "50") == EXIT_PASS
    drawn = capsys.readouterr().out
    assert "60 s\n" in drawn
    assert "overload (actions_per_s: 40): payment" in drawn
    assert all(len(line) <= 80 for line in drawn.splitlines())


def test_storm_file_is_told_all_that_is_wrong_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text('[[fault]]\nname = "f"\nkind = "hail"\nsagas = 7\n', encoding="utf-8")
    assert sagastorm(monkeypatch, "storm", "show", "bad.toml") == EXIT_USAGE
    told = capsys.readouterr().err
    assert "2 problems" in told
    assert "fault[0].kind: 'hail'" in told
    assert "fault[0].sagas: 7" in told
