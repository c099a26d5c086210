"""What a gate leaves where CI users look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.gate.badge import badge_json, badge_svg
from harness.gate.junit import render_junit
from harness.gate.markdown import COMMENT_BYTES, SUMMARY_BYTES, render_markdown
from harness.gate.model import GateReport
from harness.gate.published import encode
from harness.gate.series import write_series
from harness.report.model import Report

GATES, JUNIT, SUMMARY, COMMENT = "gates.json", "junit.xml", "summary.md", "comment.md"
BADGE, PICTURE = "badge.json", "badge.svg"


def write_outputs(folder: Path, report: GateReport, runs: Sequence[Report]) -> list[Path]:
    """Write all files, each whole or not at all, ``gates.json`` last; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        JUNIT: render_junit(report),
        SUMMARY: render_markdown(report, SUMMARY_BYTES).encode(),
        COMMENT: render_markdown(report, COMMENT_BYTES).encode(),
        BADGE: badge_json(report),
        PICTURE: badge_svg(report).encode(),
    }
    series = write_series(folder, runs)
    for name, content in (contents | {GATES: encode(report)}).items():
        part = folder / f"{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)
    return [*series, *(folder / name for name in (*contents, GATES))]
