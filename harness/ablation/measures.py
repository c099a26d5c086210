"""What an ablation measures of every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.ablation.change import Change, Value, mean, of_blocks, of_sagas, of_unresolved, value_of
from harness.report.compare import Comparison
from harness.report.figures import compensation_rate, completion_quantile
from harness.report.metrics import values_by_block
from harness.report.model import Report
from harness.report.quantiles import QUANTILES
from harness.report.run_data import BlockData

NOT_DRAINED = "not_drained"
"""1 for a block whose queues and executions did not run empty within the limit, else 0."""
ANOMALIES = "anomalies."


@dataclass(frozen=True)
class Seen:
    """A complete block, and its values by the path of each figure."""

    data: BlockData
    values: Mapping[str, Value]
    audited: bool

    def value(self, path: str) -> Value:
        """Of an anomaly that was not found there are none, if anybody looked."""
        return self.values.get(path, 0.0 if self.audited and path.startswith(ANOMALIES) else None)


@dataclass(frozen=True)
class Measure:
    """Something that is measured of every block. ``path``: of the figure, as ``summary.json`` has it.

    ``heading``: of its column in the table of figures, if it has one. ``less_is_worse``: a goodput, say. ``is_fact``: it
    counts what should not be there at all. ``compared``: it is of sagas, and :mod:`harness.report.compare` calls it that.
    """

    name: str
    path: str
    unit: str = ""
    heading: str | None = None
    less_is_worse: bool = False
    is_fact: bool = False
    compared: str | None = None

    def value(self, blocks: Sequence[Seen]) -> Value:
        """Over several blocks: their mean, but of a quantile or a share that of all their sagas."""
        if self.compared and blocks:
            data = [seen.data for seen in blocks]
            name = self.path.rpartition(".")[2]
            return value_of(
                completion_quantile(data, name, QUANTILES[name]) if name in QUANTILES else compensation_rate(data)
            )
        return mean([seen.value(self.path) for seen in blocks])

    def change(self, pairs: Sequence[tuple[Seen, Seen]], comparison: Comparison, seed: int) -> Change:
        """Between blocks that met the same load, in pairs that were compared."""
        if self.compared:
            return of_sagas(comparison.of(self.compared), less_is_worse=self.less_is_worse)
        if self is ZOMBIES:
            return of_unresolved([(base.data, other.data) for base, other in pairs], seed)
        values = [(base.value(self.path), other.value(self.path)) for base, other in pairs]
        return of_blocks(values, less_is_worse=self.less_is_worse, is_fact=self.is_fact)


ZOMBIES = Measure("zombies", "unresolved", heading="zombies", is_fact=True)
"""Sagas without a known end when the drain was over."""
MEASURES: tuple[Measure, ...] = (
    Measure("compensated", "compensation_rate", "%", "undone", compared="compensation rate"),
    ZOMBIES,
    Measure("dead letters", "dead_letters", "", "dead", is_fact=True),
    Measure("did not run empty", NOT_DRAINED, "", is_fact=True),
    Measure("completion p50", "completion_ms.p50", "ms", compared="completion p50"),
    Measure("completion p99", "completion_ms.p99", "ms", "p99", compared="completion p99"),
    Measure("amplification", "retry_amplification.total", "x", "retries"),
    *(
        Measure(f"amplification by {name}", f"retry_amplification.{layer}", "x", heading)
        for layer, name, heading in (
            ("sdk", "the SDK", "SDK"),
            ("delivery", "delivery", "delivery"),
            ("stepfunctions", "Step Functions", "states"),
        )
    ),
    Measure("highest amplification", "amplification_peak", "x"),
    Measure("peak backlog", "peak_backlog", "", "backlog"),
    Measure("oldest saga", "peak_oldest_s", "s", "oldest"),
    Measure("goodput in the storm", "goodput_in_storm_per_s", "/s", "goodput", less_is_worse=True),
    Measure("recovery", "recovery_s", "s", "recovery"),
    Measure("AWS calls per saga", "aws_calls_per_saga"),
)
"""Those that every cell has, in the order of the table; before them come the anomalies that were found."""


def anomaly(name: str) -> Measure:
    """How often the audit found this."""
    return Measure(name, ANOMALIES + name, is_fact=True)


def see(report: Report) -> list[Seen]:
    """The complete blocks of a run."""
    audited = {audit.block for audit in report.audits}
    blocks = {data.block.block: data for data in report.data.blocks}
    found = []
    for each in values_by_block(report.data, report.audits):
        data = blocks[each.block]
        values = {path: value_of(figure) for path, figure in each.values.items()}
        values[NOT_DRAINED] = None if data.block.drained is None else float(not data.block.drained)
        found.append(Seen(data, values, audited=each.block in audited))
    return found
