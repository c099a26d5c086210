"""Small saved runs for the plugin to read instead of making them: one that passes, one that fails, one that cannot tell."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from harness.history.history import FILE_NAME, History
from tests.report import synthetic_run

ONE = synthetic_run.Spec(topologies=("orchestrated",), interleave="A", storm=False, restart_in_block=None)
BOTH = synthetic_run.Spec(interleave="AB", restart_in_block=None)
CHARGED_TWICE = "s-0-10"
"""The saga that is charged twice in the run that fails."""


def passing(folder: Path) -> Path:
    """One topology, no storm, nothing wrong."""
    return synthetic_run.build(folder, ONE)


def failing(folder: Path) -> Path:
    """A saga was charged twice."""
    synthetic_run.build(folder, ONE)
    with sqlite3.connect(folder / FILE_NAME) as database:
        done = database.execute(
            "INSERT INTO ledger SELECT block, participant, saga_id, step, result, at_ns + 1, movements FROM ledger "
            "WHERE saga_id = ? AND step = 'charge'",
            (CHARGED_TWICE,),
        )
        assert done.rowcount == 1
    return folder


def undecided(folder: Path) -> Path:
    """The tables were not read, so the audit cannot tell."""
    synthetic_run.build(folder, ONE)
    with History(folder / FILE_NAME) as history:
        (block,) = history.blocks()
        history.put_block(msgspec.structs.replace(block, collected=False))
    return folder


def both(folder: Path) -> Path:
    """Both topologies, under a storm."""
    return synthetic_run.build(folder, BOTH)


MAKE = {"passing": passing, "failing": failing, "undecided": undecided, "both": both}
