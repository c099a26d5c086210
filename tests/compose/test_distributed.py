"""Locust's master and its workers as processes of their own, as ``docker-compose.yml`` starts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.load.arrivals import arrivals
from tests.load.bench import Bench, free_port, statuses
from tests.load.conftest import bench, plugin
from tests.load.fake_system import own_scenario
from tests.load.locust_web_ui import start, web_ui, workers

__all__ = ["bench", "plugin"]  # fixtures, taken from the load generator's tests

pytestmark = pytest.mark.end_to_end


def test_a_test_that_is_started_before_its_load_processes_begins_when_one_comes_and_loses_nothing(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    scenario = own_scenario(bench, plan)
    meeting = str(free_port())
    master, url = web_ui(bench, scenario, "--master", "--master-bind-port", meeting)
    assert start(url)["success"]
    bench.wait_for(lambda: "at least one worker" in master.output, "the word that nobody is there")
    assert bench.seen().posts == 0

    key = bench.environment["SAGASTORM_JWT_KEY"]
    bench.folder = tmp_path_factory.mktemp("worker")  # its output; what it records goes where the plan says
    bench.generator(None, "--worker", "--master-port", meeting, scenario=scenario, SAGASTORM_JWT_KEY=key)
    bench.wait_for(lambda: len(workers(url)) == 1, "the worker")
    bench.wait_for(lambda: "the verdict of the fake" in master.output, "the end of the test")

    bench.folder = Path(plan.spool_dir).parent
    assert len(bench.rows()) == bench.seen().posts == len(arrivals(plan))
    assert set(statuses(bench.rows())) <= {"completed", "compensated"}
