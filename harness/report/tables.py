"""The tables of a report as rows of text. Where they are drawn, and how, is the drawer's matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.compare import Comparison, Difference
from harness.report.faults import Trouble
from harness.report.model import BlockFigures, Report
from harness.report.summary import TopologySummary
from harness.report.wording import NOT_MEASURED, count, measured, number, plain, ratio, ratio_interval

LAYERS = {"sdk": "SDK", "delivery": "delivery", "stepfunctions": "Step Functions"}


@dataclass(frozen=True)
class Row:
    """One metric: a cell for each topology, and its difference in each comparison, where it is compared."""

    label: str
    cells: tuple[str, ...]
    differences: tuple[Difference | None, ...]
    starts_group: bool = False


@dataclass(frozen=True)
class _Line:
    label: str
    cell: Callable[[TopologySummary], str]
    metric: str | None = None
    starts_group: bool = False


def comparison_rows(report: Report) -> list[Row]:
    """All metrics of the summary, in the order in which a reader asks for them."""
    return [
        Row(
            line.label,
            tuple(line.cell(topology) for topology in report.topologies.values()),
            tuple(comparison.of(line.metric) if line.metric else None for comparison in report.comparisons),
            line.starts_group,
        )
        for line in _LINES
    ]


def _amplification(layer: str) -> Callable[[TopologySummary], str]:
    return lambda topology: measured(topology.retry_amplification[layer], "x")


_LINES = (
    _Line("completion p50", lambda t: measured(t.completion_ms.p50, "ms"), "completion p50"),
    _Line("completion p95", lambda t: measured(t.completion_ms.p95, "ms"), "completion p95"),
    _Line("completion p99", lambda t: measured(t.completion_ms.p99, "ms"), "completion p99"),
    _Line("throughput", lambda t: measured(t.throughput_per_s, "/s"), "throughput"),
    _Line("compensation rate", lambda t: measured(t.compensation_rate, "%"), "compensation rate"),
    _Line("recovery after the storm", lambda t: measured(t.recovery_s, "s")),
    _Line("scheduled", lambda t: count(t.scheduled), starts_group=True),
    _Line("  dropped", lambda t: count(t.dropped)),
    _Line("  accepted", lambda t: count(t.accepted)),
    _Line("    completed", lambda t: count(t.completed)),
    _Line("    compensated", lambda t: count(t.compensated)),
    _Line("    unresolved", lambda t: count(t.unresolved)),
    _Line("retry amplification", _amplification("total"), starts_group=True),
    *(_Line(f"  {name}", _amplification(layer)) for layer, name in LAYERS.items()),
    _Line("duplicates delivered", lambda t: count(t.duplicates.delivered)),
    _Line("  suppressed", lambda t: count(t.duplicates.suppressed)),
    _Line("AWS calls per saga", lambda t: number(t.aws_calls_per_saga), starts_group=True),
    _Line("CPU per saga", lambda t: measured(t.cpu_ms_per_saga, "ms")),
)


@dataclass(frozen=True)
class Headline:
    """One of the differences that a report leads with."""

    title: str
    value: str
    interval: str
    detail: str
    clear: bool
    difference: Difference


def headlines(comparison: Comparison) -> list[Headline]:
    """What is typical (p50), what is worst (the highest quantile measured), and what was got done.

    The third is the compensation rate where it clearly differs, for an order that was undone was not got done; else
    the throughput.
    """
    tail = next((name for name in ("p99", "p95") if comparison.of(f"completion {name}").base is not None), "p99")
    third = "compensation rate" if comparison.of("compensation rate").clear else "throughput"
    return [_headline(comparison, comparison.of(metric)) for metric in ("completion p50", f"completion {tail}", third)]


def _headline(comparison: Comparison, difference: Difference) -> Headline:
    base, other = measured(difference.base, difference.unit), measured(difference.other, difference.unit)
    return Headline(
        title=difference.metric,
        value=ratio(difference),
        interval=ratio_interval(difference),
        detail=difference.why or f"{other} {comparison.other}, {base} {comparison.base}",
        clear=difference.clear,
        difference=difference,
    )


def conclusion(comparison: Comparison, headline: Headline) -> str:
    """A headline as a sentence."""
    if headline.difference.difference is None:
        return f"{headline.title}: not compared: {headline.detail}."
    interval = f" ({headline.interval})" if headline.interval else ""
    clear = "" if headline.clear else ": no clear difference"
    return f"{headline.title}: {headline.value}{interval}, {headline.detail}{clear}."


def hop_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """(hop, p50, p95, samples) of the backend by itself."""
    instrument = report.run.instrument
    hops = instrument.hops if instrument else {}
    return [
        (name.replace("_", " "), f"{hop.p50_ms:.1f} ms", f"{hop.p95_ms:.1f} ms", count(hop.samples))
        for name, hop in hops.items()
    ]


def fault_rows(report: Report) -> list[tuple[str, tuple[str, ...], str]]:
    """(fault, strikes by topology, what the struck sagas have in common)."""
    return [
        (plain(trouble.fault), tuple(count(fired) for fired in trouble.fired.values()), sagas_in_common(trouble))
        for trouble in report.trouble
    ]


def sagas_in_common(trouble: Trouble) -> str:
    """``19 of 19``, or how many were struck in one topology only."""
    common = len(trouble.common)
    if trouble.same:
        return f"all {common}" if common else "none"
    only = ", ".join(f"{len(trouble.only(topology))} only {topology}" for topology in trouble.struck)
    return f"{common}; {only}"


def block_rows(report: Report) -> list[tuple[str, ...]]:
    """Block, round, topology, state, ended, p50, p95, throughput, compensation rate, drain."""
    return [
        (
            str(block.block),
            str(block.round),
            block.topology,
            block.state,
            _ended(block),
            measured(block.p50_ms, "ms"),
            measured(block.p95_ms, "ms"),
            measured(block.throughput_per_s, "/s"),
            measured(block.compensation_rate, "%"),
            NOT_MEASURED if block.drained_after_s is None else f"{block.drained_after_s:.1f} s",
        )
        for block in report.blocks
    ]


BLOCK_HEADINGS = ("block", "round", "topology", "state", "ended", "p50", "p95", "thr.put", "comp.", "drain")


def _ended(block: BlockFigures) -> str:
    return NOT_MEASURED if block.outcomes is None else count(block.outcomes.completed + block.outcomes.compensated)


def spread_line(report: Report) -> str:
    """How far the blocks of each topology lie apart."""
    parts = [
        f"{spread.topology} {'not known from one block' if spread.p50_ratio is None else f'{spread.p50_ratio:.2f}x'}"
        for spread in report.spreads
    ]
    return f"Largest by smallest p50 of a topology's blocks: {', '.join(parts)}."


@dataclass(frozen=True)
class AnomalyRow:
    """One kind of anomaly in one block."""

    where: str
    name: str
    count: int
    witness: str
    sagas: tuple[str, ...]


def anomaly_rows(report: Report) -> list[AnomalyRow]:
    """Every anomaly of every block."""
    return [
        AnomalyRow(
            f"block {audit.block}, {audit.topology}",
            anomaly.name,
            anomaly.count,
            plain(anomaly.witness),
            tuple(plain(saga) for saga in anomaly.sagas),
        )
        for audit in report.audits
        for anomaly in audit.anomalies
    ]


def no_anomaly_line(report: Report) -> str:
    """What to say where no anomaly was found: that is good news only where everything could be looked at."""
    verdicts = {verdict.value for audit in report.audits for verdict in audit.checks.values()}
    if not report.audits:
        return "No block was audited."
    if verdicts == {"valid"}:
        checks = sorted({name for audit in report.audits for name in audit.checks})
        return f"None. {len(checks)} checks over {len(report.audits)} blocks are valid: {', '.join(checks)}."
    return "None found, but not everything could be checked; see the reasons."
