"""What a gate can ask of: the figures of ``summary.json`` by their path, their units, and a few of a gate's own."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from harness import registry
from harness.audit.auditor import Audit
from harness.core.errors import UsageError
from harness.core.saga import Command, Saga, WorkloadPlan
from harness.gate.model import Window
from harness.history.run_file import RunFile
from harness.report.figures import NO_BLOCK, NO_END, Figure, Missing
from harness.report.judge import UNSERVED_LIMIT
from harness.report.metrics import COUNTS, FIGURES, RECOVERY, figure
from harness.report.quantiles import QUANTILES, samples_needed
from harness.report.run_data import BlockData
from harness.report.timeline import storm_span_s

COMPENSATED_UNREFUSED = "compensated_unrefused_rate"
ANOMALIES = "anomalies."
FAULTS = "faults."
REQUESTS_TRIED = 100
"""From which it is found out what a saga's steps can refuse with; a basket of any kind is among so many."""


@dataclass(frozen=True)
class Metric:
    """``less_is_worse``: a goodput, say. ``by_arrival``: it is made of sagas alone, so that a window can be cut out of it.
    ``needs``: ended sagas without which it says nothing. ``grows``: no further block can make it smaller. ``compared``: what
    :mod:`harness.report.compare` calls it."""

    path: str
    unit: str = ""
    less_is_worse: bool = False
    by_arrival: bool = False
    needs: int = 1
    grows: bool = False
    compared: str | None = None


_UNITS: Final = (("_per_s", "/s"), ("_ms", "ms"), ("_ms_per_saga", "ms"), ("_s", "s"), ("_rate", "%"))
"""Names end in their unit, so that a new figure has one here at once."""
_FACTORS: Final = ("retry_amplification", "amplification_peak")
_GROWS: Final = frozenset(
    {*COUNTS, *RECOVERY, "amplification_peak", "peak_backlog", "peak_oldest_s", "duplicates.delivered"}
    | {"duplicates.suppressed", "dead_letters", "sweeper_repairs", "sweeper_expired", "breaker_openings"}
)
"""Sums over blocks, and figures of the worst of them."""


def _unit(path: str) -> str:
    name = path.partition(".")[0]
    if name in _FACTORS:
        return "x"
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _metrics() -> dict[str, Metric]:
    needs = {
        **{f"completion_ms.{name}": samples_needed(q) for name, q in QUANTILES.items()},
        # As in a comparison: with fewer, one saga is more than 5 percentage points.
        "compensation_rate": samples_needed(0.95),
        COMPENSATED_UNREFUSED: samples_needed(0.95),
    }
    compared = {f"completion_ms.{name}": f"completion {name}" for name in QUANTILES}
    compared |= {"compensation_rate": "compensation rate", "throughput_per_s": "throughput"}
    by_arrival = {*COUNTS, *needs}
    less_is_worse = {"throughput_per_s", "goodput_in_storm_per_s", "accepted", "completed"}
    return {
        path: Metric(
            path,
            _unit(path),
            less_is_worse=path in less_is_worse,
            by_arrival=path in by_arrival,
            needs=needs.get(path, 1),
            grows=path in _GROWS,
            compared=compared.get(path),
        )
        for path in (*FIGURES, COMPENSATED_UNREFUSED)
    }


METRICS: Final[Mapping[str, Metric]] = _metrics()
"""By path; ``anomalies.<name>`` and ``faults.<name>`` come besides, see :func:`metric_of`."""


def metric_of(path: str, anomalies: Collection[str]) -> Metric | str:
    """The metric at a path, or what would have been valid. A storm's faults are known only once there is a run."""
    if path in METRICS:
        return METRICS[path]
    if path.startswith(FAULTS) and len(path) > len(FAULTS):
        return Metric(path, less_is_worse=True, grows=True)
    known = [*METRICS, *(ANOMALIES + name for name in anomalies)]
    if path in known:
        return Metric(path, grows=True)
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    below = [name for name in known if name.startswith(f"{path}.")]
    if below:
        return f"one of: {', '.join(below)}"
    return f"did you mean {near[0]}? docs/gates.md lists them all" if near else f"one of: {', '.join(known)}"


def in_window(blocks: Sequence[BlockData], window: Window | None) -> list[BlockData]:
    """The blocks as if they had lasted from the beginning to the end of the window, with the sagas that were due in it.

    A block without a storm has no such window and is left out.
    """
    if window is None:
        return list(blocks)
    return [_cut(data, *span_s) for data in blocks if (span_s := _span_s(data, window))]


def _span_s(data: BlockData, window: Window) -> tuple[float, float] | None:
    storm_s = storm_span_s(data)
    if storm_s is None:
        return None
    spans = {
        Window.BEFORE: (0.0, storm_s[0]),
        Window.DURING: storm_s,
        Window.AFTER: (storm_s[1], data.block.duration_s),
    }
    start_s, end_s = spans[window]
    return (start_s, end_s) if end_s > start_s else None


def _cut(data: BlockData, start_s: float, end_s: float) -> BlockData:
    rows = [
        msgspec.structs.replace(row, scheduled_s=row.scheduled_s - start_s)
        for row in data.sagas
        if start_s <= row.scheduled_s < end_s
    ]
    block = msgspec.structs.replace(data.block, scheduled=len(rows), duration_s=end_s - start_s)
    return replace(data, block=block, sagas=rows)


def observed(path: str, run: RunFile, blocks: Sequence[BlockData], audits: Sequence[Audit]) -> Figure:
    """One figure over blocks of one run and topology; see :func:`harness.report.metrics.figure` for what is missing."""
    if path == COMPENSATED_UNREFUSED:
        return compensated_unrefused_rate(blocks, run.settings.saga)
    return figure(run, path, blocks, audits)


def survivors_only(path: str, blocks: Sequence[BlockData]) -> str | None:
    """Why a figure of ended sagas is none of all: more than :data:`.judge.UNSERVED_LIMIT` of them, the slowest, never ended."""
    if path not in METRICS or METRICS[path].needs == 1:
        return None
    lost, ended = (
        sum(map(len, rows)) for rows in zip(*((data.unresolved, data.ended) for data in blocks), strict=True)
    )
    if lost <= UNSERVED_LIMIT * (lost + ended):
        return None
    return f"{lost} of {lost + ended} sagas have no known end, and it is of the others only"


def compensated_unrefused_rate(blocks: Sequence[BlockData], saga: str) -> Figure:
    """Sagas that were undone although no step refused them, by ended sagas: what a storm costs beyond what the data refuses.

    A client is told why its saga was undone. Where that is one of the refusals of the saga's own actions, the data held
    it; where it is anything else, such as a timeout, trouble did.
    """
    if not blocks:
        return NO_BLOCK
    try:
        refusals = refusals_of(registry.saga(saga))
    except UsageError:
        return Missing(f"the saga {saga} is not installed here, so what its steps refuse with is not known")
    ended = [row for data in blocks for row in data.ended]
    undone = [row for row in ended if row.outcome == "compensated"]
    if untold := sum(row.reason is None for row in undone):
        return Missing(f"{untold} clients were not told why their sagas were undone")
    return sum(row.reason not in refusals for row in undone) / len(ended) if ended else NO_END


def refusals_of(saga: Saga) -> frozenset[str]:
    """What the saga's actions can say no with. They are pure, so they can be asked."""
    workload = saga.workload(WorkloadPlan(seed=1, arrivals=REQUESTS_TRIED))
    return frozenset(
        write.refusal
        for arrival in range(REQUESTS_TRIED)
        for step in saga.steps
        if step.refused
        for write in step.action(Command("asked", step.name, workload.request(arrival))).writes
        if write.refusal
    )
