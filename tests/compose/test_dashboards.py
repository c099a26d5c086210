"""The dashboards that Grafana is given: made from one description, of metrics that we have, for the Grafana that is named."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Metric

from dashboards.grafana import build
from harness.measure.metrics import Metrics
from tests.compose.compose_file import ROOT, read_yaml, services

QUERIES = [query for panel in build.COMPARE_TOPOLOGIES for query in panel.series.values()]


def known() -> dict[str, set[str]]:
    """Our series and the labels of each, by name."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, topology="orchestrated", saga="create-order")
    metrics.arrival("accepted")
    metrics.completed("completed", 1.0)
    metrics.in_flight(1)
    metrics.duplicate("charge", suppressed=True)
    metrics.tried("sdk", retries=1)
    metrics.queue("payment", "visible", 1)
    metrics.fault("request-lost")
    metrics.aws_call("sqs", "SendMessage")
    families: list[Metric] = list(registry.collect())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_files_are_what_their_description_makes() -> None:
    made = build.built()
    assert {path.name for path in build.FOLDER.iterdir()} == set(made)
    for name, content in made.items():
        assert (build.FOLDER / name).read_text(encoding="utf-8") == content, "python -m dashboards.grafana.build"


def test_panels_ask_for_series_and_labels_that_we_export() -> None:
    labels = known()
    for query in QUERIES:
        asked = set(re.findall(r"sagastorm_\w+", query))
        grouped = {label.strip() for names in re.findall(r"by \(([^)]*)\)", query) for label in names.split(",")}
        assert asked
        for name in asked:
            assert grouped | {"saga"} <= labels[name], query


def test_legends_name_what_is_grouped_by() -> None:
    for panel in build.COMPARE_TOPOLOGIES:
        for legend, query in panel.series.items():
            (grouped, *_) = re.findall(r"by \(([^)]*)\)", query)
            assert set(re.findall(r"\{\{(\w+)\}\}", legend)) == set(grouped.split(", ")) - {"le"}, panel.title


def test_panels_lie_side_by_side_and_ask_the_source_that_is_provisioned() -> None:
    (source,) = read_yaml(ROOT / "dashboards/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    for content in build.built().values():
        panels = json.loads(content)["panels"]
        cells = [
            (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
            for panel in panels
            for across in range(panel["gridPos"]["w"])
            for down in range(panel["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert max(across for across, _ in cells) < 24
        assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_form_of_the_files_is_that_of_the_grafana_that_is_started() -> None:
    _, _, of_sdk = version("grafana-foundation-sdk").partition("!")
    _, _, of_image = services()["grafana"]["image"].partition(":")
    assert of_image.split(".")[:2] == of_sdk.split(".")[:2]
