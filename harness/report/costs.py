"""Figures made from the Prometheus series: retries, duplicates, AWS calls and CPU time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.audit.auditor import Audit
from harness.report.figures import NO_BLOCK, NO_END, Figure, Missing
from harness.report.run_data import (
    ATTEMPTS,
    AWS_CALLS,
    CPU,
    DELIVERED,
    MACHINE_CPU,
    RETRIES,
    SUPPRESSED,
    BlockData,
)
from harness.report.series import Track, cores_busy, counted, cpu_seconds

LAYERS = ("sdk", "delivery", "stepfunctions")
OPTIONAL_LAYERS = ("stepfunctions",)
"""A topology without these is whole; without another layer's series something was not measured."""
CPU_KINDS = ("worker", "ingress", "load")
"""Processes whose CPU time must be known for a figure per saga; the harness process is added where it is known."""
APPLIED_TWICE = ("effect-twice", "compensation-twice")
"""Checks of the audit whose findings are effects applied more often than once: duplicates that nothing suppressed."""


def retry_amplification(blocks: Sequence[BlockData]) -> dict[str, Figure]:
    """Attempts / (attempts - retries) by layer, and ``total``, the product of the layers measured."""
    figures: dict[str, Figure] = {layer: _amplification(blocks, layer) for layer in LAYERS}
    measured = [figure for figure in figures.values() if not isinstance(figure, Missing)]
    total: Figure = math.prod(measured) if measured else Missing("no layer was measured")
    return {"total": total, **figures}


def _amplification(blocks: Sequence[BlockData], layer: str) -> Figure:
    if not blocks:
        return NO_BLOCK
    # The harness makes AWS calls of its own (it watches the queues); they are no saga's.
    attempts = _sum(blocks, ATTEMPTS, "worker", "ingress", layer=layer)
    retries = _sum(blocks, RETRIES, "worker", "ingress", layer=layer)
    if attempts == 0:
        return Missing(f"there is no series of the {layer} layer", expected=layer in OPTIONAL_LAYERS)
    if retries >= attempts:
        return Missing(f"{attempts:.0f} attempts and {retries:.0f} retries do not agree")
    return attempts / (attempts - retries)


def duplicates(blocks: Sequence[BlockData], audits: Sequence[Audit]) -> tuple[Figure, Figure]:
    """(delivered, suppressed): from the series, and effects that the audit found applied again as delivered."""
    if not blocks:
        return NO_BLOCK, NO_BLOCK
    unseen = _unseen(blocks, "worker")
    if unseen is not None:
        return unseen, unseen
    suppressed = _sum(blocks, SUPPRESSED)
    numbers = {data.block.block for data in blocks}
    applied_again = sum(
        anomaly.count
        for audit in audits
        if audit.block in numbers
        for anomaly in audit.anomalies
        if anomaly.name in APPLIED_TWICE
    )
    return _sum(blocks, DELIVERED) + applied_again, suppressed


def aws_calls_per_saga(blocks: Sequence[BlockData]) -> Figure:
    """AWS calls of workers and ingress by ended saga; what was called in the drain counts, SDK retries do not."""
    if not blocks:
        return NO_BLOCK
    unseen = _unseen(blocks, "worker", "ingress")
    return unseen or _per_saga(blocks, _sum(blocks, AWS_CALLS, "worker", "ingress"))


def cpu_ms_per_saga(blocks: Sequence[BlockData]) -> Figure:
    """CPU milliseconds of all processes of ours from the start of the load, drain included, by ended saga."""
    if not blocks:
        return NO_BLOCK
    for data in blocks:
        for kind in CPU_KINDS:
            if not data.of_kind(CPU, kind):
                return Missing(f"{data.name} has no CPU time of a {kind} process")
    seconds = sum(cpu_seconds(track) for data in blocks for track in data.of_kind(CPU, *CPU_KINDS, "harness"))
    return _per_saga(blocks, 1000 * seconds)


def machine_busy_share(data: BlockData, cores: int) -> float | None:
    """Share of all processors that was busy over the load of a block, whoever used them."""
    load_s = data.block.load_ended_s or data.block.duration_s
    busy = [cores_busy(track, load_s) for track in data.of_kind(MACHINE_CPU)]
    return busy[0] / cores if busy and busy[0] is not None and cores else None


def _per_saga(blocks: Sequence[BlockData], amount: float) -> Figure:
    ended = sum(len(data.ended) for data in blocks)
    return amount / ended if ended else NO_END


def _unseen(blocks: Sequence[BlockData], *kinds: str) -> Missing | None:
    """The reason why a counter that is not there cannot be taken for zero."""
    for data in blocks:
        for kind in kinds:
            if not data.scraped(kind):
                return Missing(f"{data.name} has no series of a {kind} process")
    return None


def _sum(blocks: Sequence[BlockData], metric: str, *kinds: str, **labels: str) -> float:
    return sum(counted(track) for data in blocks for track in data.of_kind(metric, *kinds) if _matches(track, labels))


def _matches(track: Track, labels: dict[str, str]) -> bool:
    return all(track.labels.get(name) == value for name, value in labels.items())
