"""A run whose rate and duration nobody chose: what becomes of its settings, its storm and its record."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.core.errors import EnvironmentFailure
from harness.history import run_file
from harness.history.run_file import Instrument
from harness.run.progress import PlainTeller
from harness.run.run import Run, calibrate, prepare, turns
from harness.settings import RunSettings

BOTH = ("rate_per_s", "duration_s")
INSTRUMENT = Instrument(hops={}, call_cpu_ms=0.5, capacity_sagas_per_s={"orchestrated": 10.9, "choreographed": 30.0})


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


def prepared(folder: Path, told: io.StringIO, **settings: Any) -> Run:
    return prepare(RunSettings(**settings), folder, PlainTeller(Console(file=told, width=200)), "sagastorm run")


def test_load_and_storm_are_those_of_the_backend_from_then_on(tmp_path: Path, told: io.StringIO) -> None:
    run = prepared(tmp_path, told, scaled=BOTH)
    calibrate(run, INSTRUMENT)
    [plan, *_] = [turn.plan("http://127.0.0.1:1", None) for turn in turns(run)]
    assert (plan.rate_per_s, plan.duration_s) == (5, 60)
    assert plan.surges == ((24, 36, 1.5),)
    assert [fault.options for fault in run.storm.faults if fault.kind == "overload"] == [{"actions_per_s": 4}]


def test_record_says_what_was_set_and_by_what_and_a_replay_of_it_sets_nothing(
    tmp_path: Path, told: io.StringIO
) -> None:
    run = prepared(tmp_path, told, scaled=BOTH)
    calibrate(run, INSTRUMENT)
    saved = run_file.load(run.folder)
    assert (saved.settings.rate_per_s, saved.settings.duration_s, saved.settings.scaled) == (5, 60, ())
    assert saved.instrument is not None
    assert saved.instrument.scaled == BOTH
    assert saved.instrument.capacity_sagas_per_s == INSTRUMENT.capacity_sagas_per_s


def test_one_line_tells_the_load_and_what_nobody_chose(tmp_path: Path, told: io.StringIO) -> None:
    calibrate(prepared(tmp_path, told, scaled=("rate_per_s",)), INSTRUMENT)
    assert told.getvalue() == "  so the load is 5 sagas/s for 25 s (nobody chose a rate)\n"


def test_backend_that_is_too_slow_ends_the_run_and_leaves_its_settings(tmp_path: Path, told: io.StringIO) -> None:
    run = prepared(tmp_path, told, scaled=BOTH)
    with pytest.raises(EnvironmentFailure, match="too slow"):
        calibrate(run, Instrument(hops={}, call_cpu_ms=0.5, capacity_sagas_per_s={"orchestrated": 0.5}))
    assert run_file.load(run.folder).settings.scaled == BOTH
