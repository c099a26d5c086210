"""The metrics of a load process. A process outlives its runs where they are started from Locust's web UI, so there is
one exporter in it, which shows the metrics of the run that is on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from harness.load.plan import LoadPlan
from harness.measure.exporter import announce, start_exporter
from harness.measure.metrics import Metrics


class _OfCurrentRun(Collector):
    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def collect(self) -> Iterable[Metric]:
        return self.registry.collect()


_current = _OfCurrentRun()
_port: int | None = None


def metrics_for(plan: LoadPlan, process: str) -> Metrics:
    """Fresh metrics for a run of this process, exported and announced. Call it after forks only."""
    global _port
    _current.registry = CollectorRegistry()
    metrics = Metrics(_current.registry, topology=plan.topology, saga=plan.saga)
    metrics.begin_load()
    if _port is None:
        exported = CollectorRegistry()
        exported.register(_current)
        _port = start_exporter(exported, Path(plan.targets_dir), process, plan.audience).port
    else:
        announce(Path(plan.targets_dir), process, _port, plan.audience)
    return metrics
