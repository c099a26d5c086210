"""A whole run, from settings to verdict."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from chaos import storm as storms
from harness import registry
from harness.aws.clients import open_clients
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.namespaces import remove
from harness.backends.base import Backend, Endpoints
from harness.backends.deviations import callback_retry, deviations, is_checked
from harness.core.errors import EnvironmentFailure, Problem, SagastormError, UsageError
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.history.run_file import BackendFacts, Instrument, RunFile
from harness.measure.metrics import Metrics
from harness.run import facts, scenarios
from harness.run.block import SystemUnderTest
from harness.run.calibrate import calibrated
from harness.run.capacity import read_capacity
from harness.run.instrument import read_instrument
from harness.run.live import Live
from harness.run.progress import Teller
from harness.run.turn import Turn
from harness.run.under_way import under_way
from harness.settings import RunSettings
from harness.topologies.policy import RetryPolicy

STOPPED = "the load was stopped before its time"
"""Why a block is aborted of which whoever makes the load from outside wanted no more."""
SAID = {"rate_per_s": "a rate", "duration_s": "a duration"}
"""What can be scaled, in words."""


@dataclass
class Run:
    """A run under way. ``failure`` is what ended it early, ``interrupted`` whether a person did.

    ``no_more``: whoever makes the load from outside wants no further block.
    """

    folder: Path
    file: RunFile
    settings: RunSettings
    teller: Teller
    key: str = field(repr=False)
    failure: SagastormError | None = None
    interrupted: bool = False
    no_more: bool = False
    live: Live = field(init=False)

    def __post_init__(self) -> None:
        self.live = Live(self.folder, self.file)

    @property
    def storm(self) -> storms.Storm:
        """As it was resolved when the run was prepared."""
        return storms.resolved(self.file.storm)


Load = Callable[[Run, SystemUnderTest, asyncio.Event], Awaitable[None]]
"""Offers the load of one block and ends when it is over; the event says that a person wants it to end now."""


def prepare(
    settings: RunSettings,
    runs: Path,
    teller: Teller,
    command: str,
    storm: dict[str, object] | None = None,
    key: str | None = None,
) -> Run:
    """Check what can be checked before anything is started, and make the run's folder.

    ``storm`` is one that was resolved before, ``key`` one that somebody else signs identities with.

    Raises :class:`~harness.core.errors.UsageError`, in which case nothing was written.
    """
    saga = registry.saga(settings.saga)
    for name in settings.topologies:
        registry.topology(name)
    scenarios.locate(settings.scenario)
    if runs.exists() and not runs.is_dir():
        raise UsageError([Problem("--runs", str(runs), "a folder, or a path at which one can be made")])
    resolved = storm or msgspec.to_builtins(storms.load(settings.storm, saga, settings.duration_s, settings.rate_per_s))
    storms.resolved(resolved).check()
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
    )
    run_file.save(folder, file)
    return Run(folder, file, settings, teller, key or secrets.token_hex(32))


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
                policy=RetryPolicy.of(settings.mitigations),
                key=run.key,
            )
        )
    return made


async def execute(run: Run, load: Load) -> None:
    """Run all blocks. What ends a run early is kept in ``run``, not raised: there is always something to judge.

    First the instrument is read, and what nobody chose is set by it. Each block is then: 1 prepare (backend, resources,
    processes), 2 load, 3 heal, 4 drain, 5 collect. Audit, judgement and report come after, from the saved run alone.
    """
    interrupted = _interruptions(run)
    with under_way(run.folder), History(run.folder / FILE_NAME) as history:
        try:
            await _measure(run)
            for turn in turns(run):
                if interrupted.is_set() or run.no_more:
                    break
                await _block(run, turn, history, load, interrupted)
        except SagastormError as error:
            run.failure = error
            run.file = msgspec.structs.replace(run.file, problem=str(error))
            run_file.save(run.folder, run.file)
            run.teller.say(f"  {error}")
        run.interrupted = interrupted.is_set()


async def _measure(run: Run) -> None:
    """Read the instrument, on a backend that serves no block: what the readings leave in it, one block alone would have."""
    run.teller.say("Instrument: what the backend does by itself")
    run.live.measuring()
    backend = _backend(run, run.folder / "logs" / "instrument")
    namespace = turns(run)[0].namespace
    try:
        endpoints = await backend.start()
        async with open_clients(endpoints.urls, endpoints.region, emulator=endpoints.emulator) as clients:
            try:
                instrument = await read_instrument(clients, namespace)
                # Last: what it leaves behind would be in the way of the other readings.
                steps = len(registry.saga(run.settings.saga).steps)
                capacity = await read_capacity(clients, f"{namespace}-capacity", steps)
            finally:
                if run.settings.endpoints is not None:  # a reading that failed may have left something
                    await remove(Gateway(clients, Metrics(CollectorRegistry(), topology="", saga="")), [namespace])
    except TRANSIENT as error:
        raise _not_done(error) from error
    finally:
        await backend.stop()
    instrument = msgspec.structs.replace(instrument, capacity_sagas_per_s=capacity)
    run.file = msgspec.structs.replace(run.file, instrument=instrument, backend=_facts(endpoints))
    run_file.save(run.folder, run.file)
    hops = ", ".join(f"{name.replace('_', ' ')} {hop.p50_ms:.1f}" for name, hop in instrument.hops.items())
    run.teller.say(f"  {endpoints.name} {endpoints.version}; its own hops, p50 in ms: {hops}")
    carried = ", ".join(f"{shape} {capacity:.1f}" for shape, capacity in instrument.capacity_sagas_per_s.items())
    run.teller.say(f"  it carries, in sagas/s: {carried}")
    if run.settings.scaled:
        calibrate(run, instrument)


def calibrate(run: Run, instrument: Instrument) -> None:
    """Set what nobody chose, and make the storm fit: its windows and rates are shares of what is now known.

    It is read from its file again: one that a replay brings was never run, or it would have nothing left to set.
    """
    scaled = run.settings.scaled
    settings = calibrated(run.settings, instrument)
    storm = storms.load(settings.storm, registry.saga(settings.saga), settings.duration_s, settings.rate_per_s)
    run.settings = settings
    run.file = msgspec.structs.replace(
        run.file,
        settings=settings,
        storm=msgspec.to_builtins(storm),
        instrument=msgspec.structs.replace(instrument, scaled=scaled),
    )
    run_file.save(run.folder, run.file)
    run.teller.say(
        f"  so the load is {settings.rate_per_s:g} sagas/s for {settings.duration_s:g} s (nobody chose "
        f"{' or '.join(SAID[field] for field in scaled)})"
    )


async def _block(run: Run, turn: Turn, history: History, load: Load, interrupted: asyncio.Event) -> None:
    run.teller.say(
        f"Block {turn.number + 1} of {len(run.settings.interleave)}: {turn.topology}, round {turn.round + 1}"
    )
    run.live.starting(run.file, turn)
    backend = _backend(run, turn.logs)
    system: SystemUnderTest | None = None
    problem: str | None = "stopped by an unforeseen error"
    try:
        endpoints = await backend.start()
        if interrupted.is_set() or run.no_more:
            return
        system = SystemUnderTest(turn, backend, history, run.teller, run.live)
        await system.start(endpoints)
        if not interrupted.is_set() and not run.no_more:
            await load(run, system, interrupted)
        # A block whose load is over is whole, even if the run is interrupted while it drains.
        cut_short = interrupted.is_set() or not system.load_was_whole
        system.heal()
        await system.guard(asyncio.ensure_future(system.drain()))
        await system.guard(asyncio.ensure_future(system.collect(state="aborted" if cut_short else "complete")))
        problem = ("interrupted" if interrupted.is_set() else STOPPED) if cut_short else None
    except TRANSIENT as error:
        failure = _not_done(error)
        problem = str(failure)
        raise failure from error
    except SagastormError as error:
        problem = str(error)
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):
        problem = "stopped at once"
        raise
    finally:
        try:
            if system:
                await system.stop(problem)
        finally:
            await backend.stop()


def _backend(run: Run, logs: Path) -> Backend:
    return registry.backend(run.settings.backend).backend(run.settings.endpoints, logs / "backend.log")


def _not_done(error: Exception) -> EnvironmentFailure:
    return EnvironmentFailure(f"the backend did not do what was asked of it: {error}")


def _facts(endpoints: Endpoints) -> BackendFacts:
    product = endpoints.product
    return BackendFacts(
        name=endpoints.name,
        product=product,
        version=endpoints.version,
        callback_retry=callback_retry(product),
        deviations=deviations(product),
        checked=is_checked(product, endpoints.version),
    )


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
