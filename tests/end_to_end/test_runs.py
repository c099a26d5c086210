"""What a run promises when nothing goes wrong but what the storm makes go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.history.history import History
from tests.end_to_end.conftest import ROOT, Sagastorm

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

Start = Callable[..., Sagastorm]

SHORT = ("run", "--rate", "20", "--duration", "10", "--interleave", "AB")


def test_both_topologies_come_out_clean_under_the_default_storm_and_meet_it_on_the_same_sagas(sagastorm: Start) -> None:
    command = sagastorm(*SHORT)
    assert command.judged_fit(command.wait()), command.output
    summary = command.summary

    for topology in ("orchestrated", "choreographed"):
        figures = summary["topologies"][topology]
        assert figures["accepted"] == figures["scheduled"] > 150
        assert figures["completed"] + figures["compensated"] == figures["accepted"]
        assert figures["compensated"] > 0
        assert (figures["unresolved"], figures["dropped"], figures["anomalies"]) == (0, 0, {})
        assert all(fired > 0 for fired in figures["faults"].values()), figures["faults"]
        assert figures["duplicates"]["delivered"] == figures["duplicates"]["suppressed"] > 0

    with History(command.folder / "history.sqlite", read_only=True) as history:
        orchestrated, choreographed = history.blocks()
        assert orchestrated.load_digest == choreographed.load_digest
        for fault in ("request-lost", "response-lost", "duplicate-at-once", "duplicate-late", "arrivals-surge"):
            struck = [
                {row.arrival for row in history.faults(block.block) if row.fault == fault}
                for block in (orchestrated, choreographed)
            ]
            assert struck[0] == struck[1] != set(), fault


def test_a_replay_offers_the_same_load_and_strikes_the_same_sagas(sagastorm: Start, tmp_path: Path) -> None:
    short = ("run", "--rate", "20", "--duration", "5", "--topology", "choreographed", "--seed", "7")
    first = sagastorm(*short, "--interleave", "A")
    first.wait()
    original = first.folder
    again = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "replay", str(original), "--runs", str(tmp_path / "again")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    (replayed,) = (tmp_path / "again").iterdir()
    made = []
    for folder in (original, replayed):
        with History(folder / "history.sqlite", read_only=True) as history:
            (block,) = history.blocks()
            # Overload strikes whoever is there at the time; everything else strikes by the seed.
            struck = {(row.fault, row.arrival) for row in history.faults(0) if row.fault != "payment-overload"}
            made.append((block.load_digest, struck))
    assert made[0] == made[1], again.stdout
    assert made[0][1]


def test_a_saga_of_another_package_written_as_one_file_runs_in_both_topologies(sagastorm: Start) -> None:
    plugin = str(ROOT / "tests" / "plugin_example")
    command = sagastorm(*SHORT, "--saga", "book-trip", "--storm", "calm", "--duration", "4", PYTHONPATH=plugin)
    assert command.judged_fit(command.wait()), command.output
    for figures in command.summary["topologies"].values():
        assert figures["completed"] > 0
        assert figures["compensated"] > 0
        assert figures["completed"] + figures["compensated"] == figures["scheduled"]


def test_plain_locust_starts_what_it_needs_and_ends_with_the_audit(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "scenarios" / "create_order.py"), "--headless"),
            *("--topology", "choreographed", "--storm", "calm", "--rate", "10", "--duration", "4", "--seed", "3"),
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    summary = json.loads((folder / "summary.json").read_bytes())
    figures = summary["topologies"]["choreographed"]
    assert figures["completed"] + figures["compensated"] == figures["scheduled"] > 20
    assert (figures["unresolved"], figures["anomalies"]) == (0, {})
    assert "sagastorm run" in done.stdout + done.stderr  # the report was relayed


def test_two_load_processes_and_two_workers_lose_nothing(sagastorm: Start) -> None:
    command = sagastorm(
        *SHORT, "--topology", "orchestrated", "--interleave", "A", "--load-processes", "2", "--workers", "2",
        "--storm", "calm", "--duration", "4",
    )  # fmt: skip
    assert command.judged_fit(command.wait()), command.output
    figures = command.summary["topologies"]["orchestrated"]
    assert figures["completed"] + figures["compensated"] == figures["scheduled"] > 40
