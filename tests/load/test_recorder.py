"""What Prometheus is told of a load process's sagas, beside what is written down of each."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from harness.load.plan import LoadPlan
from harness.measure.metrics import Metrics
from scenarios._recorder import Recorder


def test_what_nobody_asks_for_any_more_is_not_in_flight(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    plan = LoadPlan(
        saga="create-order",
        topology="orchestrated",
        ingress_url="http://127.0.0.1:1",
        audience="ss-20260101-000000-ab12-0",
        seed=7,
        rate_per_s=1.0,
        duration_s=3.0,
        spool_dir=str(tmp_path / "spool"),
        targets_dir=str(tmp_path / "targets"),
    )
    base = {"topology": plan.topology, "saga": plan.saga}
    recorder = Recorder(plan, "load-0", Metrics(registry, **base), lambda **_: None)

    def in_flight() -> float | None:
        return registry.get_sample_value("sagastorm_sagas_in_flight", base)

    for arrival in range(3):
        recorder.accepted(arrival, 0.0, 0.0, f"s-{arrival}")
    assert in_flight() == 3
    recorder.ended(0, 0.0, 0.0, 1.0, "s-0", "completed", None)
    recorder.unresolved(1, 0.0, 0.0, 9.0, "s-1")
    recorder.unresolved(2, 0.0, 0.0, 9.0, "s-2")
    recorder.close()
    assert in_flight() == 0
