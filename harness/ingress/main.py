"""``python -m harness.ingress.main <deployment file>``: the ingress process of one block."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from harness import registry
from harness.aws.clients import open_clients
from harness.aws.gateway import Gateway
from harness.aws.pending import PendingSagas
from harness.core.identity import KEY_VARIABLE
from harness.deployment import Deployment, Steering, read_deployment, settle_heap
from harness.ingress.app import Ingress
from harness.ingress.outcomes import OutcomeListener
from harness.ingress.sagas import Sagas
from harness.measure.exporter import announce
from harness.measure.metrics import Metrics
from harness.topologies.base import OUTCOMES

BACKLOG = 1024
SHUTDOWN_S = 1.0


async def serve(spec: Deployment, key: str, name: str) -> None:
    """Serve on a free port of 127.0.0.1 until SIGTERM; the port is announced where metrics targets are."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    Steering()
    saga = registry.saga(spec.saga)
    metrics_registry = CollectorRegistry()
    ProcessCollector(registry=metrics_registry)
    metrics = Metrics(metrics_registry, topology=spec.topology, saga=spec.saga)
    metrics.begin_ingress()
    sagas = Sagas()
    retries = spec.mitigations.sdk_retries
    async with open_clients(spec.urls, spec.region, emulator=spec.emulator, retries=retries) as clients:
        gateway = Gateway(clients, metrics)
        connection = registry.topology(spec.topology).connect(gateway, saga, spec.deployed)
        pending = PendingSagas(gateway, spec.namespace) if spec.mitigations.sweeper == "on" else None
        ingress = Ingress(
            saga, connection, sagas, key=key, audience=spec.namespace, registry=metrics_registry, pending=pending
        )
        runner = web.AppRunner(ingress.app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG)
        await site.start()
        port: int = runner.addresses[0][1]
        settle_heap()
        announce(Path(spec.targets_dir), name, port, spec.namespace)
        await OutcomeListener(gateway, spec.deployed.queue_urls[OUTCOMES], saga, sagas, pending).run(stopping)
        await runner.cleanup()


def main() -> None:
    """Run the ingress; its name is its role and its process id."""
    logging.basicConfig(level=os.environ.get("SAGASTORM_LOG_LEVEL", "WARNING"), format="%(asctime)s %(message)s")
    uvloop.run(serve(read_deployment(Path(sys.argv[1])), os.environ[KEY_VARIABLE], f"ingress-{os.getpid()}"))


if __name__ == "__main__":
    main()
