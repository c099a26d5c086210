"""One thing against another, on pairs of blocks that met the same arrivals: a revision and its base, two topologies, a
mitigation on and off.

The rule. The interval of the ratio (or difference) covers 95 % and is the wider, at each end, of two: the paired bootstrap
over slices of arrivals, which knows how sagas of one block vary, and Student's over the pairs, which knows how blocks vary
from turn to turn (on a shared machine often more). Several pairs of the same two runs count as one: a slow minute meets them all. Times against a base are told at equal speed of
the machine where it is known, by the pairs alone (:mod:`.equal_speed`). *Fail*: it lies wholly beyond the tolerance. *Pass*: it lies wholly within; or
what was observed does, and the check was fine enough (:data:`BLIND`); what could not be excluded is then said. *Inconclusive*: any other.
A gate that called every interval that is not wholly within "inconclusive" would do so in most checks of an unchanged build.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import Final

import msgspec

from harness.ablation.change import NO_SPREAD, student
from harness.core.verdict import RunVerdict
from harness.gate.cases import CaseRuns, Turn
from harness.gate.equal_speed import at_equal_speed
from harness.gate.expression import holds, told, told_value
from harness.gate.invariants import instrument_problems
from harness.gate.metrics import METRICS, in_window, observed, survivors_only
from harness.gate.model import BASE, Finding, Gate, Quantity
from harness.report.compare import CONFIDENCE, TAIL_ROUNDS, Difference, Interval, compare_pairs, matched
from harness.report.costs import machine_load, machine_work
from harness.report.figures import Figure, Missing
from harness.report.judge import FOREIGN_DIFFERENCE_LIMIT
from harness.report.metrics import falsified
from harness.report.quantiles import QUANTILES
from harness.report.run_data import CPU

MIN_PAIRS: Final = 3
"""Student's interval of two pairs is so wide (12.7 standard errors) that no difference below a factor is ever beyond it.
A tail's takes :data:`harness.report.compare.TAIL_ROUNDS`, for the reason given there."""
POWER: Final = 0.9
"""Of the checks of a build that is worse by what a finding says it ``detects``, this share fails."""
BLIND: Final = 1.25
"""A check that would not have found a quarter more than the limit allows, nine times of ten, is too coarse to be a pass unless
its interval is wholly within. Bounds how much of an excess "could not be excluded" may hide: simulated with a tolerance of 5 %
and pairs that vary by anything from 3 to 20 %, a build that is 15 % slower passes in under 3 % of checks of 4 to 8 pairs, of 12 in
under 4 % (docs/gates.md)."""
BLIND_SHARE: Final = 0.05
"""As :data:`BLIND`, of shares: five percentage points beyond the limit."""

Pair = tuple[Turn, Turn]
"""What it is held against, and what is judged."""


def judge(gate: Gate, runs: CaseRuns, against: CaseRuns) -> Finding:
    """One case against its reference."""
    pairs, left_out = _same_machine(_pairs(gate, runs, against))
    cut = [(_cut(base, gate), _cut(own, gate)) for base, own in pairs]
    whole = [(base, own) for base, own in cut if base and own]
    ended = min((sum(len(turn.data.ended) for turn in side) for side in zip(*whole, strict=True)), default=0)
    apart = len({_apart(pair) for pair in whole})
    finding = Finding(gate=gate, case=runs.case, outcome=RunVerdict.INCONCLUSIVE, why="", samples=ended, pairs=apart)
    if problems := instrument_problems([*runs.turns, *against.turns]):
        return _because(finding, f"The instrument did not keep up. {problems[0].says or problems[0].rule}")
    needed = pairs_needed(gate.metric)
    if apart < needed:
        of_runs = f", which count as {apart}, one for each two runs" if apart < len(whole) else ""
        blocks = f"{len(whole)} pair{'s' * (len(whole) != 1)} of blocks"
        said = f"{blocks} met the same arrivals{of_runs}; {needed} are needed.{_also(left_out)}"
        return _because(finding, said)
    if not _took_turns(whole):
        return _because(finding, "All of one side was measured before any of the other: another hour explains as much.")
    if ended < gate.min_samples:
        return _because(finding, f"{ended} sagas ended on one side, {gate.min_samples} are needed.")
    # Without the slowest, what it is held against looks too good for any verdict, and what is judged too good for a pass.
    lost_base, lost_own = (
        survivors_only(gate.metric, [turn.data for turn in side]) for side in zip(*whole, strict=True)
    )
    decided = _decided(finding, whole, _difference(gate, whole))
    decided = _because(decided, f"{decided.why}{_also(left_out)}", decided.outcome)
    if lost_base or (lost_own and decided.outcome is RunVerdict.PASS):
        return _because(decided, f"{lost_base or lost_own}.")
    return decided


def pairs_needed(metric: str) -> int:
    """With fewer pairs a gate against something is inconclusive."""
    return TAIL_ROUNDS if QUANTILES.get(metric.removeprefix("completion_ms."), 0.0) > 0.5 else MIN_PAIRS


def _also(left_out: int) -> str:
    if not left_out:
        return ""
    pairs = f"{left_out} pair{'s' * (left_out != 1)} of blocks"
    return f" Left out: {pairs}, as others used more of the machine in one of the two."


def _pairs(gate: Gate, runs: CaseRuns, against: CaseRuns) -> list[Pair]:
    """Blocks that were offered the same load for the same time; of one topology the n-th of it with the n-th."""
    if runs.case.topology != against.case.topology:
        by_data = {id(turn.data): turn for turn in (*runs.complete, *against.complete)}
        return [
            (by_data[id(base)], by_data[id(own)])
            for report in runs.reports
            for base, own in matched(
                report.data.complete(against.case.topology), report.data.complete(runs.case.topology)
            )
        ]
    of_base, of_own = _by_load(against.complete), _by_load(runs.complete)
    return [pair for load in of_own if load in of_base for pair in zip(of_base[load], of_own[load], strict=False)]


def _by_load(turns: Sequence[Turn]) -> dict[tuple[object, ...], list[Turn]]:
    found: dict[tuple[object, ...], list[Turn]] = defaultdict(list)
    for turn in turns:
        block = turn.data.block
        seed = turn.report.run.settings.seed
        found[seed, block.round, block.load_digest, block.scheduled, block.duration_s].append(turn)
    return found


def _same_machine(pairs: Sequence[Pair]) -> tuple[list[Pair], int]:
    """Without the pairs in which others used much more of the machine in one block than in the other, and how many they are.

    What others do has nothing to do with what is judged, so leaving them out favours neither side.
    """
    kept = [pair for pair in pairs if _foreign_apart(pair) <= FOREIGN_DIFFERENCE_LIMIT]
    return kept, len(pairs) - len(kept)


def _took_turns(pairs: Sequence[Pair]) -> bool:
    """Whether neither side was measured wholly before the other."""
    base, own = ({pair[side].report.run.started_at for pair in pairs} for side in (0, 1))
    return max(base) >= min(own) and max(own) >= min(base)


def _foreign_apart(pair: Pair) -> float:
    if not all(turn.data.of_kind(CPU, "backend") for turn in pair):
        return 0.0  # a backend that is not in sight would pass for others, and a build that asks more of it be left out
    loads = [machine_load(turn.data, turn.report.data.cores) for turn in pair]
    foreign = [load.foreign for load in loads if load is not None]
    return max(foreign) - min(foreign) if len(foreign) > 1 else 0.0


def _cut(turn: Turn, gate: Gate) -> Turn | None:
    data = in_window([turn.data], gate.window)
    return Turn(turn.report, data[0]) if data else None


def _difference(gate: Gate, pairs: Sequence[Pair]) -> Difference | None:
    """By the paired bootstrap, where it is of sagas."""
    name = METRICS[gate.metric].compared
    if name is None or not pairs:
        return None
    base, own = pairs[0][0].report.run, pairs[0][1].report.run
    withheld = falsified(base) | falsified(own)
    blocks = [(left.data, right.data) for left, right in pairs]
    return compare_pairs("against", "judged", blocks, own.settings.seed, withheld, "sides").of(name)


def _apart(pair: Pair) -> tuple[str, ...]:
    """Equal for pairs that are no evidence of their own: those of the same two runs, which a slow minute hits alike.

    Two topologies of one run take turns within it, so there each pair is one.
    """
    base, own = (turn.report.run.run_id for turn in pair)
    return (base, own) if base != own else (base, pair[0].data.name, pair[1].data.name)


def _at_equal_speed(
    gate: Gate, apart: Sequence[Sequence[Pair]], amounts: Sequence[float]
) -> tuple[float, Interval] | None:
    """Of times against a base, where every block knows how fast its machine was over its load. Topologies and mitigations differ in
    how much of a processor they take, which what else runs on it feels, so they are held against each other as measured."""
    if gate.against != BASE or gate.window or gate.quantity is not Quantity.RATIO or METRICS[gate.metric].unit != "ms":
        return None
    slower = []
    for pairs in apart:
        works = [(machine_work(base.data), machine_work(own.data)) for base, own in pairs]
        logs = [math.log(own.took_s / base.took_s) for base, own in works if base and own and base.work == own.work]
        if len(logs) < len(works):
            return None
        slower.append(fmean(logs))
    return at_equal_speed(amounts, slower)


def _by_pair(gate: Gate, pairs: Sequence[Pair]) -> list[tuple[Figure, Figure]]:
    """The figure of both blocks of each pair."""

    def of(turn: Turn) -> Figure:
        return observed(gate.metric, turn.report.run, [turn.data], turn.report.audits)

    return [(of(base), of(own)) for base, own in pairs]


def _never(gate: Gate, base: Figure, own: Figure) -> bool:
    """What it is held against got over it; this did not, though it was watched for longer than the limit allows."""
    if isinstance(base, Missing) or not isinstance(own, Missing) or own.longer_than_s is None:
        return False
    if gate.quantity is Quantity.RATIO:
        at_least = own.longer_than_s / base if base else math.inf
    else:
        at_least = own.longer_than_s - base
    return not holds(gate, at_least) and not holds(gate, math.inf)


def _decided(finding: Finding, pairs: Sequence[Pair], found: Difference | None) -> Finding:
    gate = finding.gate
    figures = _by_pair(gate, pairs)
    values = [(base, own) for base, own in figures if not isinstance(base, Missing) and not isinstance(own, Missing)]
    if len(values) < len(figures):
        missing = next(figure for pair in figures for figure in pair if isinstance(figure, Missing))
        if all(_never(gate, *pair) for pair in figures):
            why = f"What it is held against recovered every time, and this never did: {missing.why}."
            return _because(finding, why, RunVerdict.FAIL)
        return _because(finding, f"Not measured: {missing.why}.")
    is_ratio = gate.quantity is Quantity.RATIO
    if is_ratio and any(base <= 0 or own <= 0 for base, own in values):
        if any(base != own for base, own in values):
            return _because(finding, "It is 0 in some blocks, so there is no ratio; a difference can be asked for.")
        values = [(1.0, 1.0)] * len(values)
    apart: dict[tuple[str, ...], list[tuple[Pair, float]]] = defaultdict(list)
    for pair, (base, own) in zip(pairs, values, strict=True):
        apart[_apart(pair)].append((pair, math.log(own / base) if is_ratio else own - base))
    amounts = [fmean(amount for _, amount in each) for each in apart.values()]
    equal = _at_equal_speed(gate, [[pair for pair, _ in each] for each in apart.values()], amounts)
    amount, between = equal or (fmean(amounts), student(amounts))
    assert between is not None  # of MIN_PAIRS at least
    low, high, as_measured = between.low, between.high, fmean(amounts)
    if found:
        drawn = found.ratio_interval if is_ratio else found.difference_interval
        measured = found.ratio if is_ratio else found.difference
        if drawn is None or measured is None or drawn.low <= 0 and is_ratio:
            return _because(finding, f"There is no interval: {found.why or 'most resamples have no such figure'}.")
        below, center, above = (math.log(each) if is_ratio else each for each in (drawn.low, measured, drawn.high))
        as_measured = center
        if not equal:  # what the machine did to the blocks would be in it again
            amount, low, high = center, min(low, below, center), max(high, above, center)
    if equal:
        finding = msgspec.structs.replace(finding, as_measured=math.exp(as_measured))
    decided = _against_limit(finding, amount, low, high, fmean(base for base, _ in values))
    is_fact = all(base == 0 < own for base, own in values) or all(base == own for base, own in values)
    if low == high and not is_fact:
        # What is counted by the message or the second agrees by chance.
        return _because(decided, f"{told_value(gate, decided.observed)}: {NO_SPREAD}.")
    return decided


def _against_limit(finding: Finding, amount: float, low: float, high: float, base: float) -> Finding:
    """``amount`` and its interval are logarithms for a ratio, whose limit is one here too."""
    gate = finding.gate
    is_ratio = gate.quantity is Quantity.RATIO
    limit = math.log(gate.limit) if is_ratio else gate.limit
    upward = gate.operator in ("<", "<=")
    reach = (amount - low) if upward else (high - amount)
    detects = limit + (1 if upward else -1) * reach * _REACHES
    shown = math.exp if is_ratio else float
    finding = msgspec.structs.replace(
        finding,
        observed=shown(amount),
        interval=Interval(shown(low), shown(high)),
        detects=shown(detects),
    )
    best, worst = (low, high) if upward else (high, low)
    return _verdict(finding, shown(best), shown(worst), coarse=_coarse(gate, abs(detects - limit), base))


_REACHES: Final = 1 + NormalDist().inv_cdf(POWER) / NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Half-widths of an interval beyond the limit at which a difference must lie, so that POWER of the checks find it."""


def _coarse(gate: Gate, beyond: float, base: float) -> bool:
    if gate.quantity is Quantity.RATIO:
        return beyond > math.log(BLIND)
    if gate.unit == "%":
        return beyond > BLIND_SHARE
    return beyond > (BLIND - 1) * abs(base)


def _verdict(finding: Finding, best: float, worst: float, *, coarse: bool) -> Finding:
    gate, interval = finding.gate, finding.interval
    assert interval is not None
    equal = f" at equal speed of the machine, {told_value(gate, finding.as_measured)} as measured"
    measured = (
        f"{told_value(gate, finding.observed)} ({told_value(gate, interval.low)} to {told_value(gate, interval.high)}, "
        f"{finding.pairs} pairs{equal if finding.as_measured is not None else ''})"
    )
    detects = told_value(gate, finding.detects)
    if not holds(gate, best):
        return _because(finding, f"{measured}: wholly beyond {told(gate)}.", RunVerdict.FAIL)
    if holds(gate, worst):
        return _because(finding, f"{measured}: wholly within {told(gate)}.", RunVerdict.PASS)
    if coarse or not holds(gate, finding.observed or 0.0):
        why = f"{measured}: it may be beyond {told(gate)}; nine times of ten, no less than {detects} would have been found."
        return _because(finding, why)
    why = (
        f"{measured}: not shown to be beyond {told(gate)}; up to {told_value(gate, worst)} could not be excluded, "
        f"{detects} would have been found nine times of ten."
    )
    return _because(finding, why, RunVerdict.PASS)


def _because(finding: Finding, why: str, outcome: RunVerdict = RunVerdict.INCONCLUSIVE) -> Finding:
    return msgspec.structs.replace(finding, why=why, outcome=outcome)
