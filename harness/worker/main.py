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
from harness.participants.dispatcher import Dispatcher
from harness.worker.consumer import Consumer
from harness.worker.ports import Process, Work
from harness.worker.processing import Processing, Reader, participant_work

CONCURRENCY = 32
"""Messages in hand, of each participant in each process."""

Wrappers = tuple[TransportWrapper | None, Callable[[Work], Work], Callable[[Process], Process]]


async def work(spec: Deployment, key: str, name: str) -> None:
    """Serve the queues until SIGTERM, then finish what is in hand."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    steering = Steering()
    saga = registry.saga(spec.saga)
    metrics_registry = CollectorRegistry()
    metrics = Metrics(metrics_registry, topology=spec.topology, saga=spec.saga)

    with Spool(Path(spec.spool_dir) / f"{name}.jsonl") as spool:
        wrap_transport, wrap_work, wrap_process = _faults(spec, name, steering, spool, metrics)
        async with open_clients(
            spec.urls, spec.region, emulator=spec.emulator, wrap_transport=wrap_transport
        ) as clients:
            gateway = Gateway(clients, metrics)
            connection = registry.topology(spec.topology).connect(gateway, saga, spec.deployed)
            participants = wrap_work(participant_work(saga, Dispatcher(saga, DynamoStore(gateway, spec.namespace))))
            process = wrap_process(
                Processing(
                    saga,
                    participants,
                    connection,
                    worker=name,
                    spool=spool,
                    metrics=metrics,
                    now_s=steering.now_s,
                )
            )
            read = Reader(connection, metrics, key, spec.namespace)
            consumers = [
                Consumer(
                    gateway,
                    spec.deployed.queue_urls[participant],
                    participant,
                    read,
                    process,
                    policy=spec.policy,
                    seed=spec.seed,
                    concurrency=CONCURRENCY,
                )
                for participant in saga.participants
            ]
            settle_heap()
            start_exporter(metrics_registry, Path(spec.targets_dir), name)
            await asyncio.gather(*(consumer.run(stopping) for consumer in consumers))


def _faults(spec: Deployment, name: str, steering: Steering, spool: Spool, metrics: Metrics) -> Wrappers:
    """What the storm puts around the ports; with no faults nothing is, and chaos is not even imported."""
    if not spec.storm["faults"]:
        return None, lambda inner: inner, lambda inner: inner
    from chaos.engine import Engine, Site
    from chaos.storm import resolved

    site = Site(
        seed=spec.seed,
        workers=spec.workers,
        worker=name,
        now_s=steering.now_s,
        is_on=lambda: steering.control.storm_on,
    )
    engine = Engine(resolved(spec.storm), site, spool, metrics)
    return engine.wrap_transport, engine.wrap_work, engine.wrap_process


def main() -> None:
    """Run one worker; its name is its role and its process id."""
    logging.basicConfig(level=os.environ.get("SAGASTORM_LOG_LEVEL", "WARNING"), format="%(asctime)s %(message)s")
    uvloop.run(work(read_deployment(Path(sys.argv[1])), os.environ[KEY_VARIABLE], f"worker-{os.getpid()}"))


if __name__ == "__main__":
    main()
