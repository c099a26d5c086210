"""One block as it runs: its records and series are taken in once a second, for figures and for lines over time.

Nothing here grows with the run: a saga is remembered while it is under way, and a line has at most :data:`MOST_BINS` values.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.history.records import Block, FaultRow, SagaRow, Sample
from harness.history.spool import SpoolReader
from harness.report.faults import COLLATERAL, SCHEDULED
from harness.report.run_data import ATTEMPTS, RETRIES, SUPPRESSED
from harness.report.series import SAMPLED_EVERY_S
from harness.report.timeline import BIN_S, MIN_FIRST_TRIES
from harness.run.tally import Growth, Tally, amplification

MOST_BINS = 600
OPEN_S = 10.0
"""How long after its end a bin still takes the completion times of sagas that ended in it: records come with the samples,
which are late on a busy machine."""
COUNTING = ("worker", "ingress")
"""Processes whose tries are sagas': the harness makes AWS calls of its own."""

Line = list[float | None]


class Lines(msgspec.Struct, kw_only=True):
    """A value for each bin of ``bin_s`` seconds from the start of the load; ``None`` where nothing is known.

    Of sagas that ended in a bin: their completion times, and how many a second. ``oldest_s``: age of the oldest saga under
    way, which stands for the age of its queue. ``retries``: attempts by first attempts, by layer.
    """

    offered_per_s: Line
    ended_per_s: Line
    p50_ms: Line
    p95_ms: Line
    oldest_s: Line
    retries: dict[str, Line]


class Watch:
    """A block from its deployment to its end. ``due_s`` is the schedule of its arrivals."""

    def __init__(self, block: Block, due_s: Sequence[float], spool_dir: Path, drain_limit_s: float) -> None:
        self.block = block
        self.bin_s = max(1, math.ceil((block.duration_s + drain_limit_s) / MOST_BINS))
        self.now_s = 0.0
        self.load_ended_s: float | None = None
        applicable = {name for name, *_ in block.storm_windows} - set(block.inapplicable_faults)
        self.tally = Tally(scheduled=block.scheduled, applicable=applicable)
        self._spool = SpoolReader(spool_dir)
        self._growth = Growth()
        self._under_way: dict[int, float] = {}
        """Arrival to when it was due. One that nobody asks for any more stays: a zombie ages as long as anybody looks."""
        self._given_up = 0
        self._surged: dict[int, set[str]] = defaultdict(set)
        self._offered = Counter(int(due // self.bin_s) for due in due_s)
        self._ended: Counter[int] = Counter()
        self._took_ms: dict[int, list[float]] = defaultdict(list)
        self._quantiles: dict[int, tuple[float, float]] = {}
        self._oldest_s: dict[int, float] = {}
        self._layer_bin_s = max(self.bin_s, BIN_S)
        self._attempts: dict[str, Counter[int]] = defaultdict(Counter)
        self._retries: dict[str, Counter[int]] = defaultdict(Counter)

    def take(self, now_s: float, samples: Sequence[Sample]) -> None:
        """A reading of every process, and what they have recorded since the last one."""
        self.now_s = max(self.now_s, now_s)
        for sample in samples:
            self._take_sample(sample)
        self.read()
        if now_s >= 0:
            bin_ = int(now_s // self.bin_s)
            self._oldest_s[bin_] = max(self._oldest_s.get(bin_, 0.0), round(self._age_s(now_s), 3))
        for bin_ in [bin_ for bin_ in self._took_ms if (bin_ + 1) * self.bin_s + OPEN_S < now_s]:
            self._quantiles[bin_] = _quantiles(self._took_ms.pop(bin_))

    def read(self) -> None:
        """Take in what was recorded since the last time."""
        for row in self._spool.read():
            match row:
                case SagaRow():
                    self._take_saga(row)
                case FaultRow():
                    self._take_strike(row)
        self.tally.in_flight = len(self._under_way) - self._given_up

    def finish(self) -> None:
        """The block is over: what is under way has no known end."""
        self.read()
        self.tally.in_flight = 0

    def lines(self) -> Lines:
        """Of the bins that are over."""
        bins = range(min(MOST_BINS, int(self.now_s // self.bin_s)))
        offered_until_s = self.now_s if self.load_ended_s is None else self.load_ended_s
        quantiles = self._quantiles | {bin_: _quantiles(took) for bin_, took in self._took_ms.items()}
        told: dict[int, tuple[float | None, float | None]] = {bin_: quantiles.get(bin_, (None, None)) for bin_ in bins}
        return Lines(
            offered_per_s=[
                self._offered[bin_] / self.bin_s if bin_ * self.bin_s < offered_until_s else 0.0 for bin_ in bins
            ],
            ended_per_s=[self._ended[bin_] / self.bin_s for bin_ in bins],
            p50_ms=[told[bin_][0] for bin_ in bins],
            p95_ms=[told[bin_][1] for bin_ in bins],
            oldest_s=[self._oldest_s.get(bin_) for bin_ in bins],
            retries={
                layer: [self._amplification(layer, bin_ * self.bin_s // self._layer_bin_s) for bin_ in bins]
                for layer in self._attempts
            },
        )

    def _take_sample(self, sample: Sample) -> None:
        if sample.metric not in (ATTEMPTS, RETRIES, SUPPRESSED):
            return
        grown = self._growth.since(sample)
        if sample.metric == SUPPRESSED:
            self.tally.suppressed += grown
        elif sample.target.split("-", 1)[0] in COUNTING:
            of_all, of_bin = (
                (self.tally.attempts, self._attempts)
                if sample.metric == ATTEMPTS
                else (self.tally.retries, self._retries)
            )
            layer = sample.labels["layer"]
            of_all[layer] += grown
            # A sample tells of the second before it; see harness.report.series.growth.
            of_bin[layer][int(max(0.0, sample.t_s - SAMPLED_EVERY_S / 2) // self._layer_bin_s)] += grown

    def _take_saga(self, row: SagaRow) -> None:
        tally = self.tally
        if row.arrival not in self._under_way:
            tally.ends[row.status] += 1
        if row.status != "accepted":
            return
        self._under_way[row.arrival] = row.scheduled_s
        tally.reached |= self._surged.get(row.arrival, set())
        if row.outcome is not None and row.completion_ms is not None:
            del self._under_way[row.arrival]
            tally.ends[row.outcome] += 1
            tally.took.add(row.completion_ms)
            self._draw_end(row.scheduled_s + row.completion_ms / 1000, row.completion_ms)
        elif row.reason is not None:
            self._given_up += 1

    def _draw_end(self, ended_s: float, took_ms: float) -> None:
        bin_ = int(ended_s // self.bin_s)
        if bin_ < MOST_BINS:
            self._ended[bin_] += 1
            if bin_ not in self._quantiles:
                self._took_ms[bin_].append(took_ms)

    def _take_strike(self, row: FaultRow) -> None:
        if (row.worker, row.step) == SCHEDULED:
            self.tally.surged[row.fault] += 1
            self._surged[row.arrival].add(row.fault)
        elif not (row.detail or "").startswith(COLLATERAL):
            self.tally.strikes[row.fault] += 1

    def _age_s(self, now_s: float) -> float:
        return max(0.0, now_s - min(self._under_way.values(), default=now_s))

    def _amplification(self, layer: str, bin_: int) -> float | None:
        attempts, retries = self._attempts[layer][bin_], self._retries[layer][bin_]
        return amplification(attempts, retries) if attempts - retries >= MIN_FIRST_TRIES else None


def _quantiles(took_ms: list[float]) -> tuple[float, float]:
    """Median and 95th percentile by nearest rank; of a few sagas the latter is the slowest."""
    ordered = sorted(took_ms)
    return ordered[math.ceil(0.5 * len(ordered)) - 1], ordered[math.ceil(0.95 * len(ordered)) - 1]
