"""The Sagas tab and its page, on pages that are Locust's, or nearly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient

from scenarios._tab import COLUMNS, Shown, add_sagas_tab

PAGE = "<html><body><div id='root'></div></body></html>"
LIVE = {
    "phase": "load",
    "topologies": {
        "orchestrated": {
            "state": "load",
            "started": 1200,
            "completed": 1100,
            "compensated": 60,
            "in_flight": 40,
            "dropped": 3,
            "completion_ms": {"p50": 45.2, "p95": 2646.0, "p99": None},
            "retry_amplification": {"total": 1.25},
            "duplicates_suppressed": 7,
            "faults": {"request-lost": 5, "event-lost": None},
        }
    },
}


class Client(FlaskClient):
    """Reads every answer to its end, or the files that are sent stay open."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        return super().open(*arguments, **{"buffered": True} | options)


class Locust:
    """A web UI with Locust's hooks, whose page and statistics are what a test says, and what is shown of its test."""

    def __init__(self, *, page: str = PAGE, statistics: Any = None, base: str = "", login: bool = False) -> None:
        self.shown = Shown()
        self.template_args: Any = {}
        self.app = Flask(__name__, static_folder=None)
        self.app.test_client_class = Client
        self.environment = SimpleNamespace(parsed_options=SimpleNamespace(web_base_path=base))
        self._login = login
        kept: list[Response] = []

        def requests() -> Response:
            if not kept:  # as Locust does, which answers with the same object for a while
                kept.append(jsonify({"stats": []} if statistics is None else statistics))
            return kept[0]

        self.app.add_url_rule(f"{base}/", "index", lambda: page)
        self.app.add_url_rule(f"{base}/stats/requests", "requests", requests)

    def auth_required_if_enabled(self, view: Callable[..., Any]) -> Callable[..., Any]:
        return view if not self._login else lambda *_, **__: Response("log in", status=401)

    def client(self) -> FlaskClient:
        """With the tab added."""
        add_sagas_tab(self, lambda: self.shown)
        return self.app.test_client()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run under way."""
    (tmp_path / "live.json").write_text(json.dumps(LIVE))
    return tmp_path


def test_locusts_page_has_the_tab_its_table_a_link_and_the_script_at_its_end(run: Path) -> None:
    locust = Locust()
    client = locust.client()
    assert locust.template_args["extended_tabs"] == [{"title": "Sagas", "key": "sagas"}]
    (table,) = locust.template_args["extended_tables"]
    assert [column["key"] for column in table["structure"]] == list(COLUMNS)
    assert locust.template_args["extended_csv_files"][0]["href"] == "sagas/"
    assert client.get("/").text.endswith('<script src="sagas/tab.js"></script></body></html>')


def test_the_plain_table_has_a_row_for_each_topology_and_says_where_the_page_is(run: Path) -> None:
    locust = Locust()
    client = locust.client()
    locust.shown = Shown("running", run)
    for _ in range(2):  # the second time in the answer that was kept
        (table,) = client.get("/stats/requests").get_json()["extended_stats"]
        row, more = table["data"]
        assert (row["name"], row["started"], row["p50"], row["p95"], row["p99"]) == (
            "orchestrated", "1200", "45.2", "2,646.0", "-",
        )  # fmt: skip
        assert (row["retries"], row["faults"]) == ("1.250", "request-lost 5, event-lost -")
        assert more["name"].endswith("/sagas/")
        assert set(row) == set(more) == set(COLUMNS)


@pytest.mark.parametrize("page", ["", "no page any more", "<html><p>ends otherwise</html>"])
def test_a_page_that_does_not_end_as_expected_is_left_as_it_is(page: str) -> None:
    client = Locust(page=page).client()
    assert client.get("/").text == page
    assert client.get("/sagas/").status_code == 200


def test_statistics_that_are_no_object_are_left_as_they_are() -> None:
    assert Locust(statistics=["something", "else"]).client().get("/stats/requests").get_json() == ["something", "else"]


def test_tables_of_others_stay_beside_ours(run: Path) -> None:
    theirs = {"key": "theirs", "data": []}
    locust = Locust(statistics={"extended_stats": [theirs]})
    locust.template_args = {"extended_tabs": [{"title": "Theirs", "key": "theirs"}]}
    told = locust.client().get("/stats/requests").get_json()["extended_stats"]
    assert [each["key"] for each in told] == ["theirs", "sagas"]
    assert [each["key"] for each in locust.template_args["extended_tabs"]] == ["theirs", "sagas"]


def test_a_locust_that_has_no_tabs_still_has_the_page(run: Path) -> None:
    locust = Locust()
    locust.template_args = None
    client = locust.client()
    assert client.get("/").text == PAGE
    assert client.get("/sagas/").status_code == 200


def test_everything_that_the_page_asks_for_is_there_and_from_here() -> None:
    client = Locust().client()
    page = client.get("/sagas", follow_redirects=True).text
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {"sagas.js", "charts.js", "sagas.css", "uPlot.iife.min.js", "uPlot.min.css", "report"} <= set(asked)
    assert not [name for name in asked if "//" in name]
    for name in {*asked, "tab.js"} - {"report", "data:,"}:
        assert client.get(f"/sagas/{name}").status_code == 200, name
    for name in ("sagas.html", "../_tab.py", "%2e%2e/_tab.py"):
        assert client.get(f"/sagas/{name}").status_code == 404


def test_the_figures_are_the_harness_own_and_never_kept() -> None:
    locust = Locust()
    client = locust.client()
    assert client.get("/sagas/live.json").get_json() == {"stage": "none", "problem": "", "report": False, "live": None}


def test_figures_and_report_are_those_of_the_run_that_was_started_last(run: Path) -> None:
    locust = Locust()
    client = locust.client()
    locust.shown = Shown("ending", run)
    answer = client.get("/sagas/live.json")
    assert (answer.get_json()["live"], answer.get_json()["report"]) == (LIVE, False)
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/sagas/report").status_code == 404

    (run / "report.html").write_text("the report")
    assert client.get("/sagas/live.json").get_json()["report"] is True
    assert client.get("/sagas/report").text == "the report"
    locust.shown = Shown("starting")
    assert client.get("/sagas/live.json").get_json()["live"] is None
    assert client.get("/sagas/report").status_code == 404


def test_what_kept_a_test_from_starting_is_told() -> None:
    locust = Locust()
    client = locust.client()
    locust.shown = Shown("over", problem="the system under test did not start (exit code 4)")
    assert "exit code 4" in client.get("/sagas/live.json").get_json()["problem"]


def test_behind_a_login_nothing_is_shown_without_it(run: Path) -> None:
    locust = Locust(login=True)
    client = locust.client()
    locust.shown = Shown("running", run)
    for name in ("", "live.json", "report", "sagas.js"):
        assert client.get(f"/sagas/{name}").status_code == 401


def test_below_a_base_path_everything_is_below_it(run: Path) -> None:
    locust = Locust(base="/load")
    client = locust.client()
    locust.shown = Shown("running", run)
    assert "tab.js" in client.get("/load/").text
    assert client.get("/load/sagas/live.json").get_json()["live"] == LIVE
    assert (
        client.get("/load/stats/requests").get_json()["extended_stats"][0]["data"][-1]["name"].endswith("/load/sagas/")
    )
