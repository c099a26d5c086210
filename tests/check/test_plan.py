"""The matrix in ``gates.toml``, and the runs that it becomes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.check.plan import Matrix, Plan, Side, begin, make, mitigations_asked, read_matrix, seconds, trials
from harness.core.errors import RunNotFound, UsageError
from harness.gate.read import read_gates
from tests.check.small import CALM, STORMY, cell, plan


def problems_of(error: pytest.ExceptionInfo[UsageError]) -> list[str]:
    return [problem.field for problem in error.value.problems]


def test_everything_that_is_wrong_with_the_matrix_is_told_at_once_and_the_nearest_key_is_named() -> None:
    with pytest.raises(UsageError) as error:
        read_matrix({"storm": ["calm"], "sagas": [], "rate": "fast", "topologies": ["a", "a"]})
    assert set(problems_of(error)) == {"check.storm", "check.sagas", "check.rate", "check.topologies"}
    assert "storms is meant?" in str(error.value)


def test_a_matrix_that_says_nothing_is_what_a_run_does_by_itself() -> None:
    assert read_matrix({}) == Matrix()
    with pytest.raises(UsageError):
        read_matrix(["calm"])


@pytest.mark.parametrize(
    ("text", "value_s"), [(90, 90.0), ("90s", 90.0), ("8m", 480.0), ("1.5h", 5400.0), (" 20 ", 20)]
)
def test_times_are_read_with_and_without_a_unit(text: float | str, value_s: float) -> None:
    assert seconds("--budget", text) == value_s


@pytest.mark.parametrize("text", ["", "m", "-5s", "0", "8 minutes", "nan", "9999h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="8m"):
        seconds("--budget", text)


def test_two_sides_and_several_cells_take_turns_and_every_second_repeat_goes_backwards(tmp_path: Path) -> None:
    asked = plan(CALM, STORMY, base="b" * 40)
    first, second = ([(t.flags["storm"], t.side) for t in trials(asked, tmp_path, repeat)] for repeat in (0, 1))
    assert first == [("calm", Side.BASE), ("calm", Side.HEAD), ("default", Side.BASE), ("default", Side.HEAD)]
    assert second == first[::-1]
    assert len({t.folder for repeat in (0, 1) for t in trials(asked, tmp_path, repeat)}) == 8


def test_every_second_repeat_goes_backwards_within_its_runs_too(tmp_path: Path) -> None:
    turns = [trials(plan(CALM, base="b" * 40), tmp_path, repeat)[0].flags["interleave"] for repeat in (0, 1, 2)]
    assert turns == ["AB", "BA", "AB"]


def test_each_repeat_has_a_seed_of_its_own_that_both_sides_share(tmp_path: Path) -> None:
    asked = plan(CALM, base="b" * 40)
    assert [[t.flags["seed"] for t in trials(asked, tmp_path, repeat)] for repeat in (0, 1)] == [["7", "7"], ["8", "8"]]


def test_what_a_gate_wants_switched_off_is_run_by_this_revision_alone(tmp_path: Path) -> None:
    asked = plan(CALM, cell("calm", "sweeper=off"), base="b" * 40)
    sides = [(t.flags["mitigations"], t.side) for t in trials(asked, tmp_path, 0)]
    assert sides == [("", Side.BASE), ("", Side.HEAD), ("sweeper=off", Side.HEAD)]


def test_mitigations_are_switched_off_only_where_a_gate_asks_what_they_buy() -> None:
    gate = {"metric": "completion_ms.p50", "against": "mitigations:backoff=none", "limit": "ratio < 2", "storm": "calm"}
    gates = read_gates({"gate": [gate, gate | {"name": "again"}]})
    assert mitigations_asked(gates, "create-order", "calm") == ["backoff=none"]
    assert mitigations_asked(gates, "create-order", "default") == []


def test_the_same_plan_goes_on_in_its_folder_whatever_number_of_repeats_is_asked_now(tmp_path: Path) -> None:
    kept = begin(plan(CALM), tmp_path / "a")
    assert begin(msgspec.structs.replace(plan(CALM), check_id="other", command="again"), tmp_path / "a") == kept


def test_another_plan_is_refused_in_that_folder_with_everything_that_differs(tmp_path: Path) -> None:
    begin(plan(CALM, base="b" * 40), tmp_path)
    changed = msgspec.structs.replace(CALM, storm_digest="edited since")
    with pytest.raises(UsageError) as error:
        begin(msgspec.structs.replace(plan(changed), seed=9, head="c" * 40), tmp_path)
    assert problems_of(error) == ["the matrix", "the seed", "this revision", "--base"]


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="--out"):
        begin(plan(CALM), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["{", '{"schema": "sagastorm.check/9"}'])
def test_a_plan_that_cannot_be_read_is_not_written_over(content: str, tmp_path: Path) -> None:
    (tmp_path / "check.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunNotFound):
        begin(plan(CALM), tmp_path)
    assert (tmp_path / "check.json").read_text(encoding="utf-8") == content


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    made = make((CALM,), 7, None, None, "sagastorm check")
    assert begin(made, tmp_path) == msgspec.json.decode((tmp_path / "check.json").read_bytes(), type=Plan) == made
