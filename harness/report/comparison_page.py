"""The comparison of runs and blocks as one HTML file: no network, readable without its script, ready to be printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from harness.core.verdict import RunVerdict
from harness.report.backend import backend_name
from harness.report.chart_parts import Chart
from harness.report.compare import covers, intervals
from harness.report.compare_runs import FIELDS
from harness.report.compare_terminal import NOT_ALTERNATING
from harness.report.comparison_charts import distributions, timelines
from harness.report.comparison_sides import Group, Picked, SideBySide
from harness.report.comparison_tables import (
    amplification_rows,
    anomaly_counts,
    difference_rows,
    fault_counts,
    figure_rows,
    version_rows,
    witnesses,
)
from harness.report.faults import storm_name
from harness.report.tables import instrument_rows, outcome_parts
from harness.report.templates import SIGNS, environment, own_file, policy
from harness.report.wording import plain

DASHES = ((), (8, 4), (2, 3), (11, 3, 2, 3), (16, 4), (5, 2), (8, 3, 2, 3, 2, 3), (1, 4))
"""Of the lines of each side in turn, for who cannot tell their colors, or prints without."""
TEMPLATE = "comparison.html"


def render_comparison(compared: SideBySide, *, served: bool = False) -> str:
    """The whole page. ``served``: with links to the list of runs, their reports and other orders of the picks."""
    charts, over_time = distributions(compared.groups), timelines(compared.groups)
    drawn = [{"id": each.id, "spec": each.spec} for each in (*charts, *over_time) if each.missing is None]
    files = {name: own_file(path) for name, path in _FILES.items()}
    return environment().get_template(TEMPLATE).render(
        policy=policy([str(files["uplot_js"]), str(files["js"])]),
        files=files,
        served=served,
        title=_title(compared),
        picked=[_picked(compared, each, served=served) for each in compared.picked],
        like=not compared.differing and all(each.rounds for group in compared.groups for each in group.comparisons),
        differing_fields=[each.field for each in compared.differing],
        one_run=compared.of_one_run,
        remarks=remarks(compared),
        intervals=_intervals(compared),
        groups=[
            _group(group, *charts_of) for group, *charts_of in zip(compared.groups, charts, over_time, strict=True)
        ],
        witnesses=[row for picked in compared.picked for row in witnesses(picked)],
        differing=_settings(compared),
        same=_same(compared),
        instrument=instrument_rows([each.report for each in compared.picked]),
        letters=[each.letter for each in compared.picked],
        chart_data={"charts": drawn, "dashes": DASHES},
        dashes=[" ".join(map(str, dash)) for dash in DASHES],
    )  # fmt: skip


_FILES = {
    "css": "style.css",
    "own_css": "comparison.css",
    "js": "comparison.js",
    "uplot_css": "vendor/uPlot.min.css",
    "uplot_js": "vendor/uPlot.iife.min.js",
}


def address(names: Sequence[str]) -> str:
    """Where ``sagastorm serve`` has the comparison of these picks."""
    return f"/compare?{urlencode([('pick', name) for name in names])}"


def remarks(compared: SideBySide) -> list[str]:
    """What a reader must know before any difference: what is not the same, what is not paired, what did not pass."""
    lines = [f"{each.field}: {_of_each(compared, each.values)}" for each in compared.differing]
    if any(each.field == "backend" for each in compared.differing):
        lines.append(
            "Milliseconds are the backends' own: a difference across backends says which emulator is faster, and "
            "nothing of the saga."
        )
    lines += [
        line
        for group in compared.groups
        for line in _pairing(group, f"{group.title}: " if len(compared.groups) > 1 else "")
    ]
    for picked in compared.picked:
        verdict = picked.whole.judgement.verdict
        if verdict is not RunVerdict.PASS:
            first, *more = picked.whole.judgement.reasons
            further = "; more in its report" if more else ""
            lines.append(f"The run of {picked.letter} did not pass ({verdict.value}): {first.rstrip('.')}{further}.")
    if not compared.of_one_run:
        lines.append(NOT_ALTERNATING)
    return lines


def _pairing(group: Group, where: str) -> list[str]:
    if len(group.sides) == 1:
        return [f"Only {group.sides[0].letter} has the topology {group.title}: there is nothing to hold it against."]
    lines = []
    topologies = dict.fromkeys(side.topology for side in group.sides)
    if len(topologies) > 1:
        told = ", ".join(f"{side.letter} {side.topology}" for side in group.sides)
        lines.append(f"They are of different topologies: {told}.")
    base = group.sides[0]
    for side, comparison in zip(group.sides[1:], group.comparisons, strict=True):
        both = f"{where}{side.letter} against {base.letter}"
        most = max(len(base.blocks), len(side.blocks))
        if not comparison.rounds:
            whys = dict.fromkeys(each.why for each in comparison.differences if each.why)
            lines.append(f"{both} has no intervals: {'; '.join(whys)}.")
        elif len(comparison.rounds) < most:
            lines.append(
                f"{both} is over the {len(comparison.rounds)} of {most} rounds that both ended with the same load; "
                "other figures are over all."
            )
    return lines


def _of_each(compared: SideBySide, values: Sequence[object]) -> str:
    """``A 1, B and C 2``."""
    letters: dict[str, list[str]] = {}
    for picked, value in zip(compared.picked, values, strict=True):
        letters.setdefault(str(value), []).append(picked.letter)
    return "; ".join(f"{' and '.join(each)}: {value}" for value, each in letters.items())


def _title(compared: SideBySide) -> str:
    sagas = " and ".join(dict.fromkeys(run.settings.saga for run in compared.runs))
    storms = " and ".join(dict.fromkeys(storm_name(run) for run in compared.runs))
    return f"{sagas} under {storms}"


def _picked(compared: SideBySide, picked: Picked, *, served: bool) -> dict[str, Any]:
    run, verdict = picked.run, picked.whole.judgement.verdict
    block = picked.pick.block
    names = [str(each.pick) for each in compared.picked]
    mine, others = str(picked.pick), [name for name in names if name != str(picked.pick)]
    return {
        "letter": picked.letter,
        "number": compared.picked.index(picked),
        "run": picked.pick.run,
        "part": "all blocks" if block is None else f"block {block + 1}",
        "topologies": ", ".join(picked.topologies),
        "verdict": verdict.value,
        "sign": SIGNS[verdict],
        "backend": backend_name(run),
        "commit": (run.commit or "not known")[:12],
        "started_at": run.started_at,
        "report": f"/runs/{quote(picked.pick.run, safe='')}" if served else None,
        "as_base": address([mine, *others]) if served else None,
        "without": address(others) if served and len(others) > 1 else None,
    }


def _group(group: Group, distribution: Chart, timeline: Chart) -> dict[str, Any]:
    return {
        "title": group.title,
        "sides": [{"letter": side.letter, "number": ord(side.letter) - ord("A"), "topology": side.topology} for side in group.sides],
        "mixed": len({side.topology for side in group.sides}) > 1,
        "differences": difference_rows(group),
        "whys": _whys(group),
        "distribution": distribution,
        "timeline": timeline,
        "figures": figure_rows(group),
        "outcomes": [outcome_parts(side.report.outcomes.get(side.topology)) for side in group.sides],
        "amplification": amplification_rows(group),
        "faults": fault_counts(group),
        "anomalies": anomaly_counts(group),
    }  # fmt: skip


def _intervals(compared: SideBySide) -> str | None:
    """What the intervals are and what they cover; nothing where there are none."""
    paired = [each for group in compared.groups for each in group.comparisons if each.rounds]
    if not paired:
        return None
    if compared.of_one_run:
        return covers(paired)
    return f"{intervals(paired)} It covers which seconds of the load and storm were met."


def _whys(group: Group) -> list[str]:
    """Why there is no difference, or no interval, of some metrics where others have one."""
    lines = []
    for comparison in group.comparisons:
        for why in dict.fromkeys(each.why for each in comparison.differences if each.why and comparison.rounds):
            names = ", ".join(each.metric for each in comparison.differences if each.why == why)
            lines.append(f"{comparison.other} against {comparison.base}, {names}: {why}.")
    return lines


def _settings(compared: SideBySide) -> list[tuple[str, ...]]:
    """What is not the same, code and time included, by pick."""
    rows = [(each.field, *map(str, each.values)) for each in compared.differing]
    commits = [(run.commit or "not known")[:12] for run in compared.runs]
    if len(set(commits)) > 1:
        rows.append(("commit", *commits))
    return [*rows, *version_rows(compared.runs), ("started", *(run.started_at for run in compared.runs))]


def _same(compared: SideBySide) -> list[tuple[str, str]]:
    different = {each.field for each in compared.differing}
    run = compared.runs[0]
    return [(name, plain(str(value(run)))) for name, value in FIELDS.items() if name not in different]
