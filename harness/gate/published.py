"""``gates.json``: a report of gates in the published schema ``sagastorm.gates/1``."""

from __future__ import annotations

import msgspec

from harness.core.verdict import RunVerdict
from harness.gate.model import Finding, GateReport, RunFacts

SCHEMA = "sagastorm.gates/1"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file. ``null`` means not measured; values are in their gate's unit, shares as fractions."""

    schema: str = SCHEMA
    verdict: RunVerdict
    exit_code: int
    source: str
    """Where the gates were read from."""
    left_out: tuple[str, ...]
    """What was narrowed by name."""
    runs: tuple[RunFacts, ...]
    base: tuple[RunFacts, ...]
    findings: tuple[Finding, ...]


def encode(report: GateReport) -> bytes:
    """The content of ``gates.json``."""
    content = Published(
        verdict=report.verdict,
        exit_code=report.exit_code,
        source=report.source,
        left_out=report.left_out,
        runs=report.runs,
        base=report.base,
        findings=report.findings,
    )
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
