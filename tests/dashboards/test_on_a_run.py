"""A real Prometheus on a real run of both topologies: it has the run's figures, and an answer for every panel.

What a scrape a second cannot show: what a process counts after its last one. A load process ends with its last saga, so the
last ends of a block are in the report only; whatever else counts is there through the drain, and is told exactly. Nor is
there a course of what happens before a process is discovered, for which Prometheus takes up to ten seconds.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from dashboards.grafana import build
from dashboards.grafana.pieces import STORM_STEP_S
from harness.history.history import FILE_NAME, History
from tests.compose.compose_file import services
from tests.compose.outside import Outside
from tests.dashboards.prometheus import Series, Server, asked_by_grafana, needs_prometheus
from tests.load.bench import free_port

pytestmark = [pytest.mark.end_to_end, needs_prometheus]

RUN_LIMIT_S = 180.0
DURATION_S = 12
"""Longer than it takes until a process is discovered."""
UNSEEN_S = 3.0
"""How long a load process may have counted after its last scrape, where one a second comes late."""
TOPOLOGIES = {"orchestrated": 0, "choreographed": 1}
"""And which block has its turn."""
SAGA = "create-order"
STORM = """
description = "Trouble all the time, and some more in the middle."
[[fault]]
name = "throttled"
kind = "aws-error"
error = "throttling"
call = "dynamodb:TransactWriteItems"
probability = 0.2
[[fault]]
name = "twice"
kind = "duplicate-delivery"
delay_s = 0
probability = 0.1
start = "70%"
duration = "20%"
"""


@dataclass(frozen=True)
class Watched:
    """A run that is over, and the Prometheus that was watching it."""

    server: Server
    targets: Path
    folder: Path
    from_s: float
    to_s: float

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What the report says."""
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_bytes())
        return found

    @property
    def shown_s(self) -> int:
        """Length of a window that reaches over all of it from its end."""
        return math.ceil(self.to_s - self.from_s)

    @property
    def shown(self) -> str:
        """The same for a query."""
        return f"{self.shown_s}s"

    def of(self, topology: str) -> dict[str, Any]:
        """What the report says of one topology."""
        figures: dict[str, Any] = self.summary["topologies"][topology]
        return figures

    def last(self, metric: str, topology: str, by: str = "topology", where: str = "") -> dict[str, float]:
        """What a counter that began at 0, or a gauge, stood at in the end; by the value of a label."""
        chosen = f'{metric}{{run="{self.folder.name}",topology="{topology}"{where}}}'
        answers = self.server.at(f"sum by ({by}) (last_over_time({chosen}[{self.shown}]))", self.to_s)
        return {series["metric"][by]: float(series["value"][1]) for series in answers}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Prometheus as it is started for Compose, but outside a container; then a run that is told where it looks."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "small.toml").write_text(STORM, encoding="utf-8")
    port = free_port()
    (folder / "prometheus").mkdir()
    prometheus = Outside(services()["prometheus"], folder / "prometheus", {9090: port})
    try:
        prometheus.start("prometheus")
        prometheus.wait_until_healthy()
        targets = prometheus.path("/etc/prometheus/targets")
        from_s = time.time()
        run_once(folder, targets)
        (run,) = (folder / "runs").iterdir()
        yield Watched(Server(f"http://127.0.0.1:{port}"), targets, run, from_s, time.time())
    finally:
        prometheus.close()


def run_once(folder: Path, targets: Path) -> None:
    """One block of each topology, in a small storm."""
    arguments = ["run", "--rate", "10", "--duration", str(DURATION_S), "--interleave", "AB", "--storm", "small.toml"]
    with (folder / "output.txt").open("wb") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "harness.cli.main", *arguments, "--runs", str(folder / "runs")],
            cwd=folder,
            env={**os.environ, "SAGASTORM_TARGETS": str(targets)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            code = run.wait(RUN_LIMIT_S)
        finally:
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)  # its children hold a lifeline
                run.wait()
    # A crowded machine makes a run inconclusive, and is none of Prometheus' business.
    assert code in (0, 3), (folder / "output.txt").read_text(errors="replace")


def numbers(series: Series) -> list[float]:
    """Its values, without those that are none."""
    pairs = series.get("values") or [series["value"]]
    return [value for value in (float(text) for _, text in pairs) if math.isfinite(value)]


def test_every_process_of_both_blocks_is_found_and_none_is_announced_any_more(watched: Watched) -> None:
    found = watched.server.at(f'max_over_time(up{{run="{watched.folder.name}"}}[{watched.shown}]) == 1', watched.to_s)
    kinds = Counter((series["metric"]["block"], series["metric"]["process"].split("-")[0]) for series in found)
    expected = {(str(block), kind) for block in (0, 1) for kind in ("harness", "ingress", "load", "sweeper", "worker")}
    assert kinds == dict.fromkeys(expected, 1)
    assert list(watched.targets.iterdir()) == []


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_sagas_are_those_of_the_report_but_for_what_ended_after_the_last_scrape(
    watched: Watched, topology: str
) -> None:
    ended = watched.last("sagastorm_saga_completion_seconds_count", topology, "outcome")
    with History(watched.folder / FILE_NAME, read_only=True) as history:
        rows = [row for row in history.sagas(TOPOLOGIES[topology]) if row.completion_ms is not None]
    ends_s = [row.scheduled_s + (row.completion_ms or 0) / 1000 for row in rows]
    late = [row.outcome for row, end_s in zip(rows, ends_s, strict=True) if end_s > max(ends_s) - UNSEEN_S]
    for outcome in ("completed", "compensated"):
        told = watched.of(topology)[outcome]
        assert told - late.count(outcome) <= ended[outcome] <= told
    # In one scrape all agree: what was accepted, and has not ended, is under way.
    accepted = watched.last("sagastorm_arrivals_total", topology, "status")["accepted"]
    (under_way,) = watched.last("sagastorm_sagas_in_flight", topology).values()
    assert accepted - under_way == sum(ended.values())
    assert accepted > 80
    (bars,) = (panel for panel in build.PAGES[0].panels if panel.title == "Ended")
    (query,) = bars.series.values()
    asked = asked_by_grafana(query, watched.folder.name, SAGA, topology, watched.shown_s)
    shown = {
        series["metric"]["outcome"]: float(series["value"][1]) for series in watched.server.at(asked, watched.to_s)
    }
    assert shown == ended


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_what_workers_count_is_what_the_report_says(watched: Watched, topology: str) -> None:
    told = watched.of(topology)
    assert watched.last("sagastorm_faults_injected_total", topology, "fault") == told["faults"]
    for kind in ("delivered", "suppressed"):
        (counted,) = watched.last(f"sagastorm_duplicates_{kind}_total", topology).values()
        assert counted == told["duplicates"][kind] > 0
    with History(watched.folder / FILE_NAME, read_only=True) as history:
        steps = Counter(row.participant for row in history.steps(TOPOLOGIES[topology]))
    assert watched.last("sagastorm_step_attempts_total", topology, "participant") == steps
    assert watched.last("sagastorm_step_duration_seconds_count", topology, "participant") == steps
    assert watched.last("sagastorm_dead_letters", topology, "queue").keys() > {"payment", "order"}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_amplification_and_goodput_as_recorded_come_to_what_the_report_says(watched: Watched, topology: str) -> None:
    def summed(rule: str, **labels: str) -> float:
        where = "".join(f',{name}="{value}"' for name, value in labels.items())
        chosen = f'{rule}{{run="{watched.folder.name}",topology="{topology}"{where}}}'
        (series,) = watched.server.at(f"sum_over_time({chosen}[{watched.shown}])", watched.to_s)
        return float(series["value"][1])

    told = watched.of(topology)["retry_amplification"]
    total = 1.0
    for layer in ("sdk", "delivery", *(["stepfunctions"] if topology == "orchestrated" else [])):
        attempts = summed("topology_layer:sagastorm_attempts:rate10s", layer=layer)
        retries = summed("topology_layer:sagastorm_retries:rate10s", layer=layer)
        assert attempts / (attempts - retries) == pytest.approx(told[layer], rel=0.05), layer
        total *= attempts / (attempts - retries)
    assert total == pytest.approx(told["total"], rel=0.05)
    assert total > 1.02
    recorded = summed("topology:sagastorm_amplification:ratio10s")
    moments = watched.server.at(
        f'count_over_time(topology:sagastorm_amplification:ratio10s{{topology="{topology}"}}[{watched.shown}])',
        watched.to_s,
    )
    assert recorded / float(moments[0]["value"][1]) == pytest.approx(told["total"], rel=0.2)


def test_windows_of_the_storm_are_those_of_the_run(watched: Watched) -> None:
    page = json.loads(build.built()["compare-topologies.json"])
    (storm,) = page["annotations"]["list"]
    query = asked_by_grafana(storm["expr"], watched.folder.name, SAGA, ".+", 60)
    answers = watched.server.over(query, watched.from_s, watched.to_s)
    active = {(s["metric"]["topology"], s["metric"]["fault"]): numbers(s) for s in answers}
    assert set(active) == {(topology, fault) for topology in TOPOLOGIES for fault in ("throttled", "twice")}
    for (_, fault), values in active.items():
        turns = [number for number, _ in groupby(values)]
        if fault == "twice":
            assert turns == [0, 1, 0]  # one window, and so one region
            assert abs(sum(values) - 0.2 * DURATION_S) <= STORM_STEP_S  # a look a second
        else:
            assert turns[-2:] == [1, 0]  # from the first second on, which may have come before the first look
            assert 0 < sum(values) <= DURATION_S + STORM_STEP_S


def test_every_panel_has_an_answer(watched: Watched) -> None:
    silent = []
    for name, text in build.built().items():
        page = json.loads(text)
        (variable,) = (one for one in page["templating"]["list"] if one["name"] == "topology")
        for panel in page["panels"]:
            for target in panel["targets"]:
                for topology in [".+"] if variable["multi"] else TOPOLOGIES:
                    query = asked_by_grafana(target["expr"], watched.folder.name, SAGA, topology, watched.shown_s)
                    if target.get("instant"):
                        answers = watched.server.at(query, watched.to_s)
                    else:
                        answers = watched.server.over(query, watched.from_s, watched.to_s)
                    if not any(map(numbers, answers)):
                        silent.append(f"{name}: {panel['title']}, {target['legendFormat']} ({topology}): {query}")
    assert silent == []


def test_variables_of_the_pages_find_the_run_its_saga_and_its_topologies(watched: Watched) -> None:
    for page in map(json.loads, build.built().values()):
        found = {}
        for variable in page["templating"]["list"]:
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            metric = asked_by_grafana(metric, ".+", SAGA, ".+", 60)
            found[variable["name"]] = set(watched.server.get(f"label/{label}/values", {"match[]": metric}))
        assert found == {"run": {watched.folder.name}, "saga": {SAGA}, "topology": set(TOPOLOGIES)}


def test_exemplars_are_sagas_of_the_run(watched: Watched) -> None:
    with History(watched.folder / FILE_NAME, read_only=True) as history:
        sagas = {row.saga_id for block in TOPOLOGIES.values() for row in history.sagas(block)}
    for histogram in ("sagastorm_saga_completion_seconds", "sagastorm_step_duration_seconds"):
        asked = {"query": f"{histogram}_bucket", "start": str(watched.from_s), "end": str(watched.to_s)}
        answers = watched.server.get("query_exemplars", asked)
        shown = {exemplar["labels"]["saga_id"] for series in answers for exemplar in series["exemplars"]}
        assert shown
        assert shown <= sagas


def test_rules_were_evaluated_without_an_error(watched: Watched) -> None:
    rules = [rule for group in watched.server.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 20
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
