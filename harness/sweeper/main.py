"""``python -m harness.sweeper.main <deployment file>``: the sweeper process of one block."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from harness import registry
from harness.aws.clients import open_clients
from harness.aws.gateway import Gateway
from harness.aws.pending import PendingSagas
from harness.deployment import Deployment, Steering, read_deployment, settle_heap
from harness.history.spool import Spool
from harness.measure.exporter import start_exporter
from harness.measure.metrics import Metrics
from harness.sweeper.sweeping import Sweeper


async def sweep(spec: Deployment, name: str) -> None:
    """Sweep until SIGTERM, then finish the scan under way."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    steering = Steering()
    metrics_registry = CollectorRegistry()
    metrics = Metrics(metrics_registry, topology=spec.topology, saga=spec.saga)
    metrics.begin_sweeper()
    with Spool(Path(spec.spool_dir) / f"{name}.jsonl") as spool:
        retries = spec.mitigations.sdk_retries
        async with open_clients(spec.urls, spec.region, emulator=spec.emulator, retries=retries) as clients:
            gateway = Gateway(clients, metrics)
            connection = registry.topology(spec.topology).connect(gateway, registry.saga(spec.saga), spec.deployed)
            pending = PendingSagas(gateway, spec.namespace)
            sweeper = Sweeper(pending, connection, spool=spool, metrics=metrics, now_s=steering.now_s)
            settle_heap()
            start_exporter(metrics_registry, Path(spec.targets_dir), name, spec.namespace)
            await sweeper.run(stopping)


def main() -> None:
    """Run the sweeper; its name is its role and its process id."""
    logging.basicConfig(level=os.environ.get("SAGASTORM_LOG_LEVEL", "WARNING"), format="%(asctime)s %(message)s")
    uvloop.run(sweep(read_deployment(Path(sys.argv[1])), f"sweeper-{os.getpid()}"))


if __name__ == "__main__":
    main()
