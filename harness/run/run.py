"""A whole run, from settings to verdict."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chaos import storm as storms
from harness import registry
from harness.aws.clients import open_clients
from harness.backends.base import Backend, Endpoints
from harness.backends.embedded import Embedded
from harness.backends.endpoint import Endpoint, region_from
from harness.core.errors import EnvironmentFailure, SagastormError
from harness.deployment import KEY_VARIABLE
from harness.history import run_file
from harness.history.history import History
from harness.history.run_file import RunFile
from harness.load.plan import write_plan
from harness.run import facts, scenarios
from harness.run.block import SystemUnderTest, Turn
from harness.run.instrument import read_instrument
from harness.run.processes import Child, spawn
from harness.run.progress import Teller
from harness.settings import RunSettings
from harness.topologies.policy import RetryPolicy

LOAD_LEAD_S = 3.0
"""From starting the load generator to the first arrival: importing Locust takes a second or two."""
LOOK_EVERY_S = 0.5
HISTORY = "history.sqlite"


@dataclass
class Run:
    """A run under way. ``failure`` is what ended it early, ``interrupted`` whether a person did."""

    folder: Path
    file: RunFile
    settings: RunSettings
    teller: Teller
    command: str
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    failure: SagastormError | None = None
    interrupted: bool = False

    @property
    def storm(self) -> storms.Storm:
        """As it was resolved when the run was prepared."""
        return storms.resolved(self.file.storm)


Load = Callable[[SystemUnderTest], Awaitable[None]]


def prepare(
    settings: RunSettings, runs: Path, teller: Teller, command: str, storm: dict[str, object] | None = None
) -> Run:
    """Check what can be checked before anything is started, and make the run's folder.

    Raises :class:`~harness.core.errors.UsageError`, in which case nothing was written.
    """
    saga = registry.saga(settings.saga)
    for name in settings.topologies:
        registry.topology(name)
    scenarios.locate(settings.scenario)
    resolved = storm or msgspec.to_builtins(storms.load(settings.storm, saga, settings.duration_s))
    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = runs / run_id
    folder.mkdir(parents=True)
    file = RunFile(
        run_id=run_id,
        settings=settings,
        storm=resolved,
        started_at=started.isoformat(timespec="seconds"),
        command=command,
        commit=facts.commit(),
        versions=facts.versions(),
        machine=facts.machine(),
        backend_name="",
        backend_version="",
    )
    return Run(folder, file, settings, teller, command)


def turns(run: Run) -> list[Turn]:
    """The blocks in their order: letter by letter, each letter's n-th turn in round n."""
    settings = run.settings
    made: list[Turn] = []
    for number, letter in enumerate(settings.interleave):
        topology = settings.topologies[ord(letter) - ord("A")]
        made.append(
            Turn(
                number=number,
                topology=topology,
                round=settings.interleave[:number].count(letter),
                run_id=run.file.run_id,
                folder=run.folder,
                settings=settings,
                storm=run.storm,
                policy=RetryPolicy(),
                key=run.key,
            )
        )
    return made


async def execute(run: Run, load: Load | None = None) -> None:
    """Run all blocks. What ends a run early is kept in ``run``, not raised: there is always something to judge.

    Each block is: 1 prepare (backend, resources, processes), 2 load, 3 heal, 4 drain, 5 collect. Audit, judgement and
    report come after, from the saved run alone.
    """
    interrupted = _interruptions(run)
    with History(run.folder / HISTORY) as history:
        for turn in turns(run):
            try:
                await _block(run, turn, history, load or _locust(run, interrupted), interrupted)
            except SagastormError as error:
                run.failure = error
                run.teller.say(f"  {error}")
                return
            if interrupted.is_set():
                run.interrupted = True
                return


async def _block(run: Run, turn: Turn, history: History, load: Load, interrupted: asyncio.Event) -> None:
    run.teller.say(f"Block {turn.number + 1} of {len(run.settings.interleave)}: {turn.topology}, round {turn.round + 1}")
    backend = _backend(run, turn)
    system: SystemUnderTest | None = None
    problem: str | None = "stopped by an unforeseen error"
    try:
        endpoints = await backend.start()
        await _read_instrument_once(run, turn, endpoints)
        system = SystemUnderTest(turn, backend, history, run.teller)
        await system.start(endpoints)
        await load(system)
        system.heal()
        await system.guard(asyncio.ensure_future(system.drain()))
        await system.guard(asyncio.ensure_future(system.collect(state="aborted" if interrupted.is_set() else "complete")))
        problem = "interrupted" if interrupted.is_set() else None
    except SagastormError as error:
        problem = str(error)
        raise
    finally:
        if system:
            await system.stop(problem)
        await backend.stop()


def _backend(run: Run, turn: Turn) -> Backend:
    if run.settings.endpoints is not None:
        return Endpoint(run.settings.endpoints, region=region_from(os.environ))
    return Embedded(turn.folder / "logs" / str(turn.number) / "backend.log")


async def _read_instrument_once(run: Run, turn: Turn, endpoints: Endpoints) -> None:
    if run.file.instrument is not None:
        return
    async with open_clients(endpoints.urls, endpoints.region, emulator=endpoints.emulator) as clients:
        instrument = await read_instrument(clients, turn.namespace)
    run.file = msgspec.structs.replace(
        run.file, instrument=instrument, backend_name=endpoints.name, backend_version=endpoints.version
    )
    run_file.save(run.folder, run.file)
    hops = ", ".join(f"{name.replace('_', ' ')} {hop.p50_ms:.1f}" for name, hop in instrument.hops.items())
    run.teller.say(f"  {endpoints.name} {endpoints.version}; its own hops, p50 in ms: {hops}")


def _locust(run: Run, interrupted: asyncio.Event) -> Load:
    """The load generator in a process of its own."""

    async def load(system: SystemUnderTest) -> None:
        turn = system.turn
        epoch_ns = time.monotonic_ns() + int(LOAD_LEAD_S * 1e9)
        plan_path = turn.folder / f"plan-{turn.number}.json"
        write_plan(plan_path, turn.plan(system.ingress_url, epoch_ns))
        child = await spawn("load", _locust_command(run, plan_path), _locust_environment(run), turn.logs)
        system.begin(epoch_ns)
        try:
            await system.guard(asyncio.ensure_future(_watch(run, system, child, interrupted)))
        finally:
            await child.stop()
        if child.process.returncode and not interrupted.is_set():
            raise EnvironmentFailure(f"the load generator: {child.end()}")

    return load


async def _watch(run: Run, system: SystemUnderTest, child: Child, interrupted: asyncio.Event) -> None:
    """Until the load generator has ended: lift the faults in time, pass an interruption on, tell how it goes."""
    ended = asyncio.ensure_future(child.process.wait())
    told = False
    label = f"{system.turn.topology}, {run.storm.name}"
    while not ended.done():
        if system.now_s() >= run.settings.duration_s:
            system.heal()
        if interrupted.is_set() and not told:
            told = True
            system.heal()
            child.signal(signal.SIGINT)
        run.teller.at(label, max(0.0, system.now_s()), run.settings.duration_s, system.counts())
        await asyncio.wait({ended}, timeout=LOOK_EVERY_S)


def _locust_command(run: Run, plan_path: Path) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(scenarios.locate(run.settings.scenario)), "--headless", "--only-summary"]
    command += ["--sagastorm-plan", str(plan_path)]
    if run.settings.load_processes > 1:
        command += ["--processes", str(run.settings.load_processes)]
    return command


def _locust_environment(run: Run) -> dict[str, str]:
    return {KEY_VARIABLE: run.key, "SAGASTORM_LIFELINE": "stdin"}


def _interruptions(run: Run) -> asyncio.Event:
    """Set by the first Ctrl-C or SIGTERM; the second one is not caught."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        run.teller.say("Interrupted: no more arrivals; draining what is under way (once more to stop at once)")
        interrupted.set()
        for sign in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                loop.remove_signal_handler(sign)

    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, interrupt)
    return interrupted
