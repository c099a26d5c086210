"""Everything that our processes export, at once."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from harness import registry
from harness.measure.metrics import Metrics


def everything() -> CollectorRegistry:
    """All metrics, each with a value."""
    exported = CollectorRegistry()
    metrics = Metrics(exported, topology="orchestrated", saga="create-order")
    metrics.begin_load()
    metrics.begin_worker(registry.saga("create-order"), commands=True)
    metrics.begin_ingress()
    metrics.begin_sweeper()
    metrics.begin_faults(["request-lost"])
    metrics.fault_window("request-lost", lambda: True)
    metrics.queue("payment", "visible", 1)
    metrics.dead_letters("payment", 1)
    metrics.breaker("payment", "open", was="closed")
    metrics.aws_call("sqs", "SendMessage")
    metrics.aws_error("sqs", "SendMessage", "Throttling")
    return exported


def labels_of_series() -> dict[str, set[str]]:
    """Our series and the labels of each, by name."""
    return {sample.name: set(sample.labels) for family in everything().collect() for sample in family.samples}
