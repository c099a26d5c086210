"""Judged runs of a few sagas, put together in memory: what the tests of gates are asked of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import msgspec

from harness.audit.auditor import Anomaly, Audit
from harness.audit.checks import load_checks
from harness.core.mitigations import Mitigations
from harness.core.seeded import uniform
from harness.core.verdict import Verdict
from harness.gate.entry import fields_of
from harness.gate.model import Gate, Gates
from harness.gate.read import read_gates
from harness.history.records import SagaRow
from harness.report.model import Report, make_report
from harness.report.run_data import BlockData
from tests.report import small

STORM = [{"name": "lost", "kind": "timeout", "probability": 0.1, "start_s": 5.0, "end_s": 10.0}]
WINDOWS = [("lost", 5.0, 10.0)]
SAGAS = 200
SIGMA = 0.3
"""Of the logarithm of completion times, from saga to saga: the same arrival is slow on both sides."""


def gates(text: str = "", **table: Any) -> Gates:
    """``completion_ms.p99 < 800 ms`` as the one gate, with no invariant but the instrument; or a table."""
    names = list(load_checks())
    alone = {"invariants": {"except": ["every-saga-ended", "nothing-in-flight", "every-fault-fired", *names]}}
    if text:
        metric, _, limit = text.partition(" ")
        table = {"gate": [{"metric": metric, "limit": limit, **table}]}
    return read_gates(alone | table)


def gate_of(expression: str, **fields: Any) -> Gate:
    """One gate by itself; ``fields`` are further ones of a ``[[gate]]``."""
    return read_gates({"gate": [fields_of(expression) | fields]}).gates[-1]


def sagas(times: float = 1.0, *, turn: int = 0, noise: float = 0.0, count: int = SAGAS) -> list[SagaRow]:
    """Sagas that take ``times`` as long as others of the same arrival; ``noise`` is of this turn alone."""
    rows = []
    for arrival in range(count):
        own = NormalDist().inv_cdf(min(max(uniform(1, "took", arrival), 1e-9), 1 - 1e-9))
        again = NormalDist().inv_cdf(min(max(uniform(2, "took", arrival, turn), 1e-9), 1 - 1e-9))
        took_ms = 200.0 * times * math.exp(SIGMA * own + noise * again)
        rows.append(small.saga(arrival, arrival * small.DURATION_S / count, took_ms))
    return rows


def block(number: int = 0, topology: str = "orchestrated", **changes: Any) -> BlockData:
    """A block with a storm in its second quarter, in which one fault struck one saga."""
    changes = {"storm_windows": WINDOWS, "faults": [small.fault("lost", 3)]} | changes
    return small.block(number, topology, **changes)


def run(
    *blocks: BlockData,
    run_id: str = "run-1",
    anomalies: Mapping[int, list[Anomaly]] | None = None,
    storm: Sequence[dict[str, object]] = STORM,
    mitigations: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Report:
    """A run of these blocks, judged; all that the auditor knows is valid but for ``anomalies``, by block."""
    data = small.run(*blocks, storm=storm, mitigations=Mitigations(**(mitigations or {})), **settings)
    # own-1 and base-1 follow own-0 and base-0: the sides took turns.
    turn = "-".join(reversed(run_id.split("-")))
    named = msgspec.structs.replace(data.run, run_id=run_id, started_at=f"2026-11-01T09:00:00Z {turn}")
    audits = [_audit(each, (anomalies or {}).get(each.block.block, [])) for each in data.blocks]
    return make_report(type(data)(named, data.blocks), audits)


def pairs(
    count: int, times: float = 1.0, drift: Sequence[float] = (), noise: float = 0.02
) -> tuple[list[Report], list[Report]]:
    """(own, base): as many runs of one block on each side, the own ``times`` as slow; ``drift`` of each own block by itself."""
    turns = range(count)
    own = [
        run(
            block(rows=sagas(times * (drift[turn] if drift else 1.0), turn=2 * turn, noise=noise)), run_id=f"own-{turn}"
        )
        for turn in turns
    ]
    base = [run(block(rows=sagas(1.0, turn=2 * turn + 1, noise=noise)), run_id=f"base-{turn}") for turn in turns]
    return own, base


def _audit(data: BlockData, anomalies: list[Anomaly]) -> Audit:
    found = {anomaly.name for anomaly in anomalies}
    return Audit(
        block=data.block.block,
        topology=data.block.topology,
        verdict=Verdict.INVALID if found else Verdict.VALID,
        anomalies=anomalies,
        checks={name: Verdict.INVALID if name in found else Verdict.VALID for name in load_checks()},
        notes=[],
    )
