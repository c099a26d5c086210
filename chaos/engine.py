"""Decides whether a fault strikes, lets the injector do it, and records every strike.

The decision is a pure function of the seed, the fault, the number of the saga's arrival, the step and the attempt, so
it is the same in both topologies, in every process and on every replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chaos.injector import Injector, Port, Selective, Strike
from chaos.storm import Fault, Storm
from harness.aws.clients import Send
from harness.core.seeded import uniform
from harness.core.subject import SUBJECTS, Subject
from harness.history.records import FaultRow
from harness.history.spool import Spool
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery
from harness.worker.ports import Process, Received, Work

COLLATERAL = "in the same batch"
"""How the record of a saga begins that no fault chose, and whose entry shared a call with one that was struck."""


@dataclass(frozen=True)
class Site:
    """Where an engine runs, and what it may ask there."""

    seed: int
    workers: int
    worker: str
    now_s: Callable[[], float]
    is_on: Callable[[], bool]
    """False once the harness has lifted the faults."""


def decides(seed: int, fault: Fault, arrival: int, step: str, attempt: str) -> bool:
    """Whether the fault strikes this attempt, should it be its turn."""
    return uniform(seed, "fault", fault.name, arrival, step, attempt) < fault.probability


class Engine:
    """The storm in one worker process."""

    def __init__(self, storm: Storm, site: Site, spool: Spool, metrics: Metrics) -> None:
        self._site = site
        self._spool = spool
        self._metrics = metrics
        self._armed: dict[Port, list[tuple[Fault, Injector]]] = {port: [] for port in Port}
        for fault in storm.faults:
            injector = fault.injector(site.workers)
            self._armed[injector.port].append((fault, injector))

    def wrap_transport(self, service: str, read_timeout_s: float, send: Send) -> Send:
        """Around the SDK's HTTP requests to one service. A batched request is struck if any of its entries is."""
        armed = {fault.name: (fault, injector) for fault, injector in self._armed[Port.TRANSPORT]}
        targeted = {str(fault.call) for fault, _ in armed.values()}

        async def struck_send(request: Any) -> Any:
            call = f"{service}:{_operation(request)}"
            if call not in targeted:
                return await send(request)
            try_number = _sdk_try(request)
            for fault, injector in armed.values():
                if fault.call != call:
                    continue
                hit = [
                    subject
                    for subject in SUBJECTS.get()
                    if self._strikes(fault, injector, subject, f"{subject.attempt}.{try_number}")
                ]
                if hit:
                    for subject in SUBJECTS.get():
                        attempt = f"{subject.attempt}.{try_number}"
                        if subject in hit:
                            self._record(fault, subject, attempt, call)
                        else:
                            self._write(fault, subject, attempt, f"{COLLATERAL}: {call}")
                    strike = Strike(read_timeout_s=read_timeout_s)
                    return await injector.strike(strike, lambda: send(request))
            return await send(request)

        return struck_send

    def wrap_process(self, process: Process) -> Process:
        """Around the handling of a delivered message."""

        async def struck_process(received: Received) -> None:
            subject = received.delivery.subject
            for fault, injector in self._armed[Port.PROCESS]:
                if not received.delivery.is_copy and self._strikes(fault, injector, subject, subject.attempt):
                    self._record(fault, subject, subject.attempt)
                    strike = Strike(received=received)
                    await injector.strike(strike, lambda: process(received))
                    return
            await process(received)

        return struck_process

    def wrap_work(self, work: Work) -> Work:
        """Around a participant's work on one step."""

        async def struck_work(delivery: Delivery) -> Reply:
            subject = delivery.subject
            for fault, injector in self._armed[Port.WORK]:
                if self._strikes(fault, injector, subject, subject.attempt):
                    self._record(fault, subject, subject.attempt)
                    reply: Reply = await injector.strike(Strike(), lambda: work(delivery))
                    return reply
            return await work(delivery)

        return struck_work

    def _strikes(self, fault: Fault, injector: Injector, subject: Subject, attempt: str) -> bool:
        # A fault that strikes sagas goes on striking those of its window while they drain: were it lifted by the
        # clock, it would spare the slower topology. One that strikes every attempt has to be lifted all the same.
        if not self._site.is_on() and (not injector.by_arrival or fault.probability == 1):
            return False
        when_s = subject.scheduled_s if injector.by_arrival else self._site.now_s()
        return (
            fault.start_s <= when_s < fault.end_s
            and fault.participant in (None, subject.participant)
            and fault.step in (None, subject.step)
            and decides(self._site.seed, fault, subject.arrival, subject.step, attempt)
            and (not isinstance(injector, Selective) or injector.bites())
        )

    def _record(self, fault: Fault, subject: Subject, attempt: str, detail: str | None = None) -> None:
        self._metrics.fault(fault.name)
        self._write(fault, subject, attempt, detail)

    def _write(self, fault: Fault, subject: Subject, attempt: str, detail: str | None) -> None:
        self._spool.write(
            FaultRow(
                t_s=round(self._site.now_s(), 4),
                worker=self._site.worker,
                fault=fault.name,
                saga_id=subject.saga_id,
                arrival=subject.arrival,
                participant=subject.participant,
                step=subject.step,
                attempt=attempt,
                detail=detail,
            )
        )


def _operation(request: Any) -> str:
    target = request.headers.get("X-Amz-Target", "")
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.rpartition(".")[2]


def _sdk_try(request: Any) -> int:
    """Which try of the SDK this is, from the header in which its standard retry mode says so; the first is 1."""
    header = request.headers.get("amz-sdk-request", "attempt=1")
    text = header.decode() if isinstance(header, bytes) else str(header)
    fields = dict(part.strip().split("=", 1) for part in text.split(";") if "=" in part)
    return int(fields.get("attempt", "1"))
