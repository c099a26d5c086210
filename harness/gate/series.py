"""Figures of many jobs as CSV, for tools that look for the commit at which something changed.

Made for Apache Otava's CSV importer (https://otava.apache.org): a time column, metric columns that are numbers in every row,
attributes as text. A file holds one saga under one storm, as its series must not mix what is not alike; topologies
are columns. A file that is there already is added to, so that a folder which is kept from job to job holds the series.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.gate.cases import cases_of
from harness.gate.metrics import METRICS, observed
from harness.report.figures import Missing
from harness.report.model import Report

ATTRIBUTES = ("time", "commit", "run_id", "verdict")
MISSING = "nan"
"""A number to Python, and none to a reader; a tool that meets it must be told which columns to take."""


def write_series(folder: Path, reports: Sequence[Report]) -> list[Path]:
    """One ``history-<saga>-<storm>.csv`` for each; returns them."""
    by_name: dict[str, list[Report]] = {}
    for report in reports:
        case = cases_of(report.run.settings, report.run.storm)[0]
        parts = [part for part in ("history", case.saga, case.storm, case.mitigations) if part]
        by_name.setdefault(f"{re.sub(r'[^A-Za-z0-9._=-]+', '-', '-'.join(parts))}.csv", []).append(report)
    return [_add(folder / name, of_one) for name, of_one in by_name.items()]


def _add(path: Path, reports: Iterable[Report]) -> Path:
    rows = {row["run_id"]: row for row in _read(path)}
    rows |= {row["run_id"]: row for row in map(_row, reports)}
    columns = list(dict.fromkeys([*ATTRIBUTES, *(name for row in rows.values() for name in row)]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval=MISSING, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows.values(), key=lambda row: (row["time"], row["run_id"])))
    part = path.with_name(f"{path.name}.part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)
    return path


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row.get("run_id")]


def _row(report: Report) -> dict[str, str]:
    run = report.run
    row = {
        "time": run.started_at,
        "commit": run.commit or "",
        "run_id": run.run_id,
        "verdict": report.judgement.verdict.value,
    }
    for topology in report.data.topologies:
        blocks = report.data.complete(topology)
        for path in METRICS:
            figure = observed(path, run, blocks, report.audits)
            row[f"{topology}.{path}"] = MISSING if isinstance(figure, Missing) else f"{figure:.6g}"
        anomalies = report.topologies[topology].anomalies
        row[f"{topology}.anomalies"] = str(sum(anomalies.values()))
    return row
