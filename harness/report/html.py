"""The report as one HTML file: no network, light and dark, readable without the script, and ready to be printed.

Autoescape is on for everything; only our own style sheet and scripts and the vendored ones are put in as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from harness.report import charts
from harness.report.backend import backend_lines, backend_name
from harness.report.chart_parts import Chart
from harness.report.compare import UNCLEAR, Comparison, Difference, covers
from harness.report.faults import Trouble, storm_name
from harness.report.metrics import falsified
from harness.report.mitigations import mitigation_line
from harness.report.model import Report
from harness.report.picture import call_rows, draw
from harness.report.quantiles import QUANTILES
from harness.report.selection import RULE
from harness.report.tables import (
    BLOCK_HEADINGS,
    LAYERS,
    LEADING_RULE,
    Headline,
    Row,
    again,
    anomaly_rows,
    block_rows,
    collateral_lines,
    comparison_rows,
    fault_label,
    headlines,
    hop_rows,
    lead,
    machine_line,
    no_anomaly_line,
    outcome_parts,
    round_lines,
    sagas_in_common,
    spread_line,
)
from harness.report.templates import SIGNS, environment, own_file, policy
from harness.report.waterfall import BACK, LEGEND, place_of, shown, ways
from harness.report.wording import amplified, count, in_units, number, told

STRIP_MIDDLE = 100.0
"""Of a strip that is 200 wide: where "no difference" stands."""
LEAST_REACH = 0.05
"""Of a strip to each side, as a share: next to no difference must not look like much."""
UNEQUAL_TOLD = 200
"""Most sagas that are listed as struck in one topology only."""


def render_page(report: Report) -> str:
    """The whole page."""
    content = _head(report) | _charts(report) | _tables(report) | _sagas(report)
    return environment().get_template("report.html").render(content)


def _head(report: Report) -> dict[str, Any]:
    run, settings = report.run, report.run.settings
    return {
        "run": {
            "id": run.run_id,
            "settings": settings,
            "storm_name": storm_name(run),
            "started_at": run.started_at,
            "blocks": f"blocks {settings.interleave} of {settings.duration_s:g} s at {settings.rate_per_s:g}/s",
            "backend": backend_name(run),
            "mitigations": mitigation_line(report.data),
            "command": run.command,
            "commit": run.commit,
            "version": run.versions.get("sagastorm", ""),
        },
        "topologies": list(report.topologies),
        "verdict": {"word": report.judgement.verdict.value, "sign": SIGNS[report.judgement.verdict]},
        "reasons": report.judgement.reasons,
        "checks": len(report.judgement.checks),
        "notes": [*report.figure_notes, *report.judgement.remarks],
        "comparisons": [_comparison(comparison) for comparison in report.comparisons],
        "leading_rule": LEADING_RULE,
        "covers": covers(report.comparisons),
        "unclear": UNCLEAR,
        "files": _files(),
    }


def _charts(report: Report) -> dict[str, Any]:
    withheld = falsified(report.run)
    distribution = _unless(withheld, charts.distribution(report), *(f"completion_ms.{name}" for name in QUANTILES))
    loop = charts.loop(report)
    windows = charts.windows_in_words(report)
    drawn = [chart for chart in (distribution, *loop) if chart.missing is None]
    return {
        "distribution": distribution,
        "loop": loop,
        "backdrop": f"Tinted: the storm ({windows}). Hatched: the drain." if windows else "Hatched: the drain.",
        "chart_data": [{"id": chart.id, "spec": chart.spec} for chart in drawn],
    }


def _unless(withheld: Mapping[str, str], chart: Chart, *paths: str) -> Chart:
    """The chart, or why it is not shown where what it draws is wrong on this backend."""
    why = next((withheld[path] for path in paths if path in withheld), None)
    return chart if why is None else replace(chart, missing=f"Not shown: {why}.")


def _tables(report: Report) -> dict[str, Any]:
    instrument = report.run.instrument
    return {
        "rows": [_row(row) for row in comparison_rows(report)],
        "outcomes": [{"topology": name, "parts": outcome_parts(counts)} for name, counts in report.outcomes.items()],
        "amplification": _amplification(report),
        "faults": [_fault(trouble) for trouble in report.trouble],
        "collateral": collateral_lines(report),
        "anomalies": anomaly_rows(report),
        "no_anomaly": no_anomaly_line(report),
        "audit_notes": [f"block {audit.block + 1}: {note}" for audit in report.audits for note in audit.notes],
        "block_headings": BLOCK_HEADINGS,
        "blocks": block_rows(report),
        "drift": [line for line in [machine_line(report), spread_line(report), *round_lines(report)] if line],
        "events": [
            (str(data.block.block + 1), f"{event.t_s:.1f}", event.what)
            for data in report.data.blocks
            for event in data.events
        ],
        "backend_lines": backend_lines(report.run),
        "hops": hop_rows(report),
        "call_cpu_ms": "" if instrument is None else number(instrument.call_cpu_ms),
        "facts": _facts(report),
        "again": again(report),
        "storm_json": msgspec.json.format(msgspec.json.encode(report.run.storm), indent=2).decode(),
    }


def _sagas(report: Report) -> dict[str, Any]:
    """Single sagas, and the ways that all of them went."""
    chosen = shown(report)
    return {
        "shown": chosen,
        "ways": ways(chosen),
        "places": place_of(chosen),
        "legend": [*LEGEND, f"{BACK} only sagas that did not complete take this step"],
        "selection": RULE,
        "pictures": [draw(traffic) for traffic in report.traffic],
        "topology_index": {topology: index for index, topology in enumerate(report.topologies)},
        "calls": call_rows(report.traffic),
    }


def _files() -> dict[str, Any]:
    scripts = [own_file(name) for name in ("page.js", "vendor/uPlot.iife.min.js", "charts.js")]
    return {
        "styles": [own_file(name) for name in ("vendor/uPlot.min.css", "style.css", "pictures.css")],
        "scripts": scripts,
        "policy": policy(scripts),
    }


@dataclass(frozen=True)
class Strip:
    """An interval drawn to scale on a line of 200, with "no difference" in the middle."""

    low: float
    point: float
    high: float


@dataclass(frozen=True)
class Card:
    """A headline with its picture."""

    headline: Headline
    strip: Strip | None


@dataclass(frozen=True)
class Told:
    """A difference in words, empty where there is none."""

    ratio: str
    in_units: str
    clear: bool


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "base": comparison.base,
        "other": comparison.other,
        "lead": lead(comparison),
        "cards": [Card(headline, _strip(comparison.of(headline.title))) for headline in headlines(comparison)],
    }


def _strip(difference: Difference) -> Strip | None:
    if difference.ratio is not None and difference.ratio_interval is not None:
        bounds = difference.ratio_interval
        if min(bounds.low, difference.ratio) <= 0:
            return None
        values = [math.log(value) for value in (bounds.low, difference.ratio, bounds.high)]
    elif difference.difference is not None and difference.difference_interval is not None:
        bounds = difference.difference_interval
        values = [bounds.low, difference.difference, bounds.high]
    else:
        return None
    reach = max(LEAST_REACH, *map(abs, values)) * 1.2
    low, point, high = (round(STRIP_MIDDLE * (1 + value / reach), 1) for value in values)
    return Strip(low, point, high)


def _row(row: Row) -> dict[str, Any]:
    label = row.label.lstrip()
    return {
        "label": label,
        "indent": (len(row.label) - len(label)) // 2,
        "cells": row.cells,
        "starts_group": row.starts_group,
        "differences": [
            Told(told(each), in_units(each), each.clear) if each else Told("", "", clear=False)
            for each in row.differences
        ],
    }


def _amplification(report: Report) -> list[dict[str, Any]]:
    rows = {layer: [t.retry_amplification[layer] for t in report.topologies.values()] for layer in (*LAYERS, "total")}
    most = max((value - 1 for values in rows.values() for value in values if value is not None), default=0.0)
    return [
        {
            "label": LAYERS.get(layer, "all layers"),
            "total": layer == "total",
            "cells": [
                {
                    "text": amplified(value),
                    "width": None if value is None else round(100 * (value - 1) / most, 1) if most else 0,
                }
                for value in values
            ],
        }
        for layer, values in rows.items()
    ]


def _fault(trouble: Trouble) -> dict[str, Any]:
    unequal = [] if trouble.same else [(topology, trouble.only(topology)) for topology in trouble.struck]
    return {
        "name": fault_label(trouble),
        "fired": [count(fired) for fired in trouble.fired.values()],
        "common": sagas_in_common(trouble),
        "unequal": [{"topology": topology, "sagas": _arrivals(only)} for topology, only in unequal],
    }


def _arrivals(arrivals: Sequence[tuple[int, int]]) -> str:
    listed = ", ".join(f"{round + 1}/{arrival}" for round, arrival in arrivals[:UNEQUAL_TOLD])
    more = len(arrivals) - UNEQUAL_TOLD
    return f"{listed} and {more} more" if more > 0 else listed or "none"


def _facts(report: Report) -> list[tuple[str, str]]:
    run = report.run
    settings = msgspec.to_builtins(run.settings)
    return [
        *((name.replace("_", " "), _shown(value)) for name, value in settings.items() if name != "mitigations"),
        ("mitigations", mitigation_line(report.data)),
        ("commit", run.commit or "not known"),
        ("backend", backend_name(run)),
        ("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
        ("machine", ", ".join(f"{name} {value}" for name, value in run.machine.items())),
    ]


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
