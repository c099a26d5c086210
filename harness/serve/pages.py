"""The pages that are not reports: the list of runs, the table of an ablation, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from harness.ablation import wording
from harness.ablation.table import Table
from harness.core.verdict import RunVerdict
from harness.report.backend import backend_name
from harness.report.compare_runs import MOST_RUNS
from harness.report.faults import storm_name
from harness.report.templates import SIGNS, environment
from harness.report.wording import NOT_MEASURED, amplified, measured
from harness.serve.listing import Figures, Listed, ListedAblation, State

HERE = Path(__file__).parent / "html"
WITHOUT_VERDICT = {
    State.UNDER_WAY: "\N{HORIZONTAL ELLIPSIS}",
    State.STOPPED: "!",
    State.UNREADABLE: "!",
    State.ENDED: "?",
}
"""Signs beside the state of a run that has no verdict, or one that is not known here."""
_templates = environment(HERE)


def runs_page(listed: Sequence[Listed], left_out: int, ablations: Sequence[ListedAblation], where: str) -> str:
    """The list. ``where``: the folder, as it was given."""
    return _templates.get_template("runs.html").render(
        where=where,
        runs=[_run(each) for each in listed],
        left_out=left_out,
        unreadable=sum(each.state is State.UNREADABLE for each in listed),
        ablations=[_ablation(each) for each in ablations],
        most=MOST_RUNS,
    )


def ablation_page(name: str, table: Table) -> str:
    """The table of an ablation, as ``table.md`` has it."""
    return _templates.get_template("ablation.html").render(
        name=name,
        headline=wording.headline(table),
        made_on=wording.made_on(table),
        command=table.command,
        figure_headings=wording.FIGURE_HEADINGS,
        change_headings=wording.CHANGE_HEADINGS,
        topologies=[
            {
                "name": topology,
                "figures": [wording.figure_cells(row) for row in rows],
                "changes": list(wording.changes(table, topology)),
                "untold": wording.untold(table, topology),
            }
            for topology, rows in table.topologies.items()
        ],
        outcomes=wording.outcome_lines(table),
        notes=wording.notes(table),
    )


def message_page(title: str, lines: Sequence[str]) -> str:
    """Why there is nothing else to show."""
    return _templates.get_template("message.html").render(title=title, lines=lines)


def _run(listed: Listed) -> dict[str, Any]:
    run, summary = listed.run, listed.summary
    verdict = summary.verdict if summary else listed.state.value
    rows = [_figures(name, figures) for name, figures in summary.topologies.items()] if summary else []
    openable = listed.has_report or listed.comparable
    made = {
        "name": listed.name,
        "href": f"/runs/{quote(listed.name, safe='')}" if openable else None,
        "comparable": listed.comparable,
        "note": listed.note,
        "why": summary.reasons[0] if summary and summary.reasons and verdict != RunVerdict.PASS else "",
        "verdict": verdict,
        "tone": verdict if verdict in list(RunVerdict) else "none",
        "sign": SIGNS[RunVerdict(verdict)] if verdict in list(RunVerdict) else WITHOUT_VERDICT[listed.state],
        "topologies": rows,
        "blocks": [(f"{listed.name}:{number}", f"{number} {name}") for number, name in enumerate(listed.blocks, 1)],
    }
    if run is None:
        return made | {"saga": "", "known": False, "sort": _sort(listed, rows), "words": _words(listed)}
    settings = run.settings
    return made | {
        "known": True,
        "saga": settings.saga,
        "storm": storm_name(run),
        "backend": backend_name(run),
        "backend_name": run.backend.name if run.backend else settings.backend,
        "started_at": run.started_at,
        "commit": (run.commit or "")[:8],
        "load": f"{len(listed.blocks)} \N{MULTIPLICATION SIGN} {settings.duration_s:g} s",
        "rate": f"{settings.rate_per_s:g}/s, seed {settings.seed}",
        "mitigations": ", ".join(f"{name}={value}" for name, value in settings.mitigations.chosen().items()),
        "sort": _sort(listed, rows),
        "words": _words(listed),
    }


def _figures(topology: str, figures: Figures) -> dict[str, Any]:
    anomalies = sum(figures.anomalies.values())
    total = figures.retry_amplification.get("total")
    p50, p99 = figures.completion_ms.get("p50"), figures.completion_ms.get("p99")
    return {
        "topology": topology,
        "p50": measured(p50, "ms"),
        "p99": measured(p99, "ms"),
        "undone": measured(figures.compensation_rate, "%"),
        "tries": amplified(total),
        "anomalies": f"{anomalies:,}" if anomalies else "none",
        "names": ", ".join(figures.anomalies),
        "found": bool(anomalies),
        "values": {
            "p50": p50, "p99": p99, "undone": figures.compensation_rate, "tries": total, "anomalies": anomalies,
        },
    }  # fmt: skip


def _sort(listed: Listed, rows: Sequence[dict[str, Any]]) -> str:
    """What each column sorts by, as JSON; of figures the highest of its topologies."""
    run = listed.run
    keys: dict[str, object] = {
        "run": run.started_at if run else "",
        "saga": f"{run.settings.saga} {storm_name(run)}" if run else "",
        "verdict": listed.summary.verdict if listed.summary else listed.state.value,
        "backend": backend_name(run) if run else "",
        "load": len(listed.blocks) * run.settings.duration_s if run else None,
    }
    for name in ("p50", "p99", "undone", "tries", "anomalies"):
        keys[name] = max((row["values"][name] for row in rows if row["values"][name] is not None), default=None)
    return msgspec.json.encode(keys).decode()


def _words(listed: Listed) -> str:
    """What the filter looks in."""
    run = listed.run
    words = [listed.name, listed.state.value, listed.summary.verdict if listed.summary else "", listed.note]
    if run is not None:
        words += [run.settings.saga, storm_name(run), backend_name(run), run.commit or "", run.started_at]
        words += [*run.settings.topologies, f"seed {run.settings.seed}"]
        words += [f"{name}={value}" for name, value in run.settings.mitigations.chosen().items()]
    if listed.summary:
        words += [name for figures in listed.summary.topologies.values() for name in figures.anomalies]
    return " ".join(words).lower()


def _ablation(listed: ListedAblation) -> dict[str, Any]:
    plan = listed.plan
    return {
        "name": listed.name,
        "href": f"/ablations/{quote(listed.name)}" if listed.has_table and plan else None,
        "note": listed.note or ("" if listed.has_table else f"no table yet: sagastorm ablate --table {listed.name}"),
        "storm": plan.settings.storm if plan else NOT_MEASURED,
        "backend": plan.settings.backend if plan else NOT_MEASURED,
        "without": ", ".join(cell.name for cell in plan.cells[1:]) if plan else "",
        "rounds": plan.rounds if plan else NOT_MEASURED,
        "started_at": plan.started_at if plan else "",
    }
