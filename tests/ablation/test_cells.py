"""Which cells an ablation has, and which ones are refused."""

from __future__ import annotations

import pytest

from harness.ablation.cells import Cell, chosen
from harness.core.errors import UsageError
from harness.core.mitigations import Mitigations, values


def names(without: str | None = None, combinations: str | None = None) -> list[str]:
    return [cell.name for cell in chosen(without, combinations)]


def refusals(without: str | None = None, combinations: str | None = None) -> list[tuple[str, object]]:
    with pytest.raises(UsageError) as error:
        chosen(without, combinations)
    return [(problem.field, problem.value) for problem in error.value.problems]


def test_without_a_choice_every_mitigation_is_removed_one_at_a_time_and_idempotency_in_both_ways() -> None:
    cells = chosen(None, None)
    assert cells == chosen("all", None)
    assert cells[0].mitigations == Mitigations()
    assert all(len(cell.changed) == 1 for cell in cells[1:])
    assert {name for cell in cells for name in cell.changed} == values().keys()
    assert len(cells) == 1 + len(values()) + 1
    assert {"idempotency=none", "idempotency=naive", "jitter=none", "sdk-retries=off", "sweeper=off"} <= set(names())


def test_a_name_alone_means_its_weakest_value_and_a_value_means_that_value() -> None:
    assert names("backoff, idempotency=naive") == ["everything on", "backoff=none", "idempotency=naive"]


def test_a_combination_is_one_cell_however_its_parts_are_ordered() -> None:
    assert names(None, "sweeper=off+backoff,backoff=none+sweeper=off") == [
        "everything on",
        "backoff=none + sweeper=off",
    ]
    assert chosen(None, "sweeper+backoff") == chosen(None, "backoff+sweeper")


def test_a_combination_sets_the_mitigations_that_it_names_and_no_other() -> None:
    _, cell = chosen(None, "backoff=fixed+circuit-breaker=off")
    assert cell.mitigations == Mitigations(backoff="fixed", circuit_breaker="off")
    assert cell.mitigations.chosen() == cell.changed


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert refusals("bakcoff,backoff=exponential,jitter=", "sweeper+sweeper,outbox=no") == [
        ("--without", "bakcoff"),
        ("--without", "backoff=exponential"),
        ("--without", "jitter="),
        ("--cells", "sweeper+sweeper"),
        ("--cells", "outbox=no"),
    ]


def test_an_ablation_of_nothing_is_refused() -> None:
    assert refusals("", "") == [("--without, --cells", 0)]


def test_a_cell_applies_unless_all_that_it_changes_means_nothing_there() -> None:
    alone, both = Cell({"step-timeout": "off"}), Cell({"step-timeout": "off", "sweeper": "off"})
    assert not alone.applies(["step-timeout"])
    assert alone.applies([])
    assert both.applies(["step-timeout"])
    assert Cell().applies(["step-timeout"])
