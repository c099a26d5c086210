"""A run of both topologies, started from Locust's web UI and watched through it until its verdict."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.run.tally import RESOLUTION
from tests.load.bench import SCENARIOS, Bench
from tests.load.conftest import plugin
from tests.load.locust_web_ui import get, state, web_ui

__all__ = ["plugin"]

pytestmark = pytest.mark.end_to_end

FORM = b"topology=both&interleave=AB&storm=calm&rate=6&duration=5&seed=3&arrivals=even&mitigations="
FIGURES = {"scheduled": "scheduled", "accepted": "started", "completed": "completed", "compensated": "compensated",
           "unresolved": "unresolved", "dropped": "dropped", "faults": "faults",
           "retry_amplification": "retry_amplification"}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path, plugin: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        bench = Bench(tmp_path, plugin, stack)
        bench.environment["PYTHONPATH"] = str(SCENARIOS.parent)
        yield bench


def test_both_topologies_take_turns_in_one_test_and_the_tab_ends_with_what_the_report_says(bench: Bench) -> None:
    generator, url = web_ui(bench, SCENARIOS / "create_order.py", "--processes", "2")
    seen: list[tuple[str, str, int]] = []

    def shown() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(get(f"{url}/sagas/live.json"))
        live = told["live"]
        now = (told["stage"], live["phase"] if live else "", live["block"] if live else -1)
        if now not in seen:
            seen.append(now)
        return told

    bench.wait_for(lambda: len(json.loads(get(f"{url}/stats/requests"))["workers"]) == 2, "the load processes")
    assert json.loads(get(f"{url}/swarm", FORM))["success"], generator.output
    bench.wait_for(lambda: shown()["live"], "the first block")
    bench.wait_for(lambda: shown()["live"]["block"] == 1, "the second block")
    assert state(url) == "running"
    bench.wait_for(lambda: shown()["live"]["verdict"] and shown()["stage"] == "over", "the verdict")

    live = shown()["live"]
    entries = {entry["name"]: entry["num_requests"] for entry in json.loads(get(f"{url}/stats/requests"))["stats"]}
    assert "<html" in get(f"{url}/sagas/report")
    generator.process.send_signal(signal.SIGINT)
    code = generator.exit_code()

    (folder,) = (bench.folder / "runs").iterdir()
    summary = json.loads((folder / "summary.json").read_bytes())
    assert code == {"pass": 0, "inconclusive": 3}[summary["verdict"]], generator.output
    assert (live["verdict"], live["of"], len(live["blocks"])) == (summary["verdict"], 2, 2)
    assert [reason for reason in live["reasons"] if reason not in summary["reasons"]] == []
    for topology, figures in summary["topologies"].items():
        told = live["topologies"][topology]
        assert {name: told[ours] for name, ours in FIGURES.items()} == {name: figures[name] for name in FIGURES}
        assert told["completion_ms"]["p50"] == pytest.approx(figures["completion_ms"]["p50"], rel=RESOLUTION)
        assert told["started"] == figures["scheduled"] == 30
        assert entries[f"{topology} completed"] == figures["completed"]
        assert entries[f"{topology} compensated"] == figures["compensated"]
    assert ("running", "load", 0) in seen and ("running", "load", 1) in seen
