"""The dashboards that Grafana is given: made from one description, of metrics that we have, for the Grafana that is named."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import Any

import pytest

from dashboards.grafana import build
from dashboards.grafana.pieces import BREAKER, STORM_STEP_S, Page, Panel
from harness.measure.metrics import BREAKER_STATES
from tests.compose.compose_file import ROOT, read_yaml, services
from tests.dashboards.exported import labels_of_series

RULES = read_yaml(ROOT / "dashboards/prometheus/rules/recording.yml")
PANELS = [(page, panel) for page in build.PAGES for panel in page.panels]
QUERIES = [query for _, panel in PANELS for query in panel.series.values()]
of_every_page = pytest.mark.parametrize("page", build.PAGES, ids=lambda page: page.name)


def known() -> dict[str, set[str]]:
    """The labels of every series that can be asked for: ours, those of our processes, and what the rules record."""
    of_target = {"run", "block", "process", "instance", "job"}
    found = {name: labels | of_target for name, labels in labels_of_series().items()}
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes"):
        found[name] = of_target
    for rule in (rule for group in RULES["groups"] for rule in group["rules"]):
        found[rule["record"]] = {"run", "saga", "topology", *rule.get("labels", {})}
        if rule["record"].startswith("topology_layer:"):
            found[rule["record"]].add("layer")
    return found


def content(page: Page) -> Any:
    return json.loads(build.built()[f"{page.name}.json"])


def test_files_are_what_their_description_makes() -> None:
    made = build.built()
    assert {path.name for path in build.FOLDER.iterdir()} == set(made)
    for name, text in made.items():
        assert (build.FOLDER / name).read_text(encoding="utf-8") == text, "make dashboards"


@pytest.mark.parametrize(("page", "panel"), PANELS, ids=lambda part: getattr(part, "name", getattr(part, "title", "")))
def test_panel_asks_for_series_and_labels_that_there_are_and_names_what_is_grouped_by(page: Page, panel: Panel) -> None:
    labels = known()
    for legend, query in panel.series.items():
        selectors = re.findall(r"([\w:]+)\{(.*?)\}[\[) ]|([\w:]*sagastorm_\w+)", query.replace('"', ""))
        assert selectors
        for name, where, bare in selectors:
            assert not bare, f"{bare} is asked of every run"
            assert set(re.findall(r"(\w+)(?:!=|=~|=)", where)) <= labels[name], query
        (grouped, *_) = re.findall(r"by \(([^)]*)\)", query)
        for names in re.findall(r"by \(([^)]*)\)(?! \(label_replace)", query):
            assert any(set(names.split(", ")) <= labels[name] for name, _, _ in selectors), query
        # Of one topology its name is in the variable above.
        shown = set(re.findall(r"\{\{(\w+)\}\}", legend)) | ({"topology"} if page.one_topology else set())
        assert set(grouped.split(", ")) - {"le"} <= shown <= set(grouped.split(", ")) | {"topology"}, legend


def test_what_is_recorded_for_dashboards_or_alerts_is_looked_at_by_one() -> None:
    alerts = (ROOT / "dashboards/prometheus/rules/alerts.yml").read_text(encoding="utf-8")
    recorded = {rule["record"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
    for name in recorded:
        rules = [expression for other, expression in recorded.items() if other != name]
        assert any(name in text for text in (*QUERIES, alerts, *rules)), name


@of_every_page
def test_panels_lie_side_by_side_and_ask_the_source_that_is_provisioned(page: Page) -> None:
    (source,) = read_yaml(ROOT / "dashboards/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    panels = content(page)["panels"]
    cells = [
        (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
        for panel in panels
        for across in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(across for across, _ in cells) == 23
    asked = [*panels, *content(page)["templating"]["list"], *content(page)["annotations"]["list"]]
    assert {one["datasource"]["uid"] for one in asked} == {source["uid"]}


@of_every_page
def test_page_has_variables_for_run_saga_and_topology_and_no_others_are_used(page: Page) -> None:
    variables = {variable["name"]: variable for variable in content(page)["templating"]["list"]}
    assert set(variables) == {"run", "saga", "topology"}
    assert variables["topology"]["multi"] is not page.one_topology
    used = set(re.findall(r"\$([a-z_]\w*)", json.dumps(content(page)["panels"])))
    assert used <= {*variables, "__range", "__rate_interval"}


@of_every_page
def test_windows_of_the_storm_are_drawn_as_regions(page: Page) -> None:
    (storm,) = content(page)["annotations"]["list"]
    assert "sagastorm_fault_active" in storm["expr"]
    # Grafana makes one region of what lies no further apart than a step; a scrape takes a second.
    assert storm["step"] == f"{STORM_STEP_S}s"
    assert STORM_STEP_S > 1
    assert set(re.findall(r"\{\{(\w+)\}\}", storm["titleFormat"] + storm["textFormat"])) == {"fault", "topology"}


def test_states_of_breakers_are_named_as_they_are_counted() -> None:
    assert {value: name.replace(" ", "_") for value, (name, _) in BREAKER.items()} == {
        str(number): state for number, state in enumerate(BREAKER_STATES)
    }


def test_form_of_the_files_is_that_of_the_grafana_that_is_started() -> None:
    _, _, of_sdk = version("grafana-foundation-sdk").partition("!")
    _, _, of_image = services()["grafana"]["image"].partition(":")
    assert of_image.split(".")[:2] == of_sdk.split(".")[:2]
