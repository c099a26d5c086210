"""Whole runs in which sagas are dropped: with the sweeper all of them end, without it the audit names who did not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.history.history import History
from tests.end_to_end.conftest import Sagastorm, sagastorm

__all__ = ["sagastorm"]

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

Start = Callable[..., Sagastorm]

DROPPED_BY = {"choreographed": "message-lost", "orchestrated": "execution-aborted"}
STORM = """
description = "sagas are dropped, and nobody notices"
[[fault]]
name = "dropped"
kind = "{kind}"
probability = 0.04
"""


def run(start: Start, folder: Path, topology: str, *more: str) -> Sagastorm:
    storm = folder / "dropped.toml"
    storm.write_text(STORM.format(kind=DROPPED_BY[topology]), encoding="utf-8")
    return start(
        *("run", "--topology", topology, "--interleave", "A", "--rate", "10", "--duration", "5"),
        *("--storm", str(storm), *more),
    )


@pytest.mark.parametrize("topology", DROPPED_BY)
def test_with_the_sweeper_every_saga_ends_and_the_repairs_are_told(
    sagastorm: Start, tmp_path: Path, topology: str
) -> None:
    command = run(sagastorm, tmp_path, topology)
    assert command.judged_fit(command.wait()), command.output
    figures = command.summary["topologies"][topology]
    assert figures["completed"] + figures["compensated"] == figures["accepted"] == figures["scheduled"] > 30
    assert (figures["unresolved"], figures["anomalies"]) == (0, {})
    assert figures["faults"]["dropped"] > 0
    with History(command.folder / "history.sqlite", read_only=True) as history:
        repairs = [event.what for event in history.events(0) if "asked for again" in event.what]
        repaired = {row.saga_id for row in history.steps(0) if "r" in row.attempt}
        counted = [sample.value for sample in history.samples(0, "sagastorm_sweeper_repairs_total")]
    assert repairs
    assert all(any(saga_id in what for what in repairs) for saga_id in repaired)
    assert max(counted) == len(repairs)


@pytest.mark.parametrize("topology", DROPPED_BY)
def test_without_it_the_audit_names_those_that_were_dropped(sagastorm: Start, tmp_path: Path, topology: str) -> None:
    command = run(sagastorm, tmp_path, topology, "--mitigations", "sweeper=off", "--drain-limit", "5")
    assert command.wait() == 1, command.output
    figures = command.summary["topologies"][topology]
    assert figures["anomalies"].keys() == {"unresolved-saga"}
    assert figures["unresolved"] == figures["anomalies"]["unresolved-saga"] > 0
