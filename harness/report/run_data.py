"""A saved run as the report needs it: read once, so that every figure is made from the same records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.history.history import History
from harness.history.records import Block, EventRow, FaultRow, SagaRow
from harness.history.run_file import RunFile
from harness.report.quantiles import Floats
from harness.report.series import Track, tracks

ATTEMPTS = "sagastorm_attempts_total"
RETRIES = "sagastorm_retries_total"
DELIVERED = "sagastorm_duplicates_delivered_total"
SUPPRESSED = "sagastorm_duplicates_suppressed_total"
AWS_CALLS = "sagastorm_aws_calls_total"
STEP_ATTEMPTS = "sagastorm_step_attempts_total"
COMPLETIONS = "sagastorm_saga_completion_seconds_count"
QUEUE = "sagastorm_queue_messages"
CPU = "process_cpu_seconds_total"
MACHINE_CPU = "machine_cpu_busy_seconds_total"
MACHINE_WORK = "machine_work_seconds"
BACKEND_CALL = "backend_call_seconds"
SWEEPER_REPAIRS = "sagastorm_sweeper_repairs_total"
SWEEPER_EXPIRED = "sagastorm_sweeper_expired_total"
BREAKER_STATE = "sagastorm_breaker_state"
BREAKER_CHANGES = "sagastorm_breaker_transitions_total"
METRICS = (
    ATTEMPTS, RETRIES, DELIVERED, SUPPRESSED, AWS_CALLS, STEP_ATTEMPTS, COMPLETIONS, QUEUE, CPU, MACHINE_CPU, MACHINE_WORK,
    BACKEND_CALL, SWEEPER_REPAIRS, SWEEPER_EXPIRED, BREAKER_STATE, BREAKER_CHANGES,
)  # fmt: skip


@dataclass(frozen=True)
class BlockData:
    """One block with its client rows, strikes, events and series."""

    block: Block
    sagas: list[SagaRow]
    faults: list[FaultRow]
    events: list[EventRow]
    series: dict[str, list[Track]]

    @property
    def name(self) -> str:
        """How sentences name the block. People count from 1, as the run does when it tells of its blocks."""
        return f"block {self.block.block + 1} ({self.block.topology})"

    @cached_property
    def ended(self) -> list[SagaRow]:
        """Sagas whose end the client knows."""
        return [row for row in self.sagas if row.outcome is not None and row.completion_ms is not None]

    @cached_property
    def accepted(self) -> frozenset[int]:
        """Numbers of the arrivals that the ingress took."""
        return frozenset(row.arrival for row in self.sagas if row.status == "accepted")

    @cached_property
    def unresolved(self) -> list[SagaRow]:
        """Sagas that were started, or may have been (status ``error``), and whose end is not known."""
        return [row for row in self.sagas if row.status in ("accepted", "error") and row.outcome is None]

    @cached_property
    def completion_ms(self) -> Floats:
        """Completion time of every ended saga, from its scheduled start."""
        return np.array([row.completion_ms for row in self.ended], dtype=float)

    @cached_property
    def ended_s(self) -> Floats:
        """When each ended saga ended, in seconds from the start of the load; in the order of :attr:`ended`."""
        scheduled = np.array([row.scheduled_s for row in self.ended], dtype=float)
        return scheduled + self.completion_ms / 1000

    def of_kind(self, metric: str, *kinds: str) -> list[Track]:
        """The series of a metric, of processes of these kinds (all, where none is named)."""
        return [track for track in self.series.get(metric, []) if not kinds or track.kind in kinds]

    def scraped(self, kind: str) -> bool:
        """Whether any process of this kind gave any series: without, a missing counter is no zero."""
        return any(self.of_kind(metric, kind) for metric in METRICS)


@dataclass(frozen=True)
class RunData:
    """A run and its blocks, in the order in which they ran."""

    run: RunFile
    blocks: list[BlockData]

    @property
    def topologies(self) -> list[str]:
        """As configured, then any other that has blocks."""
        return list(dict.fromkeys([*self.run.settings.topologies, *(data.block.topology for data in self.blocks)]))

    @property
    def cores(self) -> int:
        """Processors that the run could use; 0 where that is not known."""
        cores = self.run.machine.get("cores", 0)
        return cores if isinstance(cores, int) else 0

    def complete(self, topology: str) -> list[BlockData]:
        """The topology's blocks that ran to their end: figures come from these only."""
        return [data for data in self.blocks if data.block.topology == topology and data.block.state == "complete"]


def read_run(run: RunFile, history: History) -> RunData:
    """Everything that the report uses of a history."""
    return RunData(run, [_read_block(history, block) for block in history.blocks()])


def _read_block(history: History, block: Block) -> BlockData:
    number = block.block
    return BlockData(
        block=block,
        sagas=history.sagas(number),
        faults=history.faults(number),
        events=history.events(number),
        series={metric: tracks(history.samples(number, metric)) for metric in METRICS},
    )
