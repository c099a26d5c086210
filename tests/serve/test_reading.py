"""Saved runs are read once, anew when they changed, and stay as they are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.core.errors import RunNotFound
from harness.history import run_file
from harness.report.model import Report
from harness.serve import reading
from harness.serve.reading import Reader
from tests.serve.saved import save


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were really read, in turn."""
    names: list[str] = []
    read = reading.read_copy

    def counted(folder: Path) -> Report:
        names.append(folder.name)
        return read(folder)

    monkeypatch.setattr(reading, "read_copy", counted)
    return names


def test_a_run_is_read_once_and_anew_when_it_changed(tmp_path: Path, reads: list[str]) -> None:
    folder, reader = save(tmp_path, "one"), Reader()
    assert reader.report(folder) is reader.report(folder)
    run_file.save(folder, msgspec.structs.replace(run_file.load(folder), commit="another"))
    assert reader.report(folder).run.commit == "another"
    assert reads == ["one", "one"]


def test_what_was_asked_for_longest_ago_makes_room(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = save(tmp_path, "one"), save(tmp_path, "two")
    reader = Reader()
    arrivals = sum(len(data.sagas) for data in reader.report(one).data.blocks)
    monkeypatch.setattr(reading, "MOST_KEPT", arrivals)
    for folder in (two, two, one):
        reader.report(folder)
    assert reads == ["one", "two", "one"]


def test_what_a_killed_run_left_in_its_spool_is_read_and_left_there(tmp_path: Path) -> None:
    folder = save(tmp_path, "killed", reported=False)
    spooled = next((folder / "spool" / "0").glob("load-*.jsonl"))
    with spooled.open("ab") as spool:
        spool.write(b'{"type":"event","t_s":1.0,"what":"told in the spool only"}\n')
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    events = [event.what for event in reading.read_copy(folder).data.blocks[0].events]
    assert "told in the spool only" in events
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_run_without_records_is_an_error_that_names_its_folder_only(tmp_path: Path) -> None:
    folder = save(tmp_path, "empty")
    (folder / "history.sqlite").unlink()
    with pytest.raises(RunNotFound, match=r"^empty: this run has no history.sqlite$"):
        reading.read_copy(folder)
