"""Which journeys a page holds: a bounded selection that shows every kind of trouble, not a sample.

What is chosen is an arrival, in all topologies: they met the same one, so their journeys stand side by side.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.audit.auditor import Audit
from harness.history.history import History
from harness.history.records import FaultRow, SagaRow
from harness.report.faults import COLLATERAL, SCHEDULED
from harness.report.journeys import Journey, make_journey
from harness.report.quantiles import QUANTILES
from harness.report.run_data import BlockData, RunData

MOST_ARRIVALS = 60
"""On one page; each has a journey in every topology."""
OF_A_KIND = 3
"""Most arrivals of one kind in one topology: the slowest three, three that an anomaly concerns."""
RULE = (
    f"at most {MOST_ARRIVALS} arrivals: those that anomalies concern (up to {OF_A_KIND} of each), then of each topology "
    "the slowest, those at p50, p95 and p99, compensated and unresolved ones, those struck most often, and one for each "
    "fault that struck sagas under way"
)
"""The rule, for the page."""

ANOMALOUS, SLOWEST, TYPICAL, COMPENSATED, UNRESOLVED, STRUCK_MOST, STRUCK = (
    "anomalous", "slowest", "typical", "compensated", "unresolved", "struck most", "struck",
)  # fmt: skip

Where = tuple[int, int | None, str]
"""(round, arrival, saga id): the saga id is empty where the arrival names the saga in every topology."""


@dataclass(frozen=True)
class Reason:
    """Why an arrival was chosen: its ``kind``, and which one of that kind, for people."""

    kind: str
    words: str


@dataclass(frozen=True)
class Chosen:
    """One arrival with its journeys, one for each block that met it."""

    reasons: tuple[Reason, ...]
    journeys: tuple[Journey, ...]


def choose(history: History, data: RunData, audits: Sequence[Audit]) -> tuple[Chosen, ...]:
    """The selection, in the order of importance that :data:`RULE` tells."""
    found: dict[Where, list[Reason]] = {}
    for where, reason in _candidates(data, audits):
        reasons = found.get(where)
        if reasons is None and len(found) < MOST_ARRIVALS:
            reasons = found[where] = []
        if reasons is not None and reason not in reasons:
            reasons.append(reason)
    blocks = [_Block(history, block) for block in data.blocks]
    chosen = []
    for (round, arrival, saga_id), reasons in found.items():
        journeys = [each.journey(arrival, saga_id) for each in blocks if each.data.block.round == round]
        order = {topology: index for index, topology in enumerate(data.topologies)}
        known = sorted(filter(None, journeys), key=lambda journey: order[journey.topology])
        if known:
            chosen.append(Chosen(tuple(reasons), tuple(known)))
    return tuple(chosen)


class _Block:
    """A block's records by saga, so that each is looked up and not searched for."""

    def __init__(self, history: History, data: BlockData) -> None:
        self.data = data
        self._history = history
        self._client = {row.arrival: row for row in data.sagas}
        self._by_id: dict[str, list[FaultRow]] = {}
        self._by_arrival: dict[int, list[FaultRow]] = {}
        for row in data.faults:
            if row.saga_id:
                self._by_id.setdefault(row.saga_id, []).append(row)
            else:
                self._by_arrival.setdefault(row.arrival, []).append(row)

    def journey(self, arrival: int | None, saga_id: str) -> Journey | None:
        """Of that arrival, or of a saga that is none of the schedule's; ``None`` where the block knows of none."""
        client = self._client.get(-1 if arrival is None else arrival)
        saga_id = saga_id or (client.saga_id if client and client.saga_id else "")
        steps = self._history.steps(self.data.block.block, saga_id) if saga_id else []
        faults = [
            *self._by_id.get(saga_id, ()),
            *(self._by_arrival.get(arrival, ()) if arrival is not None else ()),
        ]
        if client is None and not steps:
            return None
        return make_journey(self.data.block, saga_id, client, steps, faults, self.data.events)


def _candidates(data: RunData, audits: Sequence[Audit]) -> Iterator[tuple[Where, Reason]]:
    blocks = {each.block.block: each for each in data.blocks}
    yield from _anomalous(blocks, audits)
    for topology in data.topologies:
        rows = [(each, row) for each in data.blocks if each.block.topology == topology for row in each.sagas]
        yield from _by_time(topology, rows)
        yield from _by_end(topology, rows)
    for topology in data.topologies:
        yield from _struck(topology, [each for each in data.blocks if each.block.topology == topology])


def _anomalous(blocks: dict[int, BlockData], audits: Sequence[Audit]) -> Iterator[tuple[Where, Reason]]:
    """The witness of every anomaly before the second saga of any."""
    listed = [
        [
            (_where(blocks[audit.block], saga_id), Reason(ANOMALOUS, f"{anomaly.name}, block {audit.block + 1}"))
            for saga_id in anomaly.sagas[:OF_A_KIND]
        ]
        for audit in audits
        for anomaly in audit.anomalies
    ]
    for nth in zip_longest(*listed):
        yield from filter(None, nth)


def _where(data: BlockData, saga_id: str) -> Where:
    arrival = next((row.arrival for row in data.sagas if row.saga_id == saga_id), None)
    return (data.block.round, arrival, "" if arrival is not None else saga_id)


def _at(data: BlockData, arrival: int) -> Where:
    return (data.block.round, arrival, "")


def _by_time(topology: str, rows: Sequence[tuple[BlockData, SagaRow]]) -> Iterator[tuple[Where, Reason]]:
    timed = sorted(
        (
            (row.completion_ms, each.block.block, row.arrival, each)
            for each, row in rows
            if row.completion_ms is not None
        ),
        key=lambda one: one[:3],
    )
    for _, _, arrival, each in reversed(timed[-OF_A_KIND:]):
        yield _at(each, arrival), Reason(SLOWEST, f"among the slowest {topology}")
    if timed:
        for name, q in QUANTILES.items():
            _, _, arrival, each = timed[math.ceil(q * len(timed)) - 1]  # nearest rank, as the quantile itself
            yield _at(each, arrival), Reason(TYPICAL, f"{name} of {topology}")


def _by_end(topology: str, rows: Sequence[tuple[BlockData, SagaRow]]) -> Iterator[tuple[Where, Reason]]:
    undone = [(each, row) for each, row in rows if row.outcome == "compensated"]
    for each, row in undone[:OF_A_KIND]:
        yield _at(each, row.arrival), Reason(COMPENSATED, f"compensated, {topology}")
    # One is enough of each reason for which sagas were undone.
    for each, row in {row.reason: (each, row) for each, row in reversed(undone)}.values():
        yield _at(each, row.arrival), Reason(COMPENSATED, f"compensated, {topology}")
    open_ended = [(each, row) for each, row in rows if row.status in ("accepted", "error") and row.outcome is None]
    for each, row in open_ended[:OF_A_KIND]:
        yield _at(each, row.arrival), Reason(UNRESOLVED, f"end not known, {topology}")


def _struck(topology: str, blocks: Sequence[BlockData]) -> Iterator[tuple[Where, Reason]]:
    rows = [(each, row) for each in blocks for row in each.faults if _counts(row)]
    often = Counter((each.block.block, row.arrival) for each, row in rows)
    by_number = {each.block.block: each for each in blocks}
    for (number, arrival), count in sorted(often.items(), key=lambda item: (-item[1], item[0]))[:OF_A_KIND]:
        yield _at(by_number[number], arrival), Reason(STRUCK_MOST, f"struck {count} times, {topology}")
    yield from _one_of_each(topology, rows)


def _one_of_each(topology: str, rows: Iterable[tuple[BlockData, FaultRow]]) -> Iterator[tuple[Where, Reason]]:
    seen: set[str] = set()
    for each, row in rows:
        if row.fault not in seen:
            seen.add(row.fault)
            yield _at(each, row.arrival), Reason(STRUCK, f"struck by {row.fault}, {topology}")


def _counts(row: FaultRow) -> bool:
    scheduled = (row.worker, row.step) == SCHEDULED
    return row.arrival >= 0 and not scheduled and not (row.detail or "").startswith(COLLATERAL)
