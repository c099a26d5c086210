"""Blocks of a few sagas, put together in memory: what the tests of single figures and rules need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from harness.history.records import Block, FaultRow, SagaRow
from harness.report.run_data import COMPLETIONS, CPU, MACHINE_CPU, QUEUE, BlockData, RunData
from harness.report.series import Track
from tests.report import synthetic_run

DURATION_S = 20.0


def saga(arrival: int, scheduled_s: float, took_ms: float | None = 200.0, **changes: Any) -> SagaRow:
    """A completed saga; without ``took_ms``, one whose end is not known."""
    row = SagaRow(
        arrival=arrival,
        scheduled_s=scheduled_s,
        status="accepted",
        saga_id=f"s-{arrival}",
        sent_s=scheduled_s + 0.005,
        outcome=None if took_ms is None else "completed",
        completion_ms=took_ms,
    )
    return msgspec.structs.replace(row, **changes)


def sagas(count: int, took_ms: float = 200.0, duration_s: float = DURATION_S) -> list[SagaRow]:
    """Sagas at equal distances over the load."""
    return [saga(number, number * duration_s / count, took_ms) for number in range(count)]


def fault(name: str, arrival: int, t_s: float = 5.0) -> FaultRow:
    """One strike."""
    return FaultRow(
        t_s=t_s,
        worker="worker-1",
        fault=name,
        saga_id=f"s-{arrival}",
        arrival=arrival,
        participant="payment",
        step="charge",
        attempt="0.1",
    )


def track(target: str, samples: Sequence[tuple[float, float]], **labels: str) -> Track:
    """One series from (second, value) pairs."""
    return Track(target, labels, np.array([t for t, _ in samples]), np.array([v for _, v in samples]))


def depth(*samples: tuple[float, float], queue: str = "payment", state: str = "visible") -> Track:
    """Readings of a queue, as the harness takes them."""
    return track("harness", samples, queue=queue, state=state)


def healthy_series(rows: Sequence[SagaRow]) -> dict[str, list[Track]]:
    """A load process that counted all that ended, a backend that kept half a core busy, a machine half busy, no backlog."""
    ended = sum(row.completion_ms is not None for row in rows)
    return {
        COMPLETIONS: [track("load-1", [(-0.5, 0.0), (30.0, float(ended))], outcome="completed")],
        CPU: [
            track("load-1", [(-0.5, 1.0), (30.0, 2.0)]),
            track("ingress-1", [(-0.5, 1.0), (30.0, 2.0)]),
            track("worker-1", [(-0.5, 1.0), (30.0, 5.0)]),
            track("harness", [(-0.5, 1.0), (30.0, 2.0)]),
            track("backend-1", [(-0.5, 1.0), (DURATION_S, 11.0), (30.0, 11.5)]),
        ],
        QUEUE: [depth((-0.5, 0.0))],
        MACHINE_CPU: [track("machine", [(-0.5, 100.0), (DURATION_S, 100.0 + DURATION_S), (30.0, 200.0)])],
    }


def block(
    number: int = 0,
    topology: str = "orchestrated",
    *,
    rows: Sequence[SagaRow] | None = None,
    faults: Iterable[FaultRow] = (),
    series: dict[str, list[Track]] | None = None,
    **changes: Any,
) -> BlockData:
    """A block in which everything is as it should be, but for ``changes`` to its record."""
    rows = sagas(120) if rows is None else rows
    record = Block(
        block=number,
        topology=topology,
        round=number // 2,
        namespace=f"small-{number}",
        duration_s=DURATION_S,
        state="complete",
        collected=True,
        drained=True,
        scheduled=len(rows),
        load_ended_s=DURATION_S,
        drained_s=DURATION_S + 1,
        dead_letters=0,
    )
    return BlockData(
        block=msgspec.structs.replace(record, **changes),
        sagas=list(rows),
        faults=list(faults),
        events=[],
        series=healthy_series(rows) if series is None else series,
    )


def run(*blocks: BlockData, storm: Sequence[dict[str, object]] = (), **settings: Any) -> RunData:
    """A run of these blocks, which are as many as were planned."""
    file = synthetic_run.run(synthetic_run.Spec(interleave="AB"[: len(blocks)] or "A"))
    topologies = tuple(dict.fromkeys(data.block.topology for data in blocks)) or ("orchestrated",)
    changed = msgspec.structs.replace(file.settings, **({"topologies": topologies} | settings))
    return RunData(
        msgspec.structs.replace(file, settings=changed, storm={"name": "small", "faults": list(storm)}), list(blocks)
    )


def pair(**changes: Any) -> RunData:
    """One round: a block of each topology, alike in everything, but for ``changes`` to the second."""
    return run(block(0, "orchestrated"), block(1, "choreographed", **changes))
