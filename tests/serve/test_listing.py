"""The list of runs: everything is listed, whatever state it is in, and nothing hides the others."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.history import run_file
from harness.run.under_way import under_way
from harness.serve import listing
from harness.serve.listing import State, list_ablations, list_runs, look
from harness.serve.pages import runs_page
from tests.serve.saved import save


def page(runs: Path) -> str:
    listed, left_out = list_runs(runs)
    return runs_page(listed, left_out, [], "runs")


def test_runs_are_listed_with_their_figures_the_newest_first(tmp_path: Path) -> None:
    save(tmp_path, "older", started_at="2026-11-01T09:00:00+00:00")
    save(tmp_path, "a-newer", started_at="2026-11-02T09:00:00+00:00")
    listed, left_out = list_runs(tmp_path)
    assert [each.name for each in listed] == ["a-newer", "older"]
    assert left_out == 0
    assert {each.state for each in listed} == {State.ENDED}
    assert listed[0].blocks == ("orchestrated", "choreographed")
    text = page(tmp_path)
    for told in (
        "2026-11-02 09:00:00 UTC",
        "create-order",
        "orchestrated",
        "2 × 20 s",
        "12/s, seed 7",
        'value="older:2"',
    ):
        assert told in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no run here (no run.json)"),
        (b"{", "Input data was truncated"),
        (b"{}", "missing required field"),
        (b"\xff\xfe", "invalid"),
    ],
    ids=["no file", "cut short", "something else", "not text"],
)
def test_a_broken_folder_is_listed_with_the_reason_and_hides_no_other(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    save(tmp_path, "good")
    broken = tmp_path / "broken"
    broken.mkdir()
    if content is not None:
        (broken / "run.json").write_bytes(content)
    good, bad = list_runs(tmp_path)[0]
    assert (good.name, good.state) == ("good", State.ENDED)
    assert (bad.name, bad.state) == ("broken", State.UNREADABLE)
    assert reason in bad.note
    assert str(tmp_path) not in bad.note
    assert not bad.comparable
    assert "1 cannot be read" in page(tmp_path)


def test_a_run_of_another_version_is_listed_with_both_versions(tmp_path: Path) -> None:
    save(tmp_path, "old", schema="sagastorm.run/0")
    (old,) = list_runs(tmp_path)[0]
    assert old.note == f"run.json: schema 'sagastorm.run/0', this version reads '{run_file.SCHEMA}'"
    assert 'href="/runs/old"' in page(tmp_path)  # its report is a page like any other


def test_settings_that_contradict_themselves_are_a_reason_and_no_crash(tmp_path: Path) -> None:
    folder = save(tmp_path, "odd")
    file = run_file.load(folder)
    run_file.save(
        folder, msgspec.structs.replace(file, settings=msgspec.structs.replace(file.settings, interleave="AZ"))
    )
    assert look(folder).state is State.UNREADABLE


def test_a_run_under_way_is_listed_as_such_until_it_ends(tmp_path: Path) -> None:
    folder = save(tmp_path, "now", reported=False)
    with under_way(folder):
        (listed,) = list_runs(tmp_path)[0]
        assert (listed.state, listed.comparable) == (State.UNDER_WAY, False)
        assert 'name="pick"' not in page(tmp_path)
    assert look(folder).state is State.STOPPED


def test_a_run_that_has_only_begun_is_under_way_and_not_broken(tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    folder.mkdir()
    with under_way(folder):
        assert look(folder).state is State.UNDER_WAY


def test_a_run_that_was_killed_before_its_report_can_be_opened_and_compared(tmp_path: Path) -> None:
    save(tmp_path, "killed", reported=False)
    (listed,) = list_runs(tmp_path)[0]
    assert listed.state is State.STOPPED
    assert "ended before it was judged" in listed.note
    text = page(tmp_path)
    assert 'href="/runs/killed"' in text
    assert 'value="killed"' in text


def test_a_summary_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    folder = save(tmp_path, "one")
    (folder / "summary.json").write_text('{"topologies": 7}')
    assert look(folder).note.startswith("summary.json: ")


def test_a_summary_of_an_older_version_is_listed_without_what_it_lacks(tmp_path: Path) -> None:
    folder = save(tmp_path, "one")
    (folder / "summary.json").write_text('{"verdict": "odd", "topologies": {"orchestrated": {"gone": 1}}}')
    text = page(tmp_path)
    assert look(folder).state is State.ENDED
    assert '<td data-name="p50">-</td>' in text
    assert "odd" in text


def test_files_and_hidden_folders_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden").mkdir()
    assert list_runs(tmp_path) == ([], 0)
    assert "No runs here yet" in page(tmp_path)
    assert list_runs(tmp_path / "gone") == ([], 0)


def test_more_runs_than_a_page_holds_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_LISTED", 2)
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    listed, left_out = list_runs(tmp_path)
    assert [each.name for each in listed] == ["3", "2"]
    assert left_out == 1
    assert "1 older ones are not listed" in page(tmp_path)


def test_names_and_notes_cannot_become_markup(tmp_path: Path) -> None:
    name = '"><script>alert(1)<'
    save(tmp_path, name, storm={"name": name, "faults": []}, commit=name)
    text = page(tmp_path)
    assert "alert(1)" in text
    assert "<script>alert" not in text


def test_ablations_are_found_below_other_folders_and_broken_ones_are_told(tmp_path: Path) -> None:
    for name in ("one", "many/two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "ablation.json").write_text("{}")
    (tmp_path / "none").mkdir()
    listed = list_ablations(tmp_path)
    assert sorted(each.name for each in listed) == ["many/two", "one"]
    assert all("missing required field" in each.note for each in listed)
    text = runs_page([], 0, listed, "runs")
    assert "many/two" in text
    assert 'href="/ablations' not in text
