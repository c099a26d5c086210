"""Everything that the terminal, the page and the files show, worked out once: they may differ in form only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.audit.auditor import Audit
from harness.history.run_file import RunFile
from harness.report.compare import Comparison, compare
from harness.report.costs import machine_load
from harness.report.faults import Trouble, same_trouble
from harness.report.figures import Figure, Missing, Outcomes, outcomes
from harness.report.judge import Judgement, judge
from harness.report.metrics import RECOVERY, figure
from harness.report.run_data import BlockData, RunData
from harness.report.selection import Chosen
from harness.report.summary import Summary, TopologySummary, summarize_data
from harness.report.traffic import Traffic


@dataclass(frozen=True)
class BlockFigures:
    """One block by itself, so that drift within the run can be seen."""

    block: int
    round: int
    topology: str
    state: str
    outcomes: Outcomes | None
    p50_ms: float | None
    p95_ms: float | None
    throughput_per_s: float | None
    compensation_rate: float | None
    drained_after_s: float | None
    """From the end of the load until queues and executions ran empty."""
    dead_letters: int | None
    machine_busy: float | None
    """Share of all processors that was busy over the load, with us and with others."""


@dataclass(frozen=True)
class Spread:
    """How far a topology's blocks lie apart: the largest p50 by the smallest. 1 means no drift."""

    topology: str
    blocks: int
    p50_ratio: float | None


@dataclass(frozen=True)
class Report:
    """A judged run."""

    data: RunData
    audits: tuple[Audit, ...]
    judgement: Judgement
    summary: Summary
    comparisons: tuple[Comparison, ...]
    trouble: tuple[Trouble, ...]
    blocks: tuple[BlockFigures, ...]
    spreads: tuple[Spread, ...]
    outcomes: dict[str, Outcomes | None]
    """What became of each topology's arrivals."""
    recovery: dict[str, dict[str, Figure]]
    """By topology and path: a topology that did not recover is another thing than one not measured."""
    chosen: tuple[Chosen, ...] = ()
    """Arrivals whose journeys are shown."""
    traffic: tuple[Traffic, ...] = ()
    """Who talked to whom, by topology."""

    @property
    def run(self) -> RunFile:
        """The run file."""
        return self.data.run

    @property
    def figure_notes(self) -> list[str]:
        """Why figures are null."""
        return self.summary.reasons[len(self.judgement.reasons) :]

    @property
    def topologies(self) -> dict[str, TopologySummary]:
        """Figures by topology, in the order of the configuration."""
        return self.summary.topologies


def make_report(
    data: RunData, audits: Sequence[Audit], chosen: Sequence[Chosen] = (), traffic: Sequence[Traffic] = ()
) -> Report:
    """Judge, sum up and compare a run that has been read; what is shown of single steps was chosen before."""
    judgement = judge(data, audits)
    blocks = tuple(_block_figures(data, block) for block in data.blocks)
    return Report(
        data=data,
        audits=tuple(audits),
        judgement=judgement,
        summary=summarize_data(data, audits, judgement),
        comparisons=tuple(compare(data)),
        trouble=tuple(same_trouble(data)),
        blocks=blocks,
        spreads=tuple(_spread(topology, blocks) for topology in data.topologies),
        outcomes={topology: outcomes(data.complete(topology)) for topology in data.topologies},
        recovery={
            topology: {path: figure(data.run, path, data.complete(topology)) for path in RECOVERY}
            for topology in data.topologies
        },
        chosen=tuple(chosen),
        traffic=tuple(traffic),
    )


def _block_figures(run: RunData, data: BlockData) -> BlockFigures:
    block = data.block
    machine = machine_load(data, run.cores)
    complete = [data] if block.state == "complete" else []
    times = (block.load_ended_s, block.drained_s) if block.drained else (None, None)
    drained = times[1] - times[0] if times[0] is not None and times[1] is not None else None

    def known(path: str) -> float | None:
        made = figure(run.run, path, complete)
        return None if isinstance(made, Missing) else made

    return BlockFigures(
        block=block.block,
        round=block.round,
        topology=block.topology,
        state=block.state,
        outcomes=outcomes(complete),
        p50_ms=known("completion_ms.p50"),
        p95_ms=known("completion_ms.p95"),
        throughput_per_s=known("throughput_per_s"),
        compensation_rate=known("compensation_rate"),
        drained_after_s=drained,
        dead_letters=block.dead_letters,
        machine_busy=None if machine is None else machine.busy,
    )


def _spread(topology: str, blocks: Sequence[BlockFigures]) -> Spread:
    medians = [block.p50_ms for block in blocks if block.topology == topology and block.p50_ms]
    return Spread(topology, len(medians), max(medians) / min(medians) if len(medians) > 1 else None)
