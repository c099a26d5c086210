"""``python -m harness.worker.main <deployment file>``: one worker process, with all participants of its saga.

This is a composition root: the one place of a worker that knows whether there is a storm.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from harness import registry
from harness.aws.clients import TransportWrapper, open_clients
from harness.aws.dynamo_store import DynamoStore
from harness.aws.gateway import Gateway
from harness.core.identity import KEY_VARIABLE
from harness.deployment import Deployment, Steering, read_deployment, settle_heap
from harness.history.spool import Spool
from harness.measure.exporter import start_exporter
from harness.measure.metrics import Metrics
from harness.participants.mitigated import dispatcher_for
from harness.topologies.base import Connection
from harness.worker.breaker import Breaker, guarded
from harness.worker.budget import RetryBudget
from harness.worker.consumer import Consumer
from harness.worker.ports import Answer, Process, Work
from harness.worker.processing import Processing, Reader, participant_work
from harness.worker.shedding import CONCURRENCY, UNSHED, while_ours


@dataclass(frozen=True)
class Wrappers:
    """What is put around each port; by default nothing is."""

    transport: TransportWrapper | None = None
    work: Callable[[Work], Work] = lambda inner: inner
    reply: Callable[[Answer], Answer] = lambda inner: inner
    process: Callable[[Process, Connection], Process] = lambda inner, connection: inner


async def work(spec: Deployment, key: str, name: str) -> None:
    """Serve the queues until SIGTERM, then finish what is in hand."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    steering = Steering()
    saga = registry.saga(spec.saga)
    metrics_registry = CollectorRegistry()
    metrics = Metrics(metrics_registry, topology=spec.topology, saga=spec.saga)
    metrics.begin_worker(saga, commands=spec.deployed.state_machine_arn is not None)

    with Spool(Path(spec.spool_dir) / f"{name}.jsonl") as spool:
        wrap = _faults(spec, name, steering, spool, metrics)
        async with open_clients(
            spec.urls,
            spec.region,
            emulator=spec.emulator,
            wrap_transport=wrap.transport,
            retries=spec.mitigations.sdk_retries,
        ) as clients:
            consumers = connected(
                spec,
                key,
                name,
                gateway=Gateway(clients, metrics),
                wrap=wrap,
                spool=spool,
                metrics=metrics,
                now_s=steering.now_s,
            )
            settle_heap()
            start_exporter(metrics_registry, Path(spec.targets_dir), name, spec.namespace)
            await asyncio.gather(*(consumer.run(stopping) for consumer in consumers))


def connected(
    spec: Deployment,
    key: str,
    name: str,
    *,
    gateway: Gateway,
    wrap: Wrappers,
    spool: Spool,
    metrics: Metrics,
    now_s: Callable[[], float],
) -> list[Consumer]:
    """A consumer for each participant, with everything between its queue and its tables. What is switched off is not there."""
    saga, mitigations = registry.saga(spec.saga), spec.mitigations
    connection = registry.topology(spec.topology).connect(gateway, saga, spec.deployed)
    steps = participant_work(saga, dispatcher_for(saga, DynamoStore(gateway, spec.namespace), mitigations))
    sheds = mitigations.load_shedding == "on"
    participants = wrap.work(while_ours(steps, metrics) if sheds else steps)
    # Outside of the faults, whose failures they are there to see.
    breakers = {p: Breaker(p, metrics) for p in saga.participants if mitigations.circuit_breaker == "on"}
    budgets = {p: RetryBudget(p, metrics) for p in saga.participants if mitigations.retry_budget == "on"}
    process = wrap.process(
        Processing(
            saga,
            guarded(participants, breakers) if breakers else participants,
            wrap.reply(connection.reply),
            worker=name,
            spool=spool,
            metrics=metrics,
            now_s=now_s,
            outbox=mitigations.outbox == "on",
        ),
        connection,
    )
    read = Reader(connection, metrics, key, spec.namespace)
    return [
        Consumer(
            gateway,
            spec.deployed.queue_urls[participant],
            participant,
            read,
            process,
            policy=spec.policy,
            seed=spec.seed,
            concurrency=CONCURRENCY if sheds else UNSHED,
            breaker=breakers.get(participant),
            budget=budgets.get(participant),
        )
        for participant in saga.participants
    ]


def _faults(spec: Deployment, name: str, steering: Steering, spool: Spool, metrics: Metrics) -> Wrappers:
    """What the storm puts around the ports; with no faults nothing is, and chaos is not even imported."""
    if not spec.storm["faults"]:
        return Wrappers()
    from chaos.claims import Claims
    from chaos.engine import Engine, Site
    from chaos.storm import resolved

    site = Site(
        seed=spec.seed,
        workers=spec.workers,
        worker=name,
        now_s=steering.now_s,
        is_on=lambda: steering.control.storm_on,
        claims=Claims(Path(spec.spool_dir) / "claims"),
    )
    engine = Engine(resolved(spec.storm), site, spool, metrics)
    return Wrappers(engine.wrap_transport, engine.wrap_work, engine.wrap_reply, engine.wrap_process)


def main() -> None:
    """Run one worker; its name is its role and its process id."""
    logging.basicConfig(level=os.environ.get("SAGASTORM_LOG_LEVEL", "WARNING"), format="%(asctime)s %(message)s")
    uvloop.run(work(read_deployment(Path(sys.argv[1])), os.environ[KEY_VARIABLE], f"worker-{os.getpid()}"))


if __name__ == "__main__":
    main()
