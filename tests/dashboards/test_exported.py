"""What is exported: named by Prometheus' conventions, there from the beginning, with sagas as exemplars."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from harness import registry
from harness.measure.exporter import start_exporter
from harness.measure.metrics import Metrics
from tests.dashboards.exported import everything

OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""What Prometheus accepts."""
SAGA_ID = "0b9d3a52-5b0e-4f0c-9a58-5f6f9a0f9a11"


def test_no_metric_goes_against_the_conventions() -> None:
    if not shutil.which("promtool"):
        pytest.skip("no promtool here: apt-get install prometheus")
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=generate_latest(everything()),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_every_series_is_of_a_topology_and_a_saga_and_none_is_of_one_saga_only() -> None:
    for family in everything().collect():
        for sample in family.samples:
            assert set(sample.labels) >= {"topology", "saga"}, sample.name
            assert not set(sample.labels) & {"saga_id", "run", "block", "process"}, sample.name
            assert len(sample.labels) <= 5, sample.name


def test_scrape_of_open_metrics_shows_which_saga_it_was(tmp_path: Path) -> None:
    exported = CollectorRegistry()
    metrics = Metrics(exported, topology="orchestrated", saga="create-order")
    metrics.completed("completed", 0.3, SAGA_ID)
    metrics.step("payment", "charge", "done", 0.02, SAGA_ID)
    exporter = start_exporter(exported, tmp_path, "load-0-1", "ss-r-0")
    url = f"http://127.0.0.1:{exporter.port}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": OPEN_METRICS}), timeout=10) as answer:
        text = answer.read().decode()
    with urllib.request.urlopen(url, timeout=10) as answer:
        plain = answer.read().decode()
    exporter.close()

    shown = {
        sample.name: (sample.exemplar.labels, sample.exemplar.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    }
    assert shown == {
        "sagastorm_saga_completion_seconds_bucket": ({"saga_id": SAGA_ID}, 0.3),
        "sagastorm_step_duration_seconds_bucket": ({"saga_id": SAGA_ID}, 0.02),
    }
    assert SAGA_ID not in plain  # as the sampler of a run asks


def test_what_a_process_will_count_is_there_at_0_before_it_does() -> None:
    saga = registry.saga("create-order")
    exported = CollectorRegistry()
    base = {"topology": "choreographed", "saga": saga.name}
    metrics = Metrics(exported, **base)
    assert list(generate_latest(exported).decode().splitlines()) == [
        line for line in generate_latest(exported).decode().splitlines() if line.startswith("#")
    ]

    metrics.begin_load()
    metrics.begin_worker(saga, commands=False)
    metrics.begin_faults(["request-lost"])

    for name, labels in [
        ("sagastorm_arrivals_total", {"status": "dropped"}),
        ("sagastorm_saga_completion_seconds_count", {"outcome": "compensated"}),
        ("sagastorm_attempts_total", {"layer": "delivery"}),
        ("sagastorm_retries_total", {"layer": "sdk"}),
        ("sagastorm_step_attempts_total", {"participant": "payment", "step": "charge", "result": "error"}),
        ("sagastorm_duplicates_suppressed_total", {"step": "refund"}),
        ("sagastorm_compensations_total", {"participant": "payment", "step": "refund"}),
        ("sagastorm_steps_shed_total", {"participant": "inventory"}),
        ("sagastorm_faults_injected_total", {"fault": "request-lost"}),
    ]:
        assert exported.get_sample_value(name, base | labels) == 0, name
    # No task state sends anything there, no sweeper looks, and what does no compensating compensates nothing.
    for name, labels in [
        ("sagastorm_attempts_total", {"layer": "stepfunctions"}),
        ("sagastorm_sweeper_repairs_total", {}),
        ("sagastorm_compensations_total", {"participant": "payment", "step": "charge"}),
    ]:
        assert exported.get_sample_value(name, base | labels) is None, name
