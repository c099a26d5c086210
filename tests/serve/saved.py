"""Saved runs to be listed and compared, made once and copied."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Any

import msgspec

from harness.history import run_file
from harness.report.comparison_sides import SideBySide, parse_picks, side_by_side
from harness.report.model import Report, make_report
from harness.report.run_data import BlockData, RunData
from harness.report.write import write_report
from tests.report import synthetic_run
from tests.report.small import block, run, saga, sagas


def save(runs: Path, name: str, *, reported: bool = True, **changes: Any) -> Path:
    """A run in a folder of that name; ``changes`` are to its run file."""
    folder = copytree(_built(reported), runs / name)
    file = run_file.load(folder)
    run_file.save(folder, msgspec.structs.replace(file, **{"run_id": name, **changes}))
    return folder


@cache
def _built(reported: bool) -> Path:
    folder = synthetic_run.build(Path(mkdtemp(prefix="sagastorm-tests-")) / "run", synthetic_run.Spec(interleave="AB"))
    if reported:
        write_report(folder)
    return folder


def of(*blocks: BlockData, name: str = "one", **settings: Any) -> Report:
    """The report of a run of these blocks."""
    data = run(*blocks, **settings)
    data = RunData(msgspec.structs.replace(data.run, run_id=name), data.blocks)
    return make_report(data, synthetic_run.audits(data))


def both(name: str = "one", took_ms: float = 200.0, digest: str = "same", **settings: Any) -> Report:
    """The report of a run with a round of both topologies."""
    rows = sagas(120, took_ms)
    return of(
        block(0, "orchestrated", rows=rows, load_digest=digest),
        block(1, "choreographed", rows=[saga(row.arrival, row.scheduled_s, 2 * took_ms) for row in rows], load_digest=digest),
        name=name,
        **settings,
    )  # fmt: skip


def compared(*picks: str, **reports: Report) -> SideBySide:
    """What these picks of these runs are."""
    return side_by_side(parse_picks(picks, list(reports)), reports)
