"""``summary.json``: what a run measured, in the published schema ``sagastorm.summary/1``.

``null`` means not measured and a key is never left out. Why a figure is null that this run could have measured stands
among the ``reasons``, after those of the verdict. Figures pool all complete blocks of a topology.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.audit.auditor import Audit
from harness.report.costs import aws_calls_per_saga, cpu_ms_per_saga, duplicates, retry_amplification
from harness.report.faults import fired, storm_name
from harness.report.figures import (
    Figure,
    Missing,
    compensation_rate,
    completion_quantile,
    outcomes,
    recovery_s,
    throughput_per_s,
)
from harness.report.judge import Judgement
from harness.report.quantiles import QUANTILES
from harness.report.run_data import RunData

SCHEMA = "sagastorm.summary/1"


class BackendSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the sagas ran on."""

    name: str
    version: str


class CompletionMs(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the scheduled start of a saga to its end, as its client saw it; nearest-rank quantiles.

    Null with fewer ended sagas than the quantile needs: p50 2, p95 20, p99 100.
    """

    p50: float | None
    p95: float | None
    p99: float | None


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of a step that had been handled before.

    ``suppressed``: those that a participant answered from its idempotency record, as its worker counted them.
    ``delivered``: the suppressed ones, and the effects that the audit found applied more often than once. With a
    clean audit the two are equal by construction: they differ by what the audit found.
    """

    delivered: int | None
    suppressed: int | None


class TopologySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One topology's figures.

    ``scheduled`` counts the arrivals of the seeded schedule; ``dropped`` those that the load generator had no room
    for; ``accepted`` those that the ingress took. What is in none of the two was rejected or got no answer.
    ``unresolved``: started, or perhaps started, and without a known end.
    ``throughput_per_s``: sagas that ended while the load ran, by the seconds it ran. What ended in the drain is left
    out, since with it every topology that loses nothing would show the rate of the arrivals.
    ``compensation_rate``: compensated / (completed + compensated).
    ``retry_amplification``: attempts / (attempts - retries) by layer; ``total`` is the product of those measured.
    ``faults``: strikes, see :func:`harness.report.faults.fired`; 0 for a fault of the storm that never struck. ``anomalies``: how often, by name.
    ``recovery_s``: see :func:`harness.report.figures.recovery_s`.
    ``aws_calls_per_saga``: calls of workers and ingress, SDK retries not counted, by ended saga.
    ``cpu_ms_per_saga``: CPU time of workers, ingress, load generator and harness from the start of the load, by ended
    saga; the emulator's is not in it.
    """

    scheduled: int | None
    dropped: int | None
    accepted: int | None
    completed: int | None
    compensated: int | None
    unresolved: int | None
    throughput_per_s: float | None
    completion_ms: CompletionMs
    compensation_rate: float | None
    retry_amplification: dict[str, float | None]
    duplicates: Duplicates
    faults: dict[str, int | None]
    anomalies: dict[str, int]
    recovery_s: float | None
    aws_calls_per_saga: float | None
    cpu_ms_per_saga: float | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``summary.json``.

    ``reasons``: why the verdict is not ``pass``, then why a figure is null that could have been measured.
    """

    schema: str = SCHEMA
    run_id: str
    seed: int
    saga: str
    storm: str
    backend: BackendSummary
    verdict: str
    reasons: list[str]
    topologies: dict[str, TopologySummary]


def summarize_data(data: RunData, audits: Sequence[Audit], judgement: Judgement) -> Summary:
    """Measure a run that has been read and judged. The same history always gives the same summary."""
    run = data.run
    missing: list[str] = []
    topologies = {name: _topology(data, name, audits, missing) for name in data.topologies}
    return Summary(
        run_id=run.run_id,
        seed=run.settings.seed,
        saga=run.settings.saga,
        storm=storm_name(run),
        backend=BackendSummary(
            name=run.backend.name if run.backend else "", version=run.backend.version if run.backend else ""
        ),
        verdict=judgement.verdict.value,
        reasons=[*judgement.reasons, *missing],
        topologies=topologies,
    )


class _Noted:
    """Takes figures apart: the value goes on, the reason of a missing one is written down under its key."""

    def __init__(self, topology: str, missing: list[str]) -> None:
        self._topology = topology
        self._missing = missing

    def value(self, key: str, figure: Figure) -> float | None:
        """The number, rounded to what can be told apart; ``None`` where there is none."""
        if isinstance(figure, Missing):
            if not figure.expected:
                self._missing.append(f"{self._topology}: {key} is null: {figure.why}.")
            return None
        return round(figure, 4)

    def count(self, key: str, figure: Figure) -> int | None:
        """As :meth:`value`, for a count."""
        value = self.value(key, figure)
        return None if value is None else round(value)


def _topology(data: RunData, topology: str, audits: Sequence[Audit], missing: list[str]) -> TopologySummary:
    blocks = data.complete(topology)
    note = _Noted(topology, missing)
    counts = outcomes(blocks)
    delivered, suppressed = duplicates(blocks, audits)
    completion = {
        name: note.value(f"completion_ms.{name}", completion_quantile(blocks, name, q)) for name, q in QUANTILES.items()
    }
    return TopologySummary(
        scheduled=counts.scheduled if counts else None,
        dropped=counts.dropped if counts else None,
        accepted=counts.accepted if counts else None,
        completed=counts.completed if counts else None,
        compensated=counts.compensated if counts else None,
        unresolved=counts.unresolved if counts else None,
        throughput_per_s=note.value("throughput_per_s", throughput_per_s(blocks)),
        completion_ms=CompletionMs(**completion),
        compensation_rate=note.value("compensation_rate", compensation_rate(blocks)),
        retry_amplification={
            layer: note.value(f"retry_amplification.{layer}", figure)
            for layer, figure in retry_amplification(blocks).items()
        },
        duplicates=Duplicates(
            delivered=note.count("duplicates.delivered", delivered),
            suppressed=note.count("duplicates.suppressed", suppressed),
        ),
        faults=dict(fired(data, topology)) if blocks else dict.fromkeys(fired(data, topology)),
        anomalies=_anomalies(data, topology, audits),
        recovery_s=note.value("recovery_s", recovery_s(blocks)),
        aws_calls_per_saga=note.value("aws_calls_per_saga", aws_calls_per_saga(blocks)),
        cpu_ms_per_saga=note.value("cpu_ms_per_saga", cpu_ms_per_saga(blocks)),
    )


def _anomalies(data: RunData, topology: str, audits: Sequence[Audit]) -> dict[str, int]:
    """Over all blocks, aborted ones too: what broke in a block that was cut short broke all the same."""
    numbers = {block.block.block for block in data.blocks if block.block.topology == topology}
    found: dict[str, int] = {}
    for audit in audits:
        if audit.block in numbers:
            for anomaly in audit.anomalies:
                found[anomaly.name] = found.get(anomaly.name, 0) + anomaly.count
    return dict(sorted(found.items()))
