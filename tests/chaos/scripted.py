"""Faults whose injector is a script, and an engine to arm with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from prometheus_client import CollectorRegistry

from chaos.claims import Claims
from chaos.engine import Engine, Site
from chaos.injector import Port, Strike
from chaos.storm import Fault, Storm
from harness.core.subject import Subject
from harness.history.records import FaultRow
from harness.history.spool import Spool, SpoolReader
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery

DONE = Reply(result="done")


class ScriptedInjector:
    """Counts its strikes and lets what it strikes happen, or loses it."""

    def __init__(self, port: Port, *, by_arrival: bool = True, loses: bool = False) -> None:
        self.port = port
        self.by_arrival = by_arrival
        self.strikes: list[Strike] = []
        self._loses = loses

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        self.strikes.append(strike)
        return "lost" if self._loses else await proceed()


@dataclass
class ScriptedFault:
    """Stands in for :class:`chaos.storm.Fault`: certain, and in the first ten seconds, unless told otherwise."""

    made: ScriptedInjector
    name: str = "scripted"
    probability: float = 1.0
    start_s: float = 0.0
    end_s: float = 10.0
    participant: str | None = None
    step: str | None = None
    call: str | None = None
    sagas: float = 1.0

    def injector(self, workers: int) -> ScriptedInjector:
        return self.made


class Rig:
    """An engine with a clock and a switch, and everything that it records."""

    def __init__(self, folder: Path, *faults: ScriptedFault, seed: int = 1) -> None:
        self.now_s = 0.0
        self.storm_on = True
        self._folder = folder
        self._registry = CollectorRegistry()
        self._spool = Spool(folder / "engine.jsonl")
        site = Site(
            seed=seed,
            workers=1,
            worker="w",
            now_s=lambda: self.now_s,
            is_on=lambda: self.storm_on,
            claims=Claims(folder / "claims"),
        )
        storm = Storm(name="scripted", description="", faults=cast("tuple[Fault, ...]", faults))
        self.engine = Engine(storm, site, self._spool, Metrics(self._registry, topology="t", saga="s"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._spool.close()

    def struck(self) -> list[FaultRow]:
        """Every strike that was recorded so far."""
        return [row for row in SpoolReader(self._folder).read() if isinstance(row, FaultRow)]

    def counted(self, fault: str = "scripted") -> float:
        """The strikes that the metrics know of."""
        labels = {"topology": "t", "saga": "s", "fault": fault}
        return self._registry.get_sample_value("sagastorm_faults_injected_total", labels) or 0.0


async def work_on(rig: Rig, delivered: Delivery) -> Reply:
    """A participant's step, which succeeds unless a fault makes something else of it."""

    async def work(given: Delivery) -> Reply:
        return DONE

    return await rig.engine.wrap_work(work)(delivered)


def subject(arrival: int = 7, participant: str = "payment", step: str = "charge", **changes: Any) -> Subject:
    """A saga's step in its first attempt, due at 1.5 s."""
    parts = {"saga_id": f"saga-{arrival}", "scheduled_s": 1.5, "attempt": "0.1"} | changes
    return Subject(arrival=arrival, participant=participant, step=step, **parts)
