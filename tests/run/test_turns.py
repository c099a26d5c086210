"""Which block comes when: letter by letter, the n-th turns of all topologies being one round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from chaos.storm import load
from harness.history.run_file import RunFile
from harness.run.progress import PlainTeller
from harness.run.run import Run, turns
from harness.run.turn import Turn
from harness.sagas.create_order import SAGA
from harness.settings import RunSettings


def run_of(**settings: Any) -> Run:
    """A run that was prepared, with a folder that nothing is written to."""
    made = RunSettings(**settings)
    file = RunFile(
        run_id="the-run",
        settings=made,
        storm=msgspec.to_builtins(load("default", SAGA, made.duration_s, made.rate_per_s)),
        started_at="2026-01-01T00:00:00+00:00",
        command="sagastorm run",
        commit=None,
        versions={},
        machine={},
    )
    return Run(Path("/nowhere/the-run"), file, made, PlainTeller(Console(quiet=True)), key="secret")


def order(interleave: str) -> list[tuple[str, int]]:
    return [(turn.topology[0], turn.round) for turn in turns(run_of(interleave=interleave))]


@pytest.mark.parametrize(
    ("interleave", "blocks"),
    [
        ("ABBA", [("o", 0), ("c", 0), ("c", 1), ("o", 1)]),
        ("ABAB", [("o", 0), ("c", 0), ("o", 1), ("c", 1)]),
        ("BBA", [("c", 0), ("c", 1), ("o", 0)]),
        ("A", [("o", 0)]),
    ],
)
def test_nth_turns_of_the_topologies_are_one_round(interleave: str, blocks: list[tuple[str, int]]) -> None:
    assert order(interleave) == blocks


def test_letters_stand_for_the_topologies_in_the_order_in_which_they_were_given() -> None:
    made = turns(run_of(interleave="AB", topologies=("choreographed", "orchestrated")))
    assert [turn.topology for turn in made] == ["choreographed", "orchestrated"]


def test_every_block_has_names_and_folders_of_its_own() -> None:
    made = turns(run_of())
    assert [turn.number for turn in made] == [0, 1, 2, 3]
    for of in ("namespace", "spool_dir", "targets_dir", "logs"):
        assert len({getattr(turn, of) for turn in made}) == 4, of


def plan_of(turn: Turn) -> dict[str, Any]:
    """The load of a block as its load generator is told, without what tells one block from another."""
    plan: dict[str, Any] = msgspec.to_builtins(turn.plan("http://127.0.0.1:1", epoch_ns=5))
    for own in ("topology", "audience", "spool_dir", "targets_dir"):
        assert plan.pop(own)
    return plan


def test_blocks_of_one_round_are_offered_the_same_load_and_rounds_differ() -> None:
    first, second, third, fourth = map(plan_of, turns(run_of(interleave="ABBA", rate_per_s=12.5)))
    assert first == second
    assert third == fourth
    assert (first.pop("round"), third.pop("round")) == (0, 1)
    assert first == third
    assert first["rate_per_s"] == 12.5
    assert first["epoch_ns"] == 5
    assert first["surges"], "the default storm has a surge of arrivals"


def test_key_of_the_run_is_in_no_plan_and_in_no_text() -> None:
    run = run_of()
    assert "secret" not in repr(run)
    assert all(b"secret" not in msgspec.json.encode(turn.plan("http://127.0.0.1:1", None)) for turn in turns(run))
