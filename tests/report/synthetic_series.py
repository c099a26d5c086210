"""The Prometheus series of a synthetic block: what its processes would have shown, once a second."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.history.records import Block, FaultRow, SagaRow, Sample

FIRST_S = -0.5
STEPS_PER_SAGA = 5


def series(
    block: Block,
    sagas: Sequence[SagaRow],
    replayed: Sequence[float],
    retried: Sequence[float],
    faults: Sequence[FaultRow],
    *,
    restart_s: float | None,
) -> list[Sample]:
    """All samples of a block, in time order."""
    samples: list[Sample] = []
    times = [FIRST_S + second for second in range(math.ceil(block.drained_s or block.duration_s) + 2)]
    maker = _Maker(block, sagas, replayed, retried, faults, restart_s)
    for t_s in times:
        samples.extend(maker.at(t_s))
    return samples


class _Maker:
    def __init__(
        self,
        block: Block,
        sagas: Sequence[SagaRow],
        replayed: Sequence[float],
        retried: Sequence[float],
        faults: Sequence[FaultRow],
        restart_s: float | None,
    ) -> None:
        self._base = {"topology": block.topology, "saga": "create-order"}
        self._block = block
        self._scheduled = [row.scheduled_s for row in sagas]
        self._ended = {
            outcome: [row.scheduled_s + (row.completion_ms or 0) / 1000 for row in sagas if row.outcome == outcome]
            for outcome in ("completed", "compensated")
        }
        self._replayed = replayed
        self._retried = retried
        self._faults = [row.t_s for row in faults]
        self._restart_s = restart_s

    def at(self, t_s: float) -> Iterator[Sample]:
        """What a scrape of all processes reads."""
        yield from self._client(t_s)
        yield from self._worker(t_s)
        yield from self._cpu(t_s)
        yield from self._queues(t_s)

    def _client(self, t_s: float) -> Iterator[Sample]:
        for outcome, ends in self._ended.items():
            if count := _until(ends, t_s):
                yield self._sample(t_s, "load-0", "sagastorm_saga_completion_seconds_count", count, outcome=outcome)

    def _worker(self, t_s: float) -> Iterator[Sample]:
        """A restarted worker is a new target that counts from zero; a labelled counter is shown once it has counted."""
        before, target = 0.0, "worker-0"
        if self._restart_s is not None and t_s >= self._restart_s:
            before, target = self._restart_s, "worker-1"
        done = STEPS_PER_SAGA * (self._ends(t_s) - self._ends(before))
        again = _until(self._replayed, t_s) - _until(self._replayed, before)
        struck = _until(self._faults, t_s) - _until(self._faults, before)
        once_more = again + _until(self._retried, t_s) - _until(self._retried, before)
        layers = {"sdk": (2 * done + struck, struck), "delivery": (done + once_more, once_more)}
        if self._block.topology == "orchestrated":
            layers["stepfunctions"] = (done + struck // 2, struck // 2)
        for layer, (attempts, retries) in layers.items():
            if attempts:
                yield self._sample(t_s, target, "sagastorm_attempts_total", attempts, layer=layer)
            if retries:
                yield self._sample(t_s, target, "sagastorm_retries_total", retries, layer=layer)
        if again:
            yield self._sample(t_s, target, "sagastorm_duplicates_delivered_total", again, step="charge")
            yield self._sample(t_s, target, "sagastorm_duplicates_suppressed_total", again, step="charge")
        if done:
            yield self._sample(
                t_s, target, "sagastorm_aws_calls_total", 2 * done, service="sqs", operation="ReceiveMessage"
            )
            yield self._sample(
                t_s, "ingress-0", "sagastorm_aws_calls_total", self._ends(t_s), service="sqs", operation="SendMessage"
            )

    def _cpu(self, t_s: float) -> Iterator[Sample]:
        rates = {"load-0": (0.9, 0.06), "ingress-0": (0.4, 0.05), "harness-0": (1.8, 0.01), "backend-0": (0.7, 0.31)}
        for target, (at_start, cores) in rates.items():
            yield self._process(t_s, target, at_start + cores * (t_s - FIRST_S))
        busy = 100.0 + 0.9 * (t_s - FIRST_S)
        yield Sample(
            t_s=t_s, target="machine", metric="machine_cpu_busy_seconds_total", labels={}, value=round(busy, 4)
        )
        if self._restart_s is None or t_s < self._restart_s:
            yield self._process(t_s, "worker-0", 0.8 + 0.2 * (t_s - FIRST_S))
        else:
            yield self._process(t_s, "worker-1", 0.8 + 0.2 * (t_s - self._restart_s))

    def _queues(self, t_s: float) -> Iterator[Sample]:
        waiting = max(0, _until(self._scheduled, t_s) - self._ends(t_s))
        for queue, share in (("payment", 0.6), ("inventory", 0.2)):
            for state, part in (("visible", 0.7), ("in_flight", 0.3)):
                depth = int(waiting * share * part)
                yield self._sample(t_s, "harness-0", "sagastorm_queue_messages", depth, queue=queue, state=state)

    def _ends(self, t_s: float) -> int:
        return sum(_until(ends, t_s) for ends in self._ended.values())

    def _process(self, t_s: float, target: str, seconds: float) -> Sample:
        return Sample(t_s=t_s, target=target, metric="process_cpu_seconds_total", labels={}, value=round(seconds, 4))

    def _sample(self, t_s: float, target: str, metric: str, value: float, **labels: str) -> Sample:
        return Sample(t_s=t_s, target=target, metric=metric, labels={**self._base, **labels}, value=float(value))


def _until(times: Sequence[float], t_s: float) -> int:
    return sum(time <= t_s for time in times)
