"""What is sampled: every announced process, the backend's CPU time, the queues' depths."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from harness.core.errors import Indefinite
from harness.history.records import Sample
from harness.measure.exporter import announce
from harness.measure.metrics import Metrics
from harness.run import machine_speed
from harness.run.sampler import BACKEND_CALL, DEAD_LETTERS_EVERY, MACHINE_WORK, Sampler, dead_letters
from tests.fake_gateway import FakeGateway, Parameters

EXPOSED = """
# HELP sagastorm_attempts_total Tries by layer
# TYPE sagastorm_attempts_total counter
sagastorm_attempts_total{topology="t",saga="s",layer="sdk"} 12.0
sagastorm_attempts_created{topology="t",saga="s",layer="sdk"} 1.7e+09
# TYPE sagastorm_saga_completion_seconds histogram
sagastorm_saga_completion_seconds_bucket{topology="t",saga="s",outcome="completed",le="0.5"} 3.0
sagastorm_saga_completion_seconds_count{topology="t",saga="s",outcome="completed"} 4.0
sagastorm_saga_completion_seconds_sum{topology="t",saga="s",outcome="completed"} 1.5
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 0.25
process_resident_memory_bytes 1024.0
process_open_fds 9.0
python_gc_objects_collected_total{generation="0"} 77.0
"""
DEPTH = {
    "ApproximateNumberOfMessages": "3",
    "ApproximateNumberOfMessagesNotVisible": "2",
    "ApproximateNumberOfMessagesDelayed": "1",
}


class FakeHistory:
    """Keeps samples in a list, and counts how often the spools were imported."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.imported: list[tuple[int, Path]] = []

    def add_samples(self, block: int, samples: Iterable[Sample]) -> None:
        assert block == 4
        self.samples.extend(samples)

    def import_spool(self, block: int, folder: Path) -> int:
        self.imported.append((block, folder))
        return 0


class Bench:
    """A sampler of block 4 and what it has found."""

    def __init__(self, folder: Path, gateway: FakeGateway | None = None, backend_pid: int | None = None) -> None:
        self.now_s = 2.34567
        self.targets = folder / "targets"
        self.history = FakeHistory()
        self.registry = CollectorRegistry()
        self.gateway = gateway or FakeGateway(GetQueueAttributes={"Attributes": DEPTH})
        self.sampler = Sampler(
            self.history,
            4,
            targets_dir=self.targets,
            spool_dir=folder / "spool",
            gateway=self.gateway,
            queue_urls={"payment": "http://payment", "order": "http://order"},
            metrics=Metrics(self.registry, topology="t", saga="s"),
            backend_pid=backend_pid,
            now_s=lambda: self.now_s,
        )

    def series(self) -> dict[str, dict[str, float]]:
        """Process to metric to value, without the machine's own and without the timed call."""
        found: dict[str, dict[str, float]] = {}
        for sample in self.history.samples:
            assert sample.t_s == 2.346
            if sample.target == "machine" or sample.metric == BACKEND_CALL:
                continue
            found.setdefault(sample.target, {})[sample.metric] = sample.value
        return found

    def depth(self, queue: str, state: str) -> float | None:
        labels = {"topology": "t", "saga": "s", "queue": queue, "state": state}
        return self.registry.get_sample_value("sagastorm_queue_messages", labels)


@asynccontextmanager
async def exposing(text: str) -> AsyncIterator[int]:
    """A process that shows these metrics, by its port."""

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_own_series_and_the_cost_of_the_process_are_kept_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with exposing(EXPOSED) as port:
        announce(bench.targets, "worker-1", port, "ss-r-4")
        await bench.sampler.sample_once()
    assert bench.series() == {
        "worker-1": {
            "sagastorm_attempts_total": 12.0,
            "sagastorm_saga_completion_seconds_count": 4.0,
            "sagastorm_saga_completion_seconds_sum": 1.5,
            "process_cpu_seconds_total": 0.25,
            "process_resident_memory_bytes": 1024.0,
        }
    }
    attempts = next(one for one in bench.history.samples if one.metric == "sagastorm_attempts_total")
    assert attempts.labels == {"topology": "t", "saga": "s", "layer": "sdk"}


async def test_step_whose_name_ends_like_a_bookkeeping_series_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with exposing('sagastorm_compensations_total{step="order_created"} 2.0\n') as port:
        announce(bench.targets, "worker-1", port, "ss-r-4")
        await bench.sampler.sample_once()
    assert bench.series() == {"worker-1": {"sagastorm_compensations_total": 2.0}}


async def test_every_announced_process_is_asked_and_one_that_is_gone_is_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with exposing("") as gone:
        pass
    async with exposing(EXPOSED) as port:
        announce(bench.targets, "worker-1", port, "ss-r-4")
        announce(bench.targets, "worker-2", gone, "ss-r-4")
        announce(bench.targets, "ingress-3", port, "ss-r-4")
        await bench.sampler.sample_once()
    assert bench.series().keys() == {"worker-1", "ingress-3"}


async def test_spools_are_imported_with_every_reading(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(2):
        await bench.sampler.sample_once()
    assert bench.history.imported == [(4, tmp_path / "spool")] * 2


async def test_cpu_time_of_the_backend_is_read_from_the_system(tmp_path: Path) -> None:
    bench = Bench(tmp_path, backend_pid=os.getpid())
    await bench.sampler.sample_once()
    [series] = bench.series().values()
    assert bench.series().keys() == {f"backend-{os.getpid()}"}
    assert series["process_cpu_seconds_total"] > 0


@pytest.mark.parametrize("answer", [{"Attributes": DEPTH}, Indefinite("no answer")], ids=["answered", "given up"])
async def test_one_call_to_the_backend_is_timed_alone_and_however_it_ended(answer: Any, tmp_path: Path) -> None:
    def take_30_ms_each(parameters: Parameters) -> Any:
        bench.now_s += 0.03
        return answer

    bench = Bench(tmp_path, FakeGateway(GetQueueAttributes=take_30_ms_each))
    await bench.sampler.sample_once()
    [call] = [sample for sample in bench.history.samples if sample.metric == BACKEND_CALL]
    assert (call.target, call.labels, call.value) == ("backend", {}, 0.03)


async def test_what_the_machine_is_busy_with_is_read_and_never_falls(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.sampler.sample_once()
    await bench.sampler.sample_once()
    first, second = [s.value for s in bench.history.samples if s.metric == "machine_cpu_busy_seconds_total"]
    assert second >= first > 0


async def test_how_fast_the_machine_is_was_looked_at_and_is_told_as_what_the_same_work_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([0.004, 0.002, 0.006, 0.004, 0.003])
    monkeypatch.setattr(machine_speed, "work_s", lambda: next(looks))
    monkeypatch.setattr(machine_speed, "INTERVAL_S", 0.0)
    speed = machine_speed.MachineSpeed()
    looking = asyncio.create_task(speed.run())
    for _ in range(4):
        await asyncio.sleep(0)
    looking.cancel()
    assert speed.take_s() == 0.004
    assert speed.take_s() == 0.003  # between two samples there was no time: now
    bench = Bench(tmp_path)
    monkeypatch.setattr(machine_speed, "work_s", lambda: 0.0025)
    await bench.sampler.sample_once()
    [work] = [sample for sample in bench.history.samples if sample.metric == MACHINE_WORK]
    assert (work.target, work.value) == ("machine", 0.0025)


async def test_while_it_samples_it_looks_at_the_machines_speed_and_stops_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def look() -> float:
        looks.append(0.002)
        return 0.002

    monkeypatch.setattr(machine_speed, "work_s", look)
    monkeypatch.setattr(machine_speed, "INTERVAL_S", 0.0)
    before = asyncio.all_tasks()
    bench = Bench(tmp_path)
    sampling = asyncio.create_task(bench.sampler.run())
    for _ in range(50):
        await asyncio.sleep(0)
    samples = [sample for sample in bench.history.samples if sample.metric == MACHINE_WORK]
    assert len(looks) > 10 * max(1, len(samples))
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def test_the_work_takes_processor_time() -> None:
    assert machine_speed.work_s() > 0


async def test_depths_of_all_queues_become_metrics(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.sampler.sample_once()
    for queue in ("payment", "order"):
        assert [bench.depth(queue, state) for state in ("visible", "in_flight", "delayed")] == [3, 2, 1]


async def test_queue_that_cannot_be_read_keeps_its_last_depth_and_the_others_are_read(tmp_path: Path) -> None:
    def payment_fails(parameters: Parameters) -> Any:
        return Indefinite("no answer") if parameters["QueueUrl"] == "http://payment" else {"Attributes": DEPTH}

    bench = Bench(tmp_path, FakeGateway(GetQueueAttributes=payment_fails))
    await bench.sampler.sample_once()
    assert bench.depth("payment", "visible") is None
    assert bench.depth("order", "visible") == 3


async def test_dead_letter_queues_are_looked_into_at_once_and_then_now_and_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    looks = []
    for _ in range(DEAD_LETTERS_EVERY + 1):
        await bench.sampler.sample_once()
        asked = [call["QueueUrl"] for call in bench.gateway.asked("GetQueueAttributes")]
        looks.append(asked.count("http://order-dead"))
    assert looks == [1] * DEAD_LETTERS_EVERY + [2]
    labels = {"topology": "t", "saga": "s", "queue": "order"}
    assert bench.registry.get_sample_value("sagastorm_dead_letters", labels) == 6


async def test_dead_letters_are_counted_over_all_dead_letter_queues() -> None:
    gateway = FakeGateway(GetQueueAttributes={"Attributes": DEPTH})
    assert await dead_letters(gateway, {"payment": "http://payment", "order": "http://order"}) == 12
    assert [call["QueueUrl"] for call in gateway.asked("GetQueueAttributes")] == [
        "http://payment-dead",
        "http://order-dead",
    ]


async def test_dead_letters_that_cannot_be_counted_are_unknown_and_not_none() -> None:
    gateway = FakeGateway(GetQueueAttributes=Indefinite("no answer"))
    assert await dead_letters(gateway, {"payment": "http://payment"}) is None
