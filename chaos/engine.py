"""Decides whether a fault strikes, lets the injector do it, and records every strike.

The decision is a pure function of the seed, the fault, the number of the saga's arrival, the step and the attempt, so
it is the same in both topologies, in every process and on every replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chaos.claims import Claims
from chaos.injector import Injector, Observant, Particular, Passing, Port, Selective, Strike
from chaos.storm import Fault, Storm
from harness.aws.clients import Send
from harness.core.seeded import uniform
from harness.core.subject import SUBJECTS, Subject
from harness.history.records import FaultRow
from harness.history.spool import Spool
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.topologies.base import Connection, Delivery
from harness.worker.ports import Answer, Process, Received, Work

COLLATERAL = "in the same batch"
"""How the record of a saga begins that no fault chose, and whose entry shared a call with one that was struck."""

_Armed = Sequence[tuple[Fault, Injector]]


@dataclass(frozen=True)
class Site:
    """Where an engine runs, and what it may ask there."""

    seed: int
    workers: int
    worker: str
    now_s: Callable[[], float]
    is_on: Callable[[], bool]
    """False once the harness has lifted the faults."""
    claims: Claims


def decides(seed: int, fault: Fault, arrival: int, step: str, attempt: str) -> bool:
    """Whether the fault strikes this attempt, should it be its turn.

    A saga is among the fault's share of sagas with all of its attempts, or with none.
    """
    return (fault.sagas == 1 or uniform(seed, "sagas", fault.name, arrival) < fault.sagas) and uniform(
        seed, "fault", fault.name, arrival, step, attempt
    ) < fault.probability


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
        # Those that change arrivals have struck before the load, in the schedule.
        metrics.begin_faults(fault.name for port in Port if port is not Port.ARRIVALS for fault, _ in self._armed[port])

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
                strikes = {
                    subject: strike
                    for subject in SUBJECTS.get()
                    if (
                        strike := self._strike(
                            fault,
                            injector,
                            subject,
                            f"{subject.attempt}.{try_number}",
                            call=call,
                            read_timeout_s=read_timeout_s,
                        )
                    )
                }
                if strikes:
                    for subject in SUBJECTS.get():
                        attempt = f"{subject.attempt}.{try_number}"
                        if subject in strikes:
                            self._record(fault, subject, attempt, call)
                        else:
                            self._write(fault, subject, attempt, f"{COLLATERAL}: {call}")
                    return await injector.strike(next(iter(strikes.values())), lambda: send(request))
            return await send(request)

        return struck_send

    def wrap_process(self, process: Process, connection: Connection) -> Process:
        """Around the handling of a delivered message, in the topology that ``connection`` is of."""
        armed = [
            (fault, injector)
            for fault, injector in self._armed[Port.PROCESS]
            if not isinstance(injector, Particular) or injector.applies_to(connection)
        ]
        observers = [injector for _, injector in armed if isinstance(injector, Observant)]

        async def struck_process(received: Received) -> None:
            delivery = received.delivery
            more = {"delivery": delivery, "received": received, "connection": connection}
            if delivery.is_copy:
                await process(received)
            else:
                await self._struck(armed, delivery, more, lambda: process(received))
            for observer in observers:
                observer.handled(delivery)

        return struck_process

    def wrap_work(self, work: Work) -> Work:
        """Around a participant's work on one step."""

        async def struck_work(delivery: Delivery) -> Reply:
            armed = self._armed[Port.WORK]
            reply: Reply = await self._struck(armed, delivery, {"delivery": delivery}, lambda: work(delivery))
            return reply

        return struck_work

    def wrap_reply(self, answer: Answer) -> Answer:
        """Around telling how a step ended."""

        async def struck_answer(delivery: Delivery, reply: Reply) -> None:
            armed = self._armed[Port.REPLY]
            await self._struck(armed, delivery, {"delivery": delivery}, lambda: answer(delivery, reply))

        return struck_answer

    async def _struck(
        self, armed: _Armed, delivery: Delivery, more: dict[str, Any], proceed: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Let the first fault that strikes this delivery do its harm; where there is none, proceed."""
        subject = delivery.subject
        for fault, injector in armed:
            if strike := self._strike(fault, injector, subject, subject.attempt, **more):
                self._record(fault, subject, subject.attempt)
                return await injector.strike(strike, proceed)
        return await proceed()

    def _strike(self, fault: Fault, injector: Injector, subject: Subject, attempt: str, **more: Any) -> Strike | None:
        """The strike, if this attempt is struck."""
        # A fault that strikes sagas goes on striking those of its window while they drain: were it lifted by the
        # clock, it would spare the slower topology. One that lets nothing pass has to be lifted all the same.
        if not self._site.is_on():
            lets_pass = fault.probability < 1 or isinstance(injector, Passing)
            if not (injector.by_arrival and lets_pass):
                return None
        when_s = subject.scheduled_s if injector.by_arrival else self._site.now_s()
        chosen = (
            fault.start_s <= when_s < fault.end_s
            and fault.participant in (None, subject.participant)
            and fault.step in (None, subject.step)
            and decides(self._site.seed, fault, subject.arrival, subject.step, attempt)
        )
        if not chosen:
            return None
        draw = uniform(self._site.seed, "draw", fault.name, subject.arrival, subject.step, attempt)
        claim = partial(self._site.claims.claim, fault.name, subject.saga_id, subject.step, attempt)
        strike = Strike(first=claim, draw=draw, **more)
        return strike if not isinstance(injector, Selective) or injector.bites(strike) else None

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
