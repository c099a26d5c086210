"""Figures made from the Prometheus series: retries, duplicates, AWS calls and CPU time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.audit.auditor import Audit
from harness.report.figures import NO_BLOCK, NO_END, Figure, Missing
from harness.report.run_data import (
    ATTEMPTS,
    AWS_CALLS,
    BACKEND_CALL,
    CPU,
    DELIVERED,
    MACHINE_CPU,
    MACHINE_WORK,
    RETRIES,
    SUPPRESSED,
    BlockData,
)
from harness.report.series import Track, cores_busy, counted, cpu_seconds, span_s

LAYERS = ("sdk", "delivery", "stepfunctions")
OPTIONAL_LAYERS = ("stepfunctions",)
"""A topology without these is whole; without another layer's series something was not measured."""
CPU_KINDS = ("worker", "ingress", "load")
"""Processes whose CPU time must be known for a figure per saga."""
CPU_KINDS_ADDED = ("harness", "sweeper")
"""Processes whose CPU time is added where it is known: a run may do without them."""
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
    """(delivered, suppressed).

    A worker counts a delivery that its participant answered from the idempotency record under both series at once: by
    construction they are equal, so what the workers counted is one fact, the duplicates suppressed. Delivered beyond
    them are those that nothing suppressed. A worker cannot know them; they are the effects that the audit found
    applied again (:data:`APPLIED_TWICE`).
    """
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
    """AWS calls of workers, ingress and sweeper by ended saga; what was called in the drain counts, SDK retries do not."""
    if not blocks:
        return NO_BLOCK
    unseen = _unseen(blocks, "worker", "ingress")
    return unseen or _per_saga(blocks, _sum(blocks, AWS_CALLS, "worker", "ingress", "sweeper"))


def cpu_ms_per_saga(blocks: Sequence[BlockData]) -> Figure:
    """CPU milliseconds of all processes of ours from the start of the load, drain included, by ended saga."""
    if not blocks:
        return NO_BLOCK
    for data in blocks:
        for kind in CPU_KINDS:
            if not data.of_kind(CPU, kind):
                return Missing(f"{data.name} has no CPU time of a {kind} process")
    seconds = sum(cpu_seconds(track) for data in blocks for track in data.of_kind(CPU, *CPU_KINDS, *CPU_KINDS_ADDED))
    return _per_saga(blocks, 1000 * seconds)


@dataclass(frozen=True)
class MachineLoad:
    """How busy the processors were over the load of a block, as shares of all of them."""

    busy: float
    """Whoever used them."""
    ours: float
    """Used by the processes of this run, the backend among them."""

    @property
    def foreign(self) -> float:
        """Used by anything else on the machine."""
        return max(0.0, self.busy - self.ours)


def machine_load(data: BlockData, cores: int) -> MachineLoad | None:
    """``None`` where the machine was not measured, or the number of its processors is not known."""
    load_s = data.block.load_ended_s or data.block.duration_s
    for track in data.of_kind(MACHINE_CPU):
        span, busy = span_s(track, load_s), cores_busy(track, load_s)
        if span is None or busy is None or not cores:
            return None
        # By the machine's own span: a process that was killed in it used its processors for a part of it only.
        ours_s = sum(cpu_seconds(process, *span) for process in data.of_kind(CPU))
        return MachineLoad(busy / cores, ours_s / (span[1] - span[0]) / cores)
    return None


@dataclass(frozen=True)
class MachineWork:
    """What a fixed piece of work took over the load of a block: the longer, the slower the machine was."""

    work: str
    """Which work it was: only what the same work took can be compared."""
    took_s: float
    """The median of what the seconds say: in some of them the process that looks collects its garbage."""


def machine_work(data: BlockData) -> MachineWork | None:
    """``None`` where nobody looked."""
    took_s = _over_load(data, MACHINE_WORK)
    works = {track.labels.get("work", "") for track in data.of_kind(MACHINE_WORK)}
    return MachineWork(",".join(sorted(works)), median(took_s)) if took_s else None


def backend_call_ms(data: BlockData) -> float | None:
    """The median, over the load, of a bare call that was timed once a second; ``None`` where none was."""
    took_ms = [1000 * took_s for took_s in _over_load(data, BACKEND_CALL)]
    return median(took_ms) if took_ms else None


def _over_load(data: BlockData, metric: str) -> list[float]:
    load_s = data.block.load_ended_s or data.block.duration_s
    return [
        value
        for track in data.of_kind(metric)
        for t_s, value in zip(track.times_s.tolist(), track.values.tolist(), strict=True)
        if 0 <= t_s <= load_s
    ]


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
