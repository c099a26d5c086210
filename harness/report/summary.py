"""``summary.json``: what a run measured, in the published schema ``sagastorm.summary/1``.

``null`` means not measured and a key is never left out. Why a figure is null that this run could have measured stands
among the ``reasons``, after those of the verdict. Figures pool all complete blocks of a topology.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.audit.auditor import Audit
from harness.history.run_file import RunFile
from harness.report.backend import weakening
from harness.report.costs import LAYERS
from harness.report.faults import fired, storm_name
from harness.report.figures import NO_BLOCK, Figure, Missing
from harness.report.judge import Judgement
from harness.report.metrics import MADE_OF, anomalies, figure
from harness.report.quantiles import QUANTILES
from harness.report.run_data import RunData

SCHEMA = "sagastorm.summary/1"


class BackendSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the sagas ran on; empty, and null, where the run ended before there was one to ask.

    ``callback_retry``: how a failed callback task was tried again, ``retry`` or ``reenter``. ``unverified``: the contract
    suite was never run on this version of the product. ``deviations``: those that weaken a result, by the name of the contract's test.
    """

    name: str
    product: str
    version: str
    callback_retry: str
    unverified: bool | None
    deviations: list[str]


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
    ``amplification_peak``, ``offered_in_storm_per_s``, ``goodput_in_storm_per_s``, ``peak_backlog`` (messages),
    ``peak_oldest_s``, ``dead_letters``: see :mod:`harness.report.retry_storm`.
    ``sweeper_repairs``, ``sweeper_expired``, ``breaker_openings``: as counted; null where no process has such a counter.
    ``faults``: strikes, see :func:`harness.report.faults.fired`; 0 for a fault of the storm that never struck. ``anomalies``: how often, by name.
    ``recovered``: whether completion times and backlog came back after the storm; false where one of them was watched, for
    ``recovery_watched_s``, and did not; null without a storm, or where it cannot be told. ``recovery_s``, the later of
    ``recovery_completion_s`` and ``recovery_backlog_s``: see :mod:`harness.report.recovery`.
    ``aws_calls_per_saga``: calls of workers, ingress and sweeper, SDK retries not counted, by ended saga.
    ``cpu_ms_per_saga``: CPU time of workers, ingress, sweeper, load generator and harness from the start of the load, by ended
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
    amplification_peak: float | None
    offered_in_storm_per_s: float | None
    goodput_in_storm_per_s: float | None
    peak_backlog: int | None
    peak_oldest_s: float | None
    dead_letters: int | None
    sweeper_repairs: int | None
    sweeper_expired: int | None
    breaker_openings: int | None
    duplicates: Duplicates
    faults: dict[str, int | None]
    anomalies: dict[str, int]
    recovered: bool | None
    recovery_s: float | None
    recovery_completion_s: float | None
    recovery_backlog_s: float | None
    recovery_watched_s: float | None
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
        backend=_backend(run),
        verdict=judgement.verdict.value,
        reasons=[*judgement.reasons, *missing],
        topologies=topologies,
    )


def _backend(run: RunFile) -> BackendSummary:
    facts = run.backend
    if facts is None:
        return BackendSummary(name="", product="", version="", callback_retry="", unverified=None, deviations=[])
    return BackendSummary(
        name=facts.name,
        product=facts.product,
        version=facts.version,
        callback_retry=facts.callback_retry,
        unverified=not facts.checked,
        deviations=[each.behaviour for each in weakening(facts)],
    )


class _Noted:
    """Takes figures of one topology apart: the value goes on, the reason of a missing one is written down."""

    def __init__(self, data: RunData, topology: str, audits: Sequence[Audit], missing: list[str]) -> None:
        self._data = data
        self._topology = topology
        self._audits = audits
        self._missing = missing

    def value(self, path: str) -> float | None:
        """The number, rounded to what can be told apart; ``None`` where there is none."""
        made = self._figure(path)
        if isinstance(made, Missing):
            parts = [self._figure(part) for part in MADE_OF.get(path, ())]
            told = {part.why for part in parts if isinstance(part, Missing)}  # under the name of the part
            if not made.expected and made.why not in told:
                self._missing.append(f"{self._topology}: {path} is null: {made.why}.")
            return None
        return round(made, 4)

    def count(self, path: str) -> int | None:
        """As :meth:`value`, for a count."""
        value = self.value(path)
        return None if value is None else round(value)

    def _figure(self, path: str) -> Figure:
        return figure(self._data.run, path, self._data.complete(self._topology), self._audits)


def _topology(data: RunData, topology: str, audits: Sequence[Audit], missing: list[str]) -> TopologySummary:
    blocks = data.complete(topology)
    if not blocks:
        missing.append(f"{topology}: every figure is null: {NO_BLOCK.why}.")
    note = _Noted(data, topology, audits, missing if blocks else [])
    recovery = figure(data.run, "recovery_s", blocks, audits)
    came_back = not isinstance(recovery, Missing)
    watched_s = recovery.longer_than_s if isinstance(recovery, Missing) else None
    return TopologySummary(
        scheduled=note.count("scheduled"),
        dropped=note.count("dropped"),
        accepted=note.count("accepted"),
        completed=note.count("completed"),
        compensated=note.count("compensated"),
        unresolved=note.count("unresolved"),
        throughput_per_s=note.value("throughput_per_s"),
        completion_ms=CompletionMs(**{name: note.value(f"completion_ms.{name}") for name in QUANTILES}),
        compensation_rate=note.value("compensation_rate"),
        retry_amplification={layer: note.value(f"retry_amplification.{layer}") for layer in ("total", *LAYERS)},
        amplification_peak=note.value("amplification_peak"),
        offered_in_storm_per_s=note.value("offered_in_storm_per_s"),
        goodput_in_storm_per_s=note.value("goodput_in_storm_per_s"),
        peak_backlog=note.count("peak_backlog"),
        peak_oldest_s=note.value("peak_oldest_s"),
        dead_letters=note.count("dead_letters"),
        sweeper_repairs=note.count("sweeper_repairs"),
        sweeper_expired=note.count("sweeper_expired"),
        breaker_openings=note.count("breaker_openings"),
        duplicates=Duplicates(
            delivered=note.count("duplicates.delivered"), suppressed=note.count("duplicates.suppressed")
        ),
        faults=dict(fired(data, topology)) if blocks else dict.fromkeys(fired(data, topology)),
        anomalies=_anomalies(data, topology, audits),
        recovered=came_back if came_back or watched_s is not None else None,
        recovery_s=note.value("recovery_s"),
        recovery_completion_s=note.value("recovery_completion_s"),
        recovery_backlog_s=note.value("recovery_backlog_s"),
        recovery_watched_s=watched_s,
        aws_calls_per_saga=note.value("aws_calls_per_saga"),
        cpu_ms_per_saga=note.value("cpu_ms_per_saga"),
    )


def _anomalies(data: RunData, topology: str, audits: Sequence[Audit]) -> dict[str, int]:
    """Over all blocks, aborted ones too: what broke in a block that was cut short broke all the same."""
    numbers = {block.block.block for block in data.blocks if block.block.topology == topology}
    return anomalies(numbers, audits)
