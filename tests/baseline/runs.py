"""Reports of runs of one build, which scatter as runs do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from harness.audit.auditor import Anomaly
from harness.history.records import SagaRow
from harness.report.model import Report, make_report
from harness.report.run_data import BlockData, RunData
from tests.report import synthetic_run

SCATTER = (1.0, 0.98, 1.03, 0.99, 1.01, 1.02)
"""Factors on the times of six runs."""


def reported(
    data: RunData, run_id: str, times: float = 1.0, anomalies: dict[int, list[Anomaly]] | None = None, **changes: Any
) -> Report:
    """A run like ``data`` whose sagas took so many times as long, and whose file is another in these fields."""
    file = msgspec.structs.replace(data.run, run_id=run_id, **changes)
    scaled = RunData(file, [_scaled(block, times) for block in data.blocks])
    return make_report(scaled, synthetic_run.audits(scaled, anomalies))


def six(data: RunData, **changes: Any) -> Iterator[Report]:
    """Runs of six days."""
    for day, times in enumerate(SCATTER, start=1):
        yield reported(data, f"run-{day}", times, started_at=f"2026-11-{day:02}T09:00:00Z", **changes)


def _scaled(block: BlockData, times: float) -> BlockData:
    return replace(block, sagas=[_slower(row, times) for row in block.sagas])


def _slower(row: SagaRow, times: float) -> SagaRow:
    if row.completion_ms is None:
        return row
    return msgspec.structs.replace(row, completion_ms=row.completion_ms * times)
