"""The tables of a report as rows of text. Where they are drawn, and how, is the drawer's matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.compare import Comparison, Difference
from harness.report.faults import Trouble
from harness.report.figures import Figure, Outcomes
from harness.report.model import BlockFigures, Report
from harness.report.summary import Duplicates, TopologySummary
from harness.report.wording import (
    NOT_MEASURED,
    amplified,
    count,
    measured,
    number,
    plain,
    ratio,
    ratio_interval,
    recovered,
    signed,
)

LAYERS = {"sdk": "SDK", "delivery": "delivery", "stepfunctions": "Step Functions"}


@dataclass(frozen=True)
class Row:
    """One metric: a cell for each topology, and its difference in each comparison, where it is compared."""

    label: str
    cells: tuple[str, ...]
    differences: tuple[Difference | None, ...]
    starts_group: bool = False


@dataclass(frozen=True)
class _Seen:
    """What the summary has no key for."""

    outcomes: Outcomes | None
    recovery: Mapping[str, Figure]


@dataclass(frozen=True)
class _Line:
    label: str
    cell: Callable[[TopologySummary, _Seen], str]
    metric: str | None = None
    starts_group: bool = False
    if_measured: bool = False
    """Only where any column has a value: of what not every run has."""


def comparison_rows(report: Report) -> list[Row]:
    """All metrics of the summary, in the order in which a reader asks for them."""
    return metric_rows([(report, topology) for topology in report.topologies], report.comparisons)


def metric_rows(columns: Sequence[tuple[Report, str]], comparisons: Sequence[Comparison]) -> list[Row]:
    """The same of any columns, each a topology of a run."""
    seen = [(report.topologies[name], _Seen(report.outcomes[name], report.recovery[name])) for report, name in columns]
    rows = []
    starts_group = False
    for line in _LINES:
        cells = tuple(line.cell(*each) for each in seen)
        starts_group |= line.starts_group
        if line.if_measured and set(cells) <= {NOT_MEASURED}:
            continue
        differences = tuple(comparison.of(line.metric) if line.metric else None for comparison in comparisons)
        rows.append(Row(line.label, cells, differences, starts_group))
        starts_group = False
    return rows


def _duplicates(found: Duplicates) -> str:
    if found.suppressed is None or found.delivered is None:
        return NOT_MEASURED
    return f"{count(found.suppressed)} of {count(found.delivered)}"


def _amplification(layer: str) -> Callable[[TopologySummary, _Seen], str]:
    return lambda topology, _: amplified(topology.retry_amplification[layer])


def _recovery(path: str) -> Callable[[TopologySummary, _Seen], str]:
    return lambda _, seen: recovered(seen.recovery[path])


_LINES = (
    _Line("completion p50", lambda t, _: measured(t.completion_ms.p50, "ms"), "completion p50"),
    _Line("completion p95", lambda t, _: measured(t.completion_ms.p95, "ms"), "completion p95"),
    _Line("completion p99", lambda t, _: measured(t.completion_ms.p99, "ms"), "completion p99"),
    _Line("throughput", lambda t, _: measured(t.throughput_per_s, "/s"), "throughput"),
    _Line("compensation rate", lambda t, _: measured(t.compensation_rate, "%"), "compensation rate"),
    _Line("recovery after storm", _recovery("recovery_s")),
    _Line("  completion times", _recovery("recovery_completion_s"), if_measured=True),
    _Line("  backlog", _recovery("recovery_backlog_s"), if_measured=True),
    _Line("scheduled", lambda t, _: count(t.scheduled), starts_group=True),
    _Line("  dropped", lambda t, _: count(t.dropped)),
    _Line("  rejected", lambda _, seen: count(seen.outcomes.rejected if seen.outcomes else None)),
    _Line("  no answer", lambda _, seen: count(seen.outcomes.errors if seen.outcomes else None)),
    _Line("  accepted", lambda t, _: count(t.accepted)),
    _Line("    completed", lambda t, _: count(t.completed)),
    _Line("    compensated", lambda t, _: count(t.compensated)),
    _Line("    unresolved", lambda t, _: count(t.unresolved)),
    _Line("retry amplification", _amplification("total"), starts_group=True),
    *(_Line(f"  {name}", _amplification(layer)) for layer, name in LAYERS.items()),
    _Line("  highest in 2 s", lambda t, _: amplified(t.amplification_peak)),
    _Line("duplicates suppressed", lambda t, _: _duplicates(t.duplicates)),
    _Line(
        "offered in storm", lambda t, _: measured(t.offered_in_storm_per_s, "/s"), starts_group=True, if_measured=True
    ),
    _Line("goodput in storm", lambda t, _: measured(t.goodput_in_storm_per_s, "/s"), if_measured=True),
    _Line("peak backlog, messages", lambda t, _: count(t.peak_backlog)),
    _Line("oldest saga under way", lambda t, _: measured(t.peak_oldest_s, "s")),
    _Line("dead letters", lambda t, _: count(t.dead_letters)),
    _Line("sweeper repairs", lambda t, _: count(t.sweeper_repairs), if_measured=True),
    _Line("  given up", lambda t, _: count(t.sweeper_expired), if_measured=True),
    _Line("breaker openings", lambda t, _: count(t.breaker_openings), if_measured=True),
    _Line("AWS calls per saga", lambda t, _: number(t.aws_calls_per_saga), starts_group=True),
    _Line("CPU per saga", lambda t, _: measured(t.cpu_ms_per_saga, "ms")),
)


@dataclass(frozen=True)
class Headline:
    """One of the differences that a report leads with. ``values``: the other topology's against the base's."""

    title: str
    value: str
    interval: str
    values: str
    clear: bool
    why: str | None


LEADING = 3
"""How many differences a report leads with."""
LEADING_RULE = "Shown first: clear differences, the largest first; then completion p50, the tail, throughput"
"""As :func:`headlines` chooses, for the page. The tail is p99, or p95 where that is clear and p99 is not."""


def headlines(comparison: Comparison) -> list[Headline]:
    """The differences that matter most: the clear ones, the largest first, before those that are not.

    How large a difference is, is the least that its interval allows. Without any that is clear: what is typical (p50),
    what is worst (the highest quantile measured), and what was got done.
    """
    tails = [comparison.of(f"completion {name}") for name in ("p99", "p95")]
    measured_tails = [tail for tail in tails if tail.base is not None] or tails
    tail = next((tail for tail in measured_tails if tail.clear), measured_tails[0])
    rest = [comparison.of(metric) for metric in ("completion p50", tail.metric, "throughput", "compensation rate")]
    return [_headline(difference) for difference in sorted(rest, key=_least, reverse=True)[:LEADING]]


def lead(comparison: Comparison) -> str:
    """What a comparison comes to, in one sentence."""
    known = [each for each in comparison.differences if each.difference is not None]
    clear = [each.metric for each in known if each.clear]
    if not known:
        return "Nothing could be compared."
    if not clear:
        return f"None of the {len(known)} figures that could be compared differs clearly."
    differ = "differs" if len(clear) == 1 else "differ"
    return f"Of {len(known)} figures that could be compared, {len(clear)} {differ} clearly: {', '.join(clear)}."


def _least(difference: Difference) -> float:
    """The least change that a clear difference stands for, as a share; points of a share count as they are."""
    interval = difference.difference_interval if difference.share else difference.ratio_interval
    if not difference.clear or interval is None:
        return 0.0
    ends = (interval.low, interval.high)
    if difference.share:
        return min(map(abs, ends))
    return min(abs(math.log(end)) for end in ends) if min(ends) > 0 else 0.0


def _headline(difference: Difference) -> Headline:
    base, other = measured(difference.base, difference.unit), measured(difference.other, difference.unit)
    return Headline(
        title=difference.metric,
        value=ratio(difference),
        interval=ratio_interval(difference),
        values=f"{other} against {base}",
        clear=difference.clear,
        why=difference.why,
    )


def conclusion(headline: Headline) -> str:
    """A headline as a sentence."""
    if headline.value == NOT_MEASURED:
        return f"{headline.title}: not compared: {headline.why}."
    if not headline.interval:
        return f"{headline.title}: {headline.values}, {headline.value}, without an interval: {headline.why}."
    clear = "" if headline.clear else ": no clear difference"
    return f"{headline.title}: {headline.values}, {headline.value} ({headline.interval}){clear}."


def outcome_parts(counts: Outcomes | None) -> list[dict[str, Any]]:
    """What became of the arrivals, of those parts that are not empty."""
    if counts is None:
        return []
    parts = {
        "completed": counts.completed,
        "compensated": counts.compensated,
        # Of the sagas without an answer, those whose end is not known are told as that.
        "unresolved": max(0, counts.unresolved - counts.errors),
        "no answer": counts.errors,
        "rejected": counts.rejected,
        "dropped": counts.dropped,
    }
    total = sum(parts.values())
    return [
        {"label": label, "count": count(amount), "share": round(100 * amount / total, 1)}
        for label, amount in parts.items()
        if amount
    ]


def hop_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """(hop, p50, p95, samples) of the backend by itself."""
    instrument = report.run.instrument
    hops = dict(instrument.hops) if instrument else {}
    if instrument and instrument.idle_call:
        hops["sampled call"] = instrument.idle_call
    return [
        (name.replace("_", " "), measured(hop.p50_ms, "ms"), measured(hop.p95_ms, "ms"), count(hop.samples))
        for name, hop in hops.items()
    ]


def fault_rows(report: Report) -> list[tuple[str, tuple[str, ...], str]]:
    """(fault, strikes by topology, what the struck sagas have in common)."""
    return [
        (fault_label(trouble), tuple(count(fired) for fired in trouble.fired.values()), sagas_in_common(trouble))
        for trouble in report.trouble
    ]


def fault_label(trouble: Trouble) -> str:
    """The fault's name, with a hint where its strikes are what was scheduled, not what a worker did."""
    return plain(trouble.fault) + (" (scheduled)" if trouble.scheduled else "")


def collateral_lines(report: Report) -> list[str]:
    """A sentence for each fault that hit more sagas than it chose, as their entries shared a call with a chosen one."""
    lines = []
    for trouble in report.trouble:
        told = [f"{count(sagas)} in {topology}" for topology, sagas in trouble.collateral.items() if sagas]
        if told:
            lines.append(f"{trouble.fault}: and more sagas in the same batched calls, not counted: {', '.join(told)}.")
    return lines


def sagas_in_common(trouble: Trouble) -> str:
    """``19 of 19``, or how many were struck in one topology only."""
    common = len(trouble.common)
    if trouble.same:
        return f"all {common}" if common else "none"
    only = ", ".join(f"{len(trouble.only(topology))} only {topology}" for topology in trouble.struck)
    return f"{common}; {only}"


def block_rows(report: Report) -> list[tuple[str, ...]]:
    """One row for each block, in the columns of :data:`BLOCK_HEADINGS`."""
    return [
        (
            str(block.block + 1),
            str(block.round + 1),
            block.topology if block.state == "complete" else f"{block.topology} ({block.state})",
            _ended(block),
            number(block.p50_ms),
            number(block.p95_ms),
            number(block.throughput_per_s),
            NOT_MEASURED if block.compensation_rate is None else f"{100 * block.compensation_rate:.1f}",
            NOT_MEASURED if block.drained_after_s is None else f"{block.drained_after_s:.1f}",
        )
        for block in report.blocks
    ]


BLOCK_HEADINGS = ("block", "round", "topology", "ended", "p50 ms", "p95 ms", "ended/s", "comp. %", "drain s")
"""Blocks and rounds are counted from 1, as while the run goes on.

``ended/s`` is the throughput; ``drain s`` the time until queues and executions ran empty."""


def _ended(block: BlockFigures) -> str:
    return NOT_MEASURED if block.outcomes is None else count(block.outcomes.completed + block.outcomes.compensated)


def spread_line(report: Report) -> str:
    """How far the blocks of each topology lie apart; empty where no topology has two."""
    known = [f"{each.topology} {each.p50_ratio:.2f}x" for each in report.spreads if each.p50_ratio is not None]
    return f"Largest by smallest p50 of a topology's blocks: {', '.join(known)}." if known else ""


def machine_line(report: Report) -> str:
    """How busy the machine was in each block; empty where that is not known."""
    known = [f"block {block.block + 1} {block.machine_busy:.0%}" for block in report.blocks if block.machine_busy]
    return f"Processors busy over the load, with this run and all else: {', '.join(known)}." if known else ""


def round_lines(report: Report) -> list[str]:
    """The differences of each round by itself, where there are several: they should tell one story."""
    return [
        f"{comparison.other} against {comparison.base}, round by round: "
        + "; ".join(f"{each.metric} {_by_round(each)}" for each in comparison.differences if each.by_round)
        + "."
        for comparison in report.comparisons
        if len(comparison.rounds) > 1
    ]


def _by_round(difference: Difference) -> str:
    def tell(value: float) -> str:
        return signed(value, "%") if difference.unit == "%" else f"{value:.2f}x"

    return ", ".join(NOT_MEASURED if value is None else tell(value) for value in difference.by_round)


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
            f"block {audit.block + 1}, {audit.topology}",
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


def again(report: Report) -> tuple[str, str]:
    """How to run it again: exactly, whatever the environment says by then; and the command as it was given."""
    return f"sagastorm replay {report.run.run_id}", report.run.command


def instrument_rows(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """The backend by itself before each run's load, hops as their median, and how busy the machine was under the load."""
    instruments = [report.run.instrument for report in reports]
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(name for each in instruments if each for name in each.hops):
        hops = [each.hops.get(name) if each else None for each in instruments]
        rows.append((name.replace("_", " "), *(measured(hop.p50_ms if hop else None, "ms") for hop in hops)))
    rows.append(("CPU of a bare call", *(measured(each.call_cpu_ms if each else None, "ms") for each in instruments)))
    for name in dict.fromkeys(name for each in instruments if each for name in each.capacity_sagas_per_s):
        capacities = [each.capacity_sagas_per_s.get(name) if each else None for each in instruments]
        rows.append((f"carries {name}", *(measured(capacity, "/s") for capacity in capacities)))
    return [*rows, ("processors busy", *map(_busy, reports))]


def _busy(report: Report) -> str:
    known = [block.machine_busy for block in report.blocks if block.machine_busy is not None]
    shares = dict.fromkeys(f"{share:.0%}" for share in (min(known), max(known))) if known else (NOT_MEASURED,)
    return " to ".join(shares)
