"""Every figure of a topology by its path in ``summary.json``; and none where the backend is known to falsify it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.audit.auditor import Audit
from harness.history.run_file import RunFile
from harness.report.costs import LAYERS, aws_calls_per_saga, cpu_ms_per_saga, duplicates, retry_amplification
from harness.report.figures import (
    NO_BLOCK,
    Figure,
    Missing,
    compensation_rate,
    completion_quantile,
    outcomes,
    throughput_per_s,
)
from harness.report.quantiles import QUANTILES
from harness.report.recovery import backlog_recovery_s, completion_recovery_s, recovery_s
from harness.report.retry_storm import (
    amplification_peak,
    breaker_openings,
    dead_letters,
    goodput_in_storm_per_s,
    offered_in_storm_per_s,
    peak_backlog,
    peak_oldest_s,
    swept,
)
from harness.report.run_data import SWEEPER_EXPIRED, SWEEPER_REPAIRS, BlockData, RunData

Blocks = Sequence[BlockData]
Audits = Sequence[Audit]
COUNTS: Final = ("scheduled", "dropped", "accepted", "completed", "compensated", "unresolved")
OF_LAYERS: Final = tuple(f"retry_amplification.{layer}" for layer in LAYERS)
RECOVERY: Final = ("recovery_s", "recovery_completion_s", "recovery_backlog_s")
MADE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "retry_amplification.total": OF_LAYERS,
    "amplification_peak": OF_LAYERS,
    RECOVERY[0]: RECOVERY[1:],
}
"""Figures that are wrong where another one is, and was measured."""


def _count(name: str) -> Callable[[Blocks, Audits], Figure]:
    def counted(blocks: Blocks, audits: Audits) -> Figure:
        counts = outcomes(blocks)
        return NO_BLOCK if counts is None else float(getattr(counts, name))

    return counted


def _quantile(name: str, q: float) -> Callable[[Blocks, Audits], Figure]:
    return lambda blocks, _: completion_quantile(blocks, name, q)


def _amplification(layer: str) -> Callable[[Blocks, Audits], Figure]:
    return lambda blocks, _: retry_amplification(blocks)[layer]


FIGURES: Final[Mapping[str, Callable[[Blocks, Audits], Figure]]] = {
    **{name: _count(name) for name in COUNTS},
    **{f"completion_ms.{name}": _quantile(name, q) for name, q in QUANTILES.items()},
    "throughput_per_s": lambda blocks, _: throughput_per_s(blocks),
    "compensation_rate": lambda blocks, _: compensation_rate(blocks),
    **{f"retry_amplification.{layer}": _amplification(layer) for layer in ("total", *LAYERS)},
    "duplicates.delivered": lambda blocks, audits: duplicates(blocks, audits)[0],
    "duplicates.suppressed": lambda blocks, audits: duplicates(blocks, audits)[1],
    "amplification_peak": lambda blocks, _: amplification_peak(blocks),
    "offered_in_storm_per_s": lambda blocks, _: offered_in_storm_per_s(blocks),
    "goodput_in_storm_per_s": lambda blocks, _: goodput_in_storm_per_s(blocks),
    "peak_backlog": lambda blocks, _: peak_backlog(blocks),
    "peak_oldest_s": lambda blocks, _: peak_oldest_s(blocks),
    "recovery_s": lambda blocks, _: recovery_s(blocks),
    "recovery_completion_s": lambda blocks, _: completion_recovery_s(blocks),
    "recovery_backlog_s": lambda blocks, _: backlog_recovery_s(blocks),
    "dead_letters": lambda blocks, _: dead_letters(blocks),
    "sweeper_repairs": lambda blocks, _: swept(blocks, SWEEPER_REPAIRS),
    "sweeper_expired": lambda blocks, _: swept(blocks, SWEEPER_EXPIRED),
    "breaker_openings": lambda blocks, _: breaker_openings(blocks),
    "aws_calls_per_saga": lambda blocks, _: aws_calls_per_saga(blocks),
    "cpu_ms_per_saga": lambda blocks, _: cpu_ms_per_saga(blocks),
}
"""What a deviation may name in ``falsifies``."""


def figure(run: RunFile, path: str, blocks: Blocks, audits: Audits = ()) -> Figure:
    """The figure at ``path``, over these blocks of one topology.

    Missing, with what the deviation means as the reason, where the run's backend falsifies it, or something measured that
    it is made of (:data:`MADE_OF`).
    """
    made = FIGURES[path](blocks, audits)
    withheld = falsified(run)
    for needed in (path, *MADE_OF.get(path, ())):
        if needed in withheld and not isinstance(FIGURES[needed](blocks, audits), Missing):
            return Missing(withheld[needed])
    return made


def falsified(run: RunFile) -> dict[str, str]:
    """The paths that are wrong on the run's backend, each with the reason."""
    deviations = run.backend.deviations if run.backend else ()
    return {path: deviation.consequence.rstrip(".") for deviation in deviations for path in deviation.falsifies}


@dataclass(frozen=True)
class BlockValues:
    """All figures of one block by itself, by their path; and ``anomalies.<name>`` for each that the audit found."""

    block: int
    round: int
    topology: str
    values: dict[str, Figure]


def values_by_block(data: RunData, audits: Audits) -> list[BlockValues]:
    """Of every complete block, in the order in which they ran: blocks of one round, of one run or of runs with one seed,
    met the same arrivals and faults and may be paired. Of an anomaly that is not named there were none, if it was audited.
    """
    values = []
    for each in data.blocks:
        block = each.block
        if block.state == "complete":
            figures = {path: figure(data.run, path, [each], audits) for path in FIGURES}
            figures |= {f"anomalies.{name}": count for name, count in anomalies([block.block], audits).items()}
            values.append(BlockValues(block.block, block.round, block.topology, figures))
    return values


def anomalies(blocks: Collection[int], audits: Audits) -> dict[str, int]:
    """How often the audit found each anomaly in these blocks, by its name."""
    found: dict[str, int] = {}
    for audit in audits:
        if audit.block in blocks:
            for anomaly in audit.anomalies:
                found[anomaly.name] = found.get(anomaly.name, 0) + anomaly.count
    return dict(sorted(found.items()))
