"""Who talked to whom: the messages of a topology, from one step to the next, as its workers recorded them.

What asked for a step is not recorded, but the order of the steps of each saga is: a message counts for the way from the
step that was taken last, before the saga's step was first handled. The saga's definition is not asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from harness.history.history import History
from harness.report.run_data import AWS_CALLS, BlockData, RunData
from harness.report.series import counted

INGRESS = "ingress"
START_EXECUTION = "stepfunctions:StartExecution"
CALLERS = ("worker", "ingress", "sweeper")

Handled = tuple[str, str, str, str, bool]
"""As :meth:`.History.handled` gives it."""
Passage = tuple[str | None, list[Handled]]
"""A saga's outcome and its handlings."""
Way = tuple[str, str, str, str]
"""(step before, its participant, step, its participant)."""


@dataclass(frozen=True)
class Hop:
    """All messages on one way. ``duplicates``: answered from the record; ``failed``: handled in vain, and tried again.

    ``back``: it was gone by sagas only that did not complete.
    """

    before: str
    """The step before; empty for the first one."""
    source: str
    """Whose step that was; :data:`INGRESS` for the first one."""
    step: str
    participant: str
    sagas: int
    messages: int
    duplicates: int
    failed: int
    back: bool


@dataclass(frozen=True)
class Traffic:
    """Of one topology, over its complete blocks. ``calls``: AWS calls by ``service:Operation``, SDK retries not counted."""

    topology: str
    sagas: int
    hops: tuple[Hop, ...]
    calls: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_state_machine(self) -> bool:
        """By the calls that were made, not by its name: executions were started."""
        return bool(self.calls.get(START_EXECUTION))


def read_traffic(history: History, data: RunData) -> tuple[Traffic, ...]:
    """Of every topology that has a complete block."""
    found = []
    for topology in data.topologies:
        blocks = data.complete(topology)
        if blocks:
            sagas = [saga for each in blocks for saga in _sagas(history.handled(each.block.block), _ends(each))]
            found.append(Traffic(topology, len(sagas), hops(sagas), _calls(blocks)))
    return tuple(found)


def hops(sagas: Iterable[Passage]) -> tuple[Hop, ...]:
    """The ways of all sagas together: forward as sagas go them, then those that only undone sagas went."""
    counts: dict[Way, Counter[str]] = {}
    places: dict[Way, int] = {}
    for outcome, handled in sagas:
        ways = _ways(handled)
        for place, way in enumerate(ways.values()):
            count = counts.setdefault(way, Counter())
            count["sagas"] += 1
            count["completed"] += outcome == "completed"
            places[way] = places.get(way, 0) + place
        for _, _, step, result, replayed in handled:
            counts[ways[step]].update(_kinds(result, replayed))

    def rank(way: Way) -> tuple[bool, float, Way]:
        return not counts[way]["completed"], places[way] / counts[way]["sagas"], way

    return tuple(_hop(way, counts[way]) for way in sorted(counts, key=rank))


def _hop(way: Way, count: Counter[str]) -> Hop:
    return Hop(
        *(way[0], way[1], way[2], way[3]),
        sagas=count["sagas"],
        messages=count["messages"],
        duplicates=count["duplicates"],
        failed=count["failed"],
        back=not count["completed"],
    )


def _kinds(result: str, replayed: bool) -> Iterator[str]:
    yield "messages"
    if replayed:
        yield "duplicates"
    elif result == "error":
        yield "failed"


def _ways(handled: Sequence[Handled]) -> dict[str, Way]:
    """By which way the saga came to each of its steps."""
    ways: dict[str, Way] = {}
    before, source = "", INGRESS
    taken: set[str] = set()
    for _, participant, step, result, _ in handled:
        ways.setdefault(step, (before, source, step, participant))
        # A replay proves that the step was taken: whoever took it may have died before it could record that.
        if result != "error" and step not in taken:
            taken.add(step)
            before, source = step, participant
    return ways


def _sagas(rows: Iterable[Handled], ends: Mapping[str, str | None]) -> Iterator[Passage]:
    for saga_id, handled in groupby(rows, key=lambda row: row[0]):
        yield ends.get(saga_id), list(handled)


def _ends(data: BlockData) -> dict[str, str | None]:
    return {row.saga_id: row.outcome for row in data.sagas if row.saga_id}


def _calls(blocks: Sequence[BlockData]) -> dict[str, float]:
    calls: dict[str, float] = {}
    for data in blocks:
        for track in data.of_kind(AWS_CALLS, *CALLERS):
            name = f"{track.labels.get('service', '')}:{track.labels.get('operation', '')}"
            calls[name] = calls.get(name, 0.0) + counted(track)
    return {name: amount for name, amount in sorted(calls.items()) if amount}
