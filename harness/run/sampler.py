"""Scrapes every process of a block once a second, as Prometheus would, into the run's history."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from harness.aws.backlog import DEAD, queue_depths
from harness.aws.gateway import TRANSIENT, Gateway
from harness.history.history import History
from harness.history.records import Sample
from harness.measure.metrics import Metrics
from harness.run.machine_speed import WORK, MachineSpeed

INTERVAL_S = 1.0
SCRAPE_LIMIT_S = 2.0
PROCESS_CPU = "process_cpu_seconds_total"
MACHINE_CPU = "machine_cpu_busy_seconds_total"
MACHINE_WORK = "machine_work_seconds"
DEAD_LETTERS_EVERY = 5
"""Samples from one look into the dead-letter queues to the next. They are as many again as the queues, and what is in them
waits for nobody."""
BACKEND_CALL = "backend_call_seconds"
"""How long one call takes that no fault can strike. Asked of a queue's depths, the cheapest that every backend has."""
_KEPT = ("sagastorm_", PROCESS_CPU, "process_resident_memory_bytes")

log = logging.getLogger(__name__)


class _Target(msgspec.Struct):
    targets: list[str]
    labels: dict[str, str]


_targets: msgspec.json.Decoder[list[_Target]] = msgspec.json.Decoder(list[_Target])


class Sampler:
    """Samples one block: all announced processes, the backend's CPU time and a call to it, the queues' depths."""

    def __init__(
        self,
        history: History,
        block: int,
        *,
        targets_dir: Path,
        spool_dir: Path,
        gateway: Gateway,
        queue_urls: dict[str, str],
        metrics: Metrics,
        backend_pid: int | None,
        now_s: Callable[[], float],
        seen: Callable[[float, Sequence[Sample]], None] = lambda now_s, samples: None,
    ) -> None:
        self._history = history
        self._block = block
        self._targets_dir = targets_dir
        self._spool_dir = spool_dir
        self._gateway = gateway
        self._queue_urls = queue_urls
        self._metrics = metrics
        self._backend = psutil.Process(backend_pid) if backend_pid else None
        self._now_s = now_s
        self._seen = seen
        self._samples = 0
        self._speed = MachineSpeed()

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        looking = asyncio.create_task(self._speed.run())
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SCRAPE_LIMIT_S)) as session:
                while True:
                    await self._sample(session)
                    due = max(due + INTERVAL_S, loop.time())
                    await asyncio.sleep(due - loop.time())
        finally:
            looking.cancel()

    async def sample_once(self) -> None:
        """One more reading, so that the last second counts."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SCRAPE_LIMIT_S)) as session:
            await self._sample(session)

    async def _sample(self, session: aiohttp.ClientSession) -> None:
        t_s = round(self._now_s(), 3)
        called = await self._time_call(t_s)
        await self._read_queues()
        if self._samples % DEAD_LETTERS_EVERY == 0:
            await self._read_dead_letters()
        self._samples += 1
        scraped = await asyncio.gather(*(self._scrape(session, *target) for target in self._announced()))
        samples = [
            Sample(t_s=t_s, target=process, metric=name, labels=labels, value=value)
            for process, series in scraped
            for name, labels, value in series
        ]
        self._history.add_samples(self._block, [*samples, called, *self._cpu_samples(t_s)])
        self._history.import_spool(self._block, self._spool_dir)
        self._seen(t_s, samples)

    def _announced(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self._targets_dir.glob("*.json")):
            for target in _targets.decode(path.read_bytes()):
                yield target.labels["process"], target.targets[0]

    async def _scrape(
        self, session: aiohttp.ClientSession, process: str, address: str
    ) -> tuple[str, list[tuple[str, dict[str, str], float]]]:
        try:
            async with session.get(f"http://{address}/metrics") as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("%s does not answer a scrape: %s", process, error)
            return process, []
        wanted = "\n".join(line for line in text.splitlines() if _is_wanted(line)) + "\n"
        return process, [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(wanted)
            for sample in family.samples
        ]

    async def _time_call(self, t_s: float) -> Sample:
        """Alone, before calls of ours queue behind each other; one that fails took at least as long as it was tried."""
        began_s = self._now_s()
        with suppress(*TRANSIENT):
            await queue_depths(self._gateway, next(iter(self._queue_urls.values())))
        took_s = round(self._now_s() - began_s, 6)
        return Sample(t_s=t_s, target="backend", metric=BACKEND_CALL, labels={}, value=took_s)

    async def _read_queues(self) -> None:
        for name, depth in await self._depths(""):
            for state, messages in depth.items():
                self._metrics.queue(name, state, messages)

    async def _read_dead_letters(self) -> None:
        for name, depth in await self._depths(DEAD):
            self._metrics.dead_letters(name, sum(depth.values()))

    async def _depths(self, ending: str) -> list[tuple[str, dict[str, int]]]:
        """Of each queue whose URL has this ending, by the queue's name; without those that cannot be read."""
        depths = await asyncio.gather(
            *(queue_depths(self._gateway, url + ending) for url in self._queue_urls.values()), return_exceptions=True
        )
        read = []
        for name, depth in zip(self._queue_urls, depths, strict=True):
            if isinstance(depth, BaseException):
                log.info("queue %s%s cannot be read: %s", name, ending, depth)
            else:
                read.append((name, depth))
        return read

    def _cpu_samples(self, t_s: float) -> list[Sample]:
        """CPU time of the emulator, which exports no metrics, and of the whole machine, whoever uses it; and how fast that is."""
        machine = [
            Sample(t_s=t_s, target="machine", metric=MACHINE_CPU, labels={}, value=machine_busy_s()),
            Sample(
                t_s=t_s,
                target="machine",
                metric=MACHINE_WORK,
                labels={"work": WORK},
                value=round(self._speed.take_s(), 6),
            ),
        ]
        if self._backend is None:
            return machine
        try:
            times = self._backend.cpu_times()
        except psutil.Error:
            return machine
        name = f"backend-{self._backend.pid}"
        used = Sample(t_s=t_s, target=name, metric=PROCESS_CPU, labels={}, value=times.user + times.system)
        return [*machine, used]


def machine_busy_s() -> float:
    """Seconds that the processors that we may run on have been busy since the machine started, all of them together.

    Time that a hypervisor took away counts as busy: nobody could use it.
    """
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    processors = [times for i, times in enumerate(psutil.cpu_times(percpu=True)) if mine is None or i in mine]
    busy_s = 0.0
    for times in processors:
        # On Linux a guest's time is part of its host's user time already.
        elsewhere = (getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        busy_s += sum(times) - sum(elsewhere)
    return busy_s


def _is_wanted(line: str) -> bool:
    """Series of ours, without the buckets, whose exact counterparts are in the client's records."""
    name = line.split("{", 1)[0].split(" ", 1)[0]
    return name.startswith(_KEPT) and not name.endswith(("_bucket", "_created"))


async def dead_letters(gateway: Gateway, queue_urls: dict[str, str]) -> int | None:
    """Messages in all dead-letter queues together; ``None`` where they cannot be read."""
    try:
        depths = await asyncio.gather(*(queue_depths(gateway, url + DEAD) for url in queue_urls.values()))
    except TRANSIENT:
        return None
    return sum(sum(depth.values()) for depth in depths)
