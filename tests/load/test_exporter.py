from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest
from prometheus_client import CollectorRegistry, Gauge

from harness.measure.exporter import BESIDE_VARIABLE, announce, start_exporter


def test_metrics_are_served_where_the_target_file_says(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Gauge("sagas", "Of a test", registry=registry).set(3)
    exporter = start_exporter(registry, tmp_path / "targets", "load-0-1", "ss-20261123-095452-12e9-3")

    (file,) = (tmp_path / "targets").iterdir()
    (group,) = json.loads(file.read_text())
    assert (file.name, group) == (
        "load-0-1.json",
        {
            "targets": [f"127.0.0.1:{exporter.port}"],
            "labels": {"process": "load-0-1", "run": "20261123-095452-12e9", "block": "3"},
        },
    )
    with urllib.request.urlopen(f"http://{group['targets'][0]}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert "sagas 3.0" in text
    assert "process_cpu_seconds_total" in text


def test_a_target_that_is_announced_again_replaces_the_first(tmp_path: Path) -> None:
    announce(tmp_path, "load-0-1", 1001, "ss-r-4")
    announce(tmp_path, "load-0-1", 1002, "ss-r-4")
    assert [json.loads(path.read_text())[0]["targets"] for path in tmp_path.iterdir()] == [["127.0.0.1:1002"]]


def test_what_is_closed_is_announced_no_more_and_answers_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BESIDE_VARIABLE, str(tmp_path / "beside"))
    exporter = start_exporter(CollectorRegistry(), tmp_path / "targets", "harness", "ss-r-4")
    assert len(list(tmp_path.glob("*/*.json"))) == 2
    exporter.close()
    assert list(tmp_path.glob("*/*.json")) == []
    with pytest.raises(URLError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics", timeout=10)
