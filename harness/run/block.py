"""One topology's turn: a namespace, its processes, a load, and what is left of it in the history."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from chaos.injector import Port
from chaos.storm import Fault
from harness import registry
from harness.aws.clients import open_clients
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.namespaces import remove
from harness.aws.pending import PendingSagas
from harness.aws.tables import seed
from harness.backends.base import Backend, Endpoints
from harness.backends.deviations import callback_retry
from harness.core.errors import BackendDied, EnvironmentFailure
from harness.core.identity import KEY_VARIABLE
from harness.core.mitigations import ORCHESTRATOR_ONLY
from harness.core.saga import Saga, Workload
from harness.deployment import Control, Deployment
from harness.history.history import History
from harness.history.records import Block, FaultRow
from harness.history.spool import Spool
from harness.load.arrivals import LOAD_DIGEST, arrivals, digest, round_seed, workload_plan
from harness.measure.exporter import forget_the_dead, start_exporter
from harness.measure.metrics import Metrics
from harness.run.collect import collect
from harness.run.drain import drain
from harness.run.live import Live
from harness.run.processes import Fleet
from harness.run.progress import Teller
from harness.run.redrive import redrive
from harness.run.sampler import Sampler, dead_letters
from harness.run.turn import Turn
from harness.topologies.base import Deployed
from harness.topologies.deploy import deploy


class SystemUnderTest:
    """A block's resources and processes, from deployment to the reading of its tables."""

    def __init__(self, turn: Turn, backend: Backend, history: History, teller: Teller, live: Live) -> None:
        self.turn = turn
        self._backend = backend
        self._history = history
        self._teller = teller
        self._live = live
        self._saga: Saga = registry.saga(turn.settings.saga)
        self._stack = AsyncExitStack()
        self._control: Control | None = None
        self._fleet = Fleet(turn.targets_dir, turn.logs, {KEY_VARIABLE: turn.key}, self._said)
        self._sampling: asyncio.Task[None] | None = None
        self._redriving: asyncio.Task[None] | None = None
        self._unsampled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails when the sampling does: a run without its series proves nothing."""
        self.ingress_url = ""
        self._sweeper_on = turn.settings.mitigations.sweeper == "on"
        self._windows = [(fault.name, fault.start_s, fault.end_s) for fault in turn.storm.faults]
        # Any address will do: only the schedule is asked for, and it does not depend on it.
        plan = turn.plan("http://127.0.0.1", None)
        self._due_s = arrivals(plan)
        self._workload: Workload = self._saga.workload(workload_plan(plan, self._due_s))
        self._block = Block(
            block=turn.number,
            topology=turn.topology,
            round=turn.round,
            namespace=turn.namespace,
            duration_s=turn.settings.duration_s,
            scheduled=len(self._due_s),
            load_digest=digest(self._due_s, self._workload),
            storm_windows=self._windows,
        )

    def now_s(self) -> float:
        """Seconds since the load started; negative before it, and 0 while nobody knows when it will."""
        return (time.monotonic_ns() - self._control.epoch_ns) / 1e9 if self._control else 0.0

    def _is_time(self, start_s: float, end_s: float) -> bool:
        return self._control is not None and self._control.storm_on and start_s <= self.now_s() < end_s

    async def start(self, endpoints: Endpoints) -> None:
        """Deploy, fill the tables, start the ingress, the workers and the sweeper, and begin to sample."""
        turn = self.turn
        for folder in (turn.spool_dir, turn.targets_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._history.put_block(self._block)
        self._spool_scheduled()
        topology = registry.topology(turn.topology)
        metrics_registry = CollectorRegistry()
        metrics = Metrics(metrics_registry, topology=turn.topology, saga=turn.settings.saga)
        clients = await self._stack.enter_async_context(
            open_clients(endpoints.urls, endpoints.region, emulator=endpoints.emulator)
        )
        self._gateway = Gateway(clients, metrics)
        if turn.settings.endpoints is not None:
            # An emulator of ours goes with its process; on somebody else's nothing of a block is left behind, nor of
            # one that was made half.
            self._stack.push_async_callback(self._remove_namespace)
        self._deployed: Deployed = await deploy(
            self._gateway,
            self._saga,
            topology,
            turn.namespace,
            turn.policy,
            callback_retry=callback_retry(endpoints.product),
            seed=round_seed(turn.settings.seed, turn.round),
            sweeper=self._sweeper_on,
        )
        connection = topology.connect(self._gateway, self._saga, self._deployed)
        inapplicable = [fault.name for fault in turn.storm.faults if not fault.applies_to(connection)]
        without = [] if self._deployed.state_machine_arn else sorted(ORCHESTRATOR_ONLY)
        self._block = msgspec.structs.replace(
            self._block, inapplicable_faults=inapplicable, inapplicable_mitigations=without
        )
        await seed(self._gateway, turn.namespace, self._workload.initial_items())
        await self._start_fleet(self._deployment(endpoints))
        for name, start_s, end_s in self._windows:
            metrics.fault_window(name, partial(self._is_time, start_s, end_s))
        exporter = start_exporter(metrics_registry, turn.targets_dir, "harness", turn.namespace)
        self._stack.push_async_callback(asyncio.to_thread, exporter.close)
        self._sampler = Sampler(
            self._history,
            turn.number,
            targets_dir=turn.targets_dir,
            spool_dir=turn.spool_dir,
            gateway=self._gateway,
            queue_urls=self._deployed.queue_urls,
            metrics=metrics,
            backend_pid=endpoints.pid,
            now_s=self.now_s,
            seen=self._live.take,
        )
        self._live.deployed(self._block, self._due_s)

    def begin(self, epoch_ns: int) -> None:
        """The load starts at this monotonic time: the storm's clock runs, and samples are taken."""
        self._control = Control(epoch_ns=epoch_ns)
        self._fleet.steer(self._control)
        if self._sampling is None:
            self._sampling = asyncio.create_task(self._sampler.run())
            self._sampling.add_done_callback(self._sampling_ended)
            self._live.loading()

    @property
    def load_was_whole(self) -> bool:
        """Whether a load has begun, and was not over before its time: of a shorter one no figure can be compared."""
        return self._control is not None and self.now_s() >= self.turn.settings.duration_s

    def heal(self) -> None:
        """Lift all faults."""
        if self._control and self._control.storm_on:
            self._control = Control(epoch_ns=self._control.epoch_ns, storm_on=False)
            self._fleet.steer(self._control)
            self._block = msgspec.structs.replace(self._block, load_ended_s=round(self.now_s(), 3))
            self._live.draining(self.now_s())
            self.note("the faults are lifted")
            self._redriving = asyncio.create_task(self._redrive_at_once())

    async def guard(self, work: asyncio.Future[Any]) -> None:
        """Wait for ``work``; raises if the backend, a process or the sampling fails first."""
        died = asyncio.ensure_future(self._backend.died())
        watched: set[asyncio.Future[Any]] = {work, died, self._fleet.failed, self._unsampled}
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
        if work not in done:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if died in done:
            raise BackendDied(died.result())
        if self._fleet.failed in done:
            raise EnvironmentFailure(self._fleet.failed.result())
        if self._unsampled in done:
            self._unsampled.result()
        work.result()

    async def drain(self) -> None:
        """Wait until queues and executions run empty, dead letters that are redriven among them."""
        self.note("the drain begins")
        if self._redriving:
            await self._redriving
        pending = PendingSagas(self._gateway, self.turn.namespace) if self._sweeper_on else None
        drained = await drain(self._gateway, self._deployed, self.turn.settings.drain_limit_s, pending, self._redrive)
        self._block = msgspec.structs.replace(self._block, drained=drained, drained_s=round(self.now_s(), 3))
        self.note("drained" if drained else "not drained within the limit")

    async def collect(self, *, state: str = "complete") -> None:
        """Stop the processes, take the last samples and read the tables."""
        await self._sampler.sample_once()
        self._check_offered()
        letters = await dead_letters(self._gateway, self._deployed.queue_urls)
        await self._fleet.stop()
        turn = self.turn
        await collect(self._gateway, self._history, turn.number, self._saga, self._workload, turn.namespace)
        self._block = msgspec.structs.replace(self._block, state=state, collected=True, dead_letters=letters)

    async def stop(self, problem: str | None = None) -> None:
        """Let go of everything, whatever has happened; what was recorded is kept."""
        for task in filter(None, (self._sampling, self._redriving)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        try:
            try:
                await self._fleet.stop()
            finally:
                await self._stack.aclose()
        finally:
            if problem:
                self._block = msgspec.structs.replace(self._block, state="aborted", problem=problem)
                self.note(problem)
            self._history.import_spool(self.turn.number, self.turn.spool_dir)
            self._history.put_block(self._block)
            self._live.block_over(complete=self._block.state == "complete")
        forget_the_dead()
        for folder in (self.turn.spool_dir, self.turn.work_dir):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                folder.parent.rmdir()  # once the last block is done with it

    def note(self, what: str) -> None:
        """Remember that something happened to the run."""
        self._history.add_event(self.turn.number, round(self.now_s(), 3), what)

    def counts(self) -> str:
        """What the clients know so far, in a few words."""
        arrived, ended = self._history.progress(self.turn.number)
        return f"{arrived} of {self._block.scheduled} arrivals, {ended} ended"

    async def _redrive(self) -> int:
        if self.turn.settings.mitigations.redrive == "off":
            return 0
        back = await redrive(self._gateway, self._deployed.queue_urls.values())
        if back:
            self._block = msgspec.structs.replace(self._block, redriven=self._block.redriven + back)
            self.note(f"dead letters that went back to their queues: {back}")
        return back

    async def _redrive_at_once(self) -> None:
        """The drain does it again: what fails now has its turn then."""
        with suppress(*TRANSIENT):
            await self._redrive()

    async def _remove_namespace(self) -> None:
        problems = await remove(self._gateway, [self.turn.namespace])
        for problem in problems:
            self._said(problem)
        if problems:
            self._said(
                "what this block made is left on the backend; `sagastorm clean` removes it once the run has ended"
            )

    def _deployment(self, endpoints: Endpoints) -> Path:
        turn = self.turn
        path = turn.work_dir / "deployment.json"
        deployment = Deployment(
            namespace=turn.namespace,
            saga=turn.settings.saga,
            topology=turn.topology,
            urls=endpoints.urls,
            region=endpoints.region,
            emulator=endpoints.emulator,
            deployed=self._deployed,
            policy=turn.policy,
            mitigations=turn.settings.mitigations,
            seed=round_seed(turn.settings.seed, turn.round),
            workers=turn.settings.workers,
            storm=msgspec.to_builtins(turn.storm),
            spool_dir=str(turn.spool_dir),
            targets_dir=str(turn.targets_dir),
        )
        path.write_bytes(msgspec.json.encode(deployment))
        return path

    async def _start_fleet(self, deployment: Path) -> None:
        turn = self.turn
        python = [sys.executable, "-m"]
        ingress, *_ = await asyncio.gather(
            self._fleet.start("ingress", [*python, "harness.ingress.main", str(deployment)], restart=False),
            *(
                self._fleet.start(role, [*python, f"harness.{role}.main", str(deployment)], restart=True)
                for role in ["worker"] * turn.settings.workers + ["sweeper"] * self._sweeper_on
            ),
        )
        target = msgspec.json.decode((turn.targets_dir / f"{ingress.name}.json").read_bytes())
        self.ingress_url = f"http://{target[0]['targets'][0]}"

    def _check_offered(self) -> None:
        """The load generator says what it was about to send: had it been another load, nothing could be compared."""
        for event in self._history.events(self.turn.number):
            if event.what.startswith(LOAD_DIGEST) and event.what != f"{LOAD_DIGEST}{self._block.load_digest}":
                raise EnvironmentFailure("the load generator did not offer the load that the seed decides")

    def _sampling_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self._unsampled.done() and (error := task.exception()):
            self._unsampled.set_exception(error)

    def _said(self, text: str) -> None:
        self._teller.say(f"  {text}")
        self.note(text)

    def _spool_scheduled(self) -> None:
        """What changes arrivals strikes before the load, in the schedule: the arrivals that it changes are its strikes."""
        with Spool(self.turn.spool_dir / "schedule.jsonl") as spool:
            for fault in self.turn.storm.faults:
                if registry.lookup("fault", fault.kind).port is not Port.ARRIVALS:
                    continue
                for arrival in self._changed_by(fault):
                    spool.write(
                        FaultRow(
                            t_s=self._due_s[arrival],
                            worker="schedule",
                            fault=fault.name,
                            saga_id="",
                            arrival=arrival,
                            participant="",
                            step="arrival",
                            attempt="0.0",
                        )
                    )

    def _changed_by(self, fault: Fault) -> list[int]:
        """Arrivals in its window; of a fault that moves none of them, those that ask for something else because of it."""
        inside = [number for number, due_s in enumerate(self._due_s) if fault.start_s <= due_s < fault.end_s]
        storm = self.turn.storm
        others = msgspec.structs.replace(storm, faults=tuple(one for one in storm.faults if one != fault))
        plan = replace(self.turn, storm=others).plan("http://127.0.0.1", None)
        if arrivals(plan) != self._due_s:
            return inside
        without = self._saga.workload(workload_plan(plan, self._due_s))
        return [number for number in inside if without.request(number) != self._workload.request(number)]
