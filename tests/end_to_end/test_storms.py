"""Shipped storms in whole runs: with all mitigations, whatever they do ends and leaves nothing wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.end_to_end.conftest import Sagastorm

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

SHORT = ("--rate", "8", "--duration", "15", "--interleave", "AB")


@pytest.mark.parametrize("storm", ["crashes", "split-brain"])
def test_storm_strikes_and_passes_and_leaves_nothing_wrong(storm: str, sagastorm: Callable[..., Sagastorm]) -> None:
    command = sagastorm("run", "--storm", storm, *SHORT)
    assert command.judged_fit(command.wait()), command.output
    for figures in command.summary["topologies"].values():
        assert (figures["anomalies"], figures["unresolved"], figures["dropped"]) == ({}, 0, 0)
        assert figures["completed"] + figures["compensated"] == figures["scheduled"] > 80
        assert 0 not in figures["faults"].values(), figures["faults"]
