"""The *Sagas* tab of Locust's web UI, and the page in it: how the test's run is going, from its harness's ``live.json``.

The page stands by itself at ``sagas/``. On Locust's page it is put into a tab by a small script. Where a Locust's page is
not what the script expects, the tab is Locust's own: a plain table of the same figures. Where a Locust has no such tabs,
there is the page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response, abort, request, send_file

KEY = "sagas"
_PAGE = Path(__file__).with_name("_page")
_UPLOT = Path("html") / "vendor"
_SCRIPT = b'<script src="sagas/tab.js"></script>'
_END = b"</body>"
COLUMNS = {
    "name": "Topology",
    "state": "State",
    "started": "Started",
    "completed": "Completed",
    "compensated": "Compensated",
    "flight": "In flight",
    "p50": "p50 ms",
    "p95": "p95 ms",
    "p99": "p99 ms",
    "retries": "Attempts by first attempt",
    "duplicates": "Duplicates suppressed",
    "dropped": "Dropped",
    "faults": "Faults fired",
}
"""Of the plain table; keys are single words, which Locust's page does not rewrite."""

logger = logging.getLogger("sagastorm.load")


class Shown(msgspec.Struct, frozen=True):
    """What there is to show of the test that was started last.

    ``starting``: no block has been announced yet. ``over``: its system has ended, or it never began.
    """

    stage: Literal["none", "starting", "running", "ending", "over"] = "none"
    run: Path | None = None
    """The run's folder, where it is known."""
    problem: str = ""
    """Why it did not begin, or could not go on."""


class _Topology(msgspec.Struct):
    state: str
    started: int | None
    completed: int | None
    compensated: int | None
    in_flight: int | None
    dropped: int | None
    completion_ms: dict[str, float | None]
    retry_amplification: dict[str, float | None]
    duplicates_suppressed: int | None
    faults: dict[str, int | None]


class _Figures(msgspec.Struct):
    topologies: dict[str, _Topology]


class _Answer(msgspec.Struct):
    """What the page asks for once a second. ``live`` is the harness's file as it is."""

    stage: str
    problem: str
    report: bool
    live: msgspec.Raw | None


def add_sagas_tab(web_ui: Any, shown: Callable[[], Shown]) -> None:
    """Serve the page, and put it into a tab where this Locust has what that takes."""
    options = web_ui.environment.parsed_options
    base = getattr(options, "web_base_path", None) or ""
    web_ui.app.register_blueprint(_pages(web_ui, f"{base}/sagas", shown))
    arguments = getattr(web_ui, "template_args", None)
    if not isinstance(arguments, dict):
        logger.warning("this Locust has no tabs to add to; the sagas are at %s/sagas/", base)
        return
    structure = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    for name, added in (
        ("extended_tabs", {"title": "Sagas", "key": KEY}),
        ("extended_tables", {"key": KEY, "structure": structure}),
        ("extended_csv_files", {"href": "sagas/", "title": "Sagas: live figures, charts and the report"}),
    ):
        arguments[name] = [*arguments.get(name, []), added]

    def extend(response: Response) -> Response:
        if request.path == f"{base}/" and response.mimetype == "text/html":
            response.set_data(with_script(response.get_data()))
        elif request.path == f"{base}/stats/requests" and response.is_json:
            response.set_data(with_table(response.get_data(), table(shown().run, f"{base}/sagas/")))
        return response

    web_ui.app.after_request(extend)


def with_script(page: bytes) -> bytes:
    """Locust's page with our script at its end; as it is, where it does not end as expected."""
    head, end, tail = page.rpartition(_END)
    return head + _SCRIPT + end + tail if end else page


def with_table(statistics: bytes, rows: list[dict[str, str]]) -> bytes:
    """Locust's statistics with our table in them, which may be there from before: it keeps its answers for a while."""
    told = msgspec.json.decode(statistics)
    if not isinstance(told, dict):
        return statistics
    others = [each for each in told.get("extended_stats", []) if each.get("key") != KEY]
    return msgspec.json.encode(told | {"extended_stats": [*others, {"key": KEY, "data": rows}]})


def table(run: Path | None, page: str) -> list[dict[str, str]]:
    """The rows of the plain table: one for each topology, and one that says where there is more."""
    more = dict.fromkeys(COLUMNS, "") | {"name": f"… charts and the report: {page}"}
    try:
        topologies = msgspec.json.decode(_live(run) or b"{}", type=_Figures).topologies
    except msgspec.DecodeError:
        topologies = {}
    return [*(_row(name, figures) for name, figures in topologies.items()), more]


def _row(name: str, figures: _Topology) -> dict[str, str]:
    total = figures.retry_amplification.get("total")
    struck = ", ".join(f"{fault} {_count(count)}" for fault, count in figures.faults.items())
    return {
        "name": name,
        "state": figures.state,
        "started": _count(figures.started),
        "completed": _count(figures.completed),
        "compensated": _count(figures.compensated),
        "flight": _count(figures.in_flight),
        **{quantile: "-" if ms is None else f"{ms:,.1f}" for quantile, ms in figures.completion_ms.items()},
        "retries": "-" if total is None else f"{total:.3f}",
        "duplicates": _count(figures.duplicates_suppressed),
        "dropped": _count(figures.dropped),
        "faults": struck,
    }


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _pages(web_ui: Any, prefix: str, shown: Callable[[], Shown]) -> Blueprint:
    pages = Blueprint("sagas", __name__, url_prefix=prefix)
    files = {name: _PAGE / name for name in ("sagas.css", "sagas.js", "charts.js", "tab.js")} | _uplot()

    def page() -> Response:
        return send_file(_PAGE / "sagas.html")

    def live() -> Response:
        now = shown()
        answer = _Answer(now.stage, now.problem, _report(now.run) is not None, _raw(_live(now.run)))
        return Response(msgspec.json.encode(answer), mimetype="application/json", headers={"Cache-Control": "no-store"})

    def report() -> Response:
        path = _report(shown().run)
        if path is None:
            abort(404, "There is no report yet: it is written when the run has been audited.")
        return send_file(path.resolve(), max_age=0)

    def file(name: str) -> Response:
        return send_file(files[name]) if name in files else abort(404)

    for rule, view in (("/", page), ("/live.json", live), ("/report", report), ("/<name>", file)):
        pages.add_url_rule(rule, view.__name__, web_ui.auth_required_if_enabled(view))
    return pages


def _uplot() -> dict[str, Path]:
    """The report's own copy of the library."""
    spec = find_spec("harness.report")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return {name: Path(folder) / _UPLOT / name for folder in folders for name in ("uPlot.iife.min.js", "uPlot.min.css")}


def _live(run: Path | None) -> bytes | None:
    try:
        return (run / "live.json").read_bytes() if run else None
    except OSError:
        return None


def _raw(content: bytes | None) -> msgspec.Raw | None:
    return msgspec.Raw(content) if content else None


def _report(run: Path | None) -> Path | None:
    path = run / "report.html" if run else None
    return path if path and path.is_file() else None
