"""The table of an ablation whose runs are saved: what is read, what is told, and what is said of what is missing."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from harness.ablation import markdown
from harness.ablation.cells import EVERYTHING_ON, Cell
from harness.ablation.change import Mark
from harness.ablation.plan import begin, trials
from harness.ablation.table import Row, Table, read_table
from harness.ablation.terminal import print_table
from harness.ablation.wording import DOES_NOT_APPLY, NO_DIFFERENCE, changes, untold
from tests.ablation.small import CELLS, charged_twice, forgotten, plan, saved_ablation, saved_run

SWEEPER = Cell({"sweeper": "off"})


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Two rounds: who has no idempotency charges twice, who has no sweeper forgets sagas, no timeout changes nothing."""
    asked = plan((*CELLS, SWEEPER), rounds=2)
    folder = tmp_path_factory.mktemp("ablation")
    return read_table(saved_ablation(folder, asked, {"idempotency=none": charged_twice, "sweeper=off": forgotten}))


def row(table: Table, cell: str, topology: str = "orchestrated") -> Row:
    found = table.row(topology, cell)
    assert found is not None
    return found


def printed(table: Table, width: int = 140) -> str:
    file = StringIO()
    print_table(Console(file=file, width=width, _environ={}), table)
    return file.getvalue()


def test_there_is_a_row_for_every_cell_in_both_topologies(table: Table) -> None:
    assert list(table.topologies) == ["orchestrated", "choreographed"]
    for rows in table.topologies.values():
        assert [each.cell.name for each in rows] == [
            EVERYTHING_ON, "idempotency=none", "step-timeout=off", "sweeper=off",
        ]  # fmt: skip
        assert all(each.blocks == 2 for each in rows)


def test_every_run_is_told_of_once(table: Table) -> None:
    assert sorted((each.cell.name, each.round) for each in table.outcomes) == sorted(
        (cell.name, round_) for cell in (*CELLS, SWEEPER) for round_ in range(2)
    )


def test_everything_on_is_held_against_nothing(table: Table) -> None:
    base = row(table, EVERYTHING_ON)
    assert base.changes == {}
    assert base.anomalies == {}
    assert base.figures["zombies"] == 0
    assert isinstance(base.figures["completion p99"], float)


def test_an_anomaly_that_came_with_the_removal_is_new_and_named(table: Table) -> None:
    without = row(table, "idempotency=none")
    assert without.anomalies is not None
    assert without.anomalies["effect-twice"] == 5
    change = without.changes["effect-twice"]
    assert (change.mark, change.base, change.other, change.amount) == (Mark.NEW, 0, 5, 5)


def test_sagas_that_are_lost_are_zombies_with_an_interval(table: Table) -> None:
    change = row(table, "sweeper=off").changes["zombies"]
    assert change.mark is Mark.NEW
    assert change.low is not None
    assert change.low > 0


def test_what_means_nothing_in_a_topology_is_said_so_there_and_compared_elsewhere(table: Table) -> None:
    assert not row(table, "step-timeout=off", "choreographed").applies
    assert row(table, "step-timeout=off", "choreographed").changes == {}
    assert row(table, "step-timeout=off").changes != {}
    told = {name: text for name, _, text, *_ in changes(table, "choreographed")}
    assert told["step-timeout=off"] == DOES_NOT_APPLY


def test_a_removal_that_changed_nothing_is_said_to_have_changed_nothing(table: Table) -> None:
    told = {name: text for name, _, text, *_ in changes(table, "orchestrated")}
    assert told["step-timeout=off"] == NO_DIFFERENCE


def test_the_worst_comes_first_and_everything_that_is_marked_is_shown(table: Table) -> None:
    shown = [(mark, measure) for _, mark, measure, *_ in changes(table, "orchestrated")]
    assert ("new", "effect-twice") in shown
    assert ("new", "zombies") in shown


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_shows_cells_figures_and_differences(table: Table, width: int) -> None:
    text = printed(table, width)
    for needed in ("everything on", "seed 7", "effect-twice", "no measurable", "by chance"):
        assert needed in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width


def test_markdown_has_the_same_rows_and_no_cell_of_text_can_end_one(table: Table) -> None:
    text = markdown.render(table)
    lines = [line for line in text.splitlines() if line.startswith("| sweeper=off ")]
    assert len(lines) == 4
    assert {line.count(" | ") for line in lines} == {
        len(markdown.FIGURE_HEADINGS) - 1,
        len(markdown.CHANGE_HEADINGS) - 1,
    }


def test_the_table_survives_its_file(table: Table) -> None:
    assert msgspec.json.decode(msgspec.json.encode(table), type=Table) == table


def test_one_round_has_no_intervals_of_what_is_no_sagas_own_and_says_so(tmp_path: Path) -> None:
    one = read_table(saved_ablation(tmp_path, plan((Cell(), SWEEPER)), {"sweeper=off": forgotten}))
    without = row(one, "sweeper=off")
    assert (without.changes["goodput in the storm"].mark, without.changes["goodput in the storm"].low) == (
        Mark.NO_INTERVAL,
        None,
    )
    assert without.changes["completion p50"].low is not None
    (line,) = untold(one, "orchestrated")
    assert "one round, so no interval: " in line
    assert "goodput in the storm" in line


def test_a_cell_that_was_not_measured_is_shown_with_the_reason(tmp_path: Path) -> None:
    asked = plan(CELLS[:2])
    begin(asked, tmp_path)
    base, failed = trials(asked, tmp_path)
    saved_run(base.folder, base.settings)
    failed.folder.mkdir(parents=True)
    failed.failure_path.write_text("no port is free\n", encoding="utf-8")
    table = read_table(tmp_path)
    assert row(table, "idempotency=none").figures["zombies"] is None
    assert "not measured: no port is free" in " ".join(printed(table).split())


def test_an_ablation_that_has_only_begun_is_a_table_without_figures(tmp_path: Path) -> None:
    begin(plan(), tmp_path)
    table = read_table(tmp_path)
    assert {outcome.reason for outcome in table.outcomes} == {"not run yet"}
    assert "not run yet" in printed(table)
