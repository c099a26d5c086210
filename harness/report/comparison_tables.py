"""The tables of a comparison as rows of text, a column for each side or pick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.history.run_file import RunFile
from harness.report.compare import METRICS, Difference
from harness.report.comparison_sides import Group, Picked, Side
from harness.report.costs import LAYERS
from harness.report.tables import LAYERS as LAYER_NAMES
from harness.report.tables import anomaly_rows, metric_rows, no_anomaly_line
from harness.report.wording import NOT_MEASURED, amplified, count, in_units, told, with_interval

STRIP_WIDTH = 200.0
STRIP_EDGE = 6.0
"""Kept free at both ends of a strip, so that no end of an interval lies on its border."""

LEAST_REACH = 0.05
"""Of a strip to each side, as a share: next to no difference must not look like much."""
LEAST_SHOWN = 0.05
"""What a full bar of amplification means at least: a retry in a thousand tries must not look like a storm."""


@dataclass(frozen=True)
class Strip:
    """A difference and its interval on a line of 200, "no difference" in the middle; the same scale for one metric."""

    point: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Against:
    """One metric of one side against the base. ``why``: of what there is no interval, or nothing at all."""

    letter: str
    value: str
    difference: str
    units: str
    clear: bool
    strip: Strip | None
    why: str | None


@dataclass(frozen=True)
class DifferenceRow:
    """One metric of all sides."""

    metric: str
    base: str
    against: tuple[Against, ...]


class Witness(NamedTuple):
    """An anomaly with one saga to which it happened; without a name, what to say where there is none."""

    letter: str
    where: str
    name: str
    often: str
    told: str


def difference_rows(group: Group) -> list[DifferenceRow]:
    """A row for each metric that is compared; none where there is nothing to hold against anything."""
    rows = []
    for metric in METRICS if group.comparisons else ():
        differences = [comparison.of(metric.name) for comparison in group.comparisons]
        strips = _strips(differences)
        rows.append(
            DifferenceRow(
                metric.name,
                _figure(group.sides[0], metric.name),
                tuple(
                    _against(group, side, difference, strip)
                    for side, difference, strip in zip(group.sides[1:], differences, strips, strict=True)
                ),
            )
        )
    return rows


def _against(group: Group, side: Side, difference: Difference, strip: Strip | None) -> Against:
    # Runs that did not take turns have differences that no interval covers, so none of theirs is called clear.
    words = told(difference) if group.of_one_run else with_interval(difference)
    return Against(
        side.letter,
        _figure(side, difference.metric),
        words,
        in_units(difference),
        group.of_one_run and difference.clear,
        strip,
        difference.why,
    )


def _figure(side: Side, metric: str) -> str:
    (row,) = [row for row in metric_rows([(side.report, side.topology)], []) if row.label == metric]
    return row.cells[0]


def _strips(differences: Sequence[Difference]) -> list[Strip | None]:
    placed = [_placed(difference) for difference in differences]
    reach = max([LEAST_REACH, *(abs(value) for each in placed if each for value in each if value is not None)])
    half = STRIP_WIDTH / 2

    def at(value: float | None) -> float | None:
        return None if value is None else round(half + (half - STRIP_EDGE) * value / reach, 1)

    return [Strip(at(each[0]) or half, at(each[1]), at(each[2])) if each else None for each in placed]


def _placed(difference: Difference) -> tuple[float, float | None, float | None] | None:
    """Point and interval on an axis on which 0 is "no difference": ratios by their logarithm."""
    if difference.difference is None:
        return None
    if difference.ratio is None:
        bounds = difference.difference_interval
        return (difference.difference, bounds.low, bounds.high) if bounds else (difference.difference, None, None)
    bounds = difference.ratio_interval
    if min(difference.ratio, bounds.low if bounds else difference.ratio) <= 0:
        return None
    point = math.log(difference.ratio)
    return (point, math.log(bounds.low), math.log(bounds.high)) if bounds else (point, None, None)


def figure_rows(group: Group) -> list[dict[str, Any]]:
    """All figures of the summary."""
    return [
        {
            "label": row.label.lstrip(),
            "indent": (len(row.label) - len(row.label.lstrip())) // 2,
            "cells": row.cells,
            "starts_group": row.starts_group,
        }
        for row in metric_rows([(side.report, side.topology) for side in group.sides], [])
    ]


def amplification_rows(group: Group) -> list[dict[str, Any]]:
    """Attempts by first attempts, layer by layer; ``width``: what is above 1, by the most of any."""
    names = {**{layer: LAYER_NAMES[layer] for layer in LAYERS}, "total": "all layers"}
    values = {
        layer: [side.report.topologies[side.topology].retry_amplification[layer] for side in group.sides]
        for layer in names
    }
    above = [value - 1 for row in values.values() for value in row if value is not None]
    most = max([LEAST_SHOWN, *above])
    return [
        {
            "label": names[layer],
            "total": layer == "total",
            "cells": [
                {"text": amplified(value), "width": None if value is None else 100 * (value - 1) / most}
                for value in row
            ],
        }
        for layer, row in values.items()
    ]


def fault_counts(group: Group) -> list[tuple[str, ...]]:
    """Strikes by fault; of a fault that is not in a side's storm there is nothing."""
    struck = [side.report.topologies[side.topology].faults for side in group.sides]
    names = dict.fromkeys(name for each in struck for name in each)
    return [(name, *(count(each.get(name)) for each in struck)) for name in names]


def anomaly_counts(group: Group) -> list[tuple[str, ...]]:
    """How often each was found; nothing where nobody looked."""
    found = [side.report.topologies[side.topology].anomalies for side in group.sides]
    audited = [any(audit.topology == side.topology for audit in side.report.audits) for side in group.sides]
    names = sorted({name for each in found for name in each})
    return [
        (name, *(count(each.get(name, 0)) if looked else NOT_MEASURED for each, looked in zip(found, audited, strict=True)))
        for name in names
    ]  # fmt: skip


def witnesses(picked: Picked) -> list[Witness]:
    """One for each kind of anomaly in each block; one in all where there is none, for that is good news only where all
    was looked at."""
    rows = [
        Witness(picked.letter, row.where, row.name, count(row.count), row.witness)
        for row in anomaly_rows(picked.report)
    ]
    return rows or [Witness(picked.letter, "", "", "", no_anomaly_line(picked.report))]


def version_rows(runs: Sequence[RunFile]) -> list[tuple[str, ...]]:
    """Of packages that are not the same everywhere."""
    rows = [
        (f"version of {name}", *(run.versions.get(name, "none") for run in runs))
        for name in dict.fromkeys(name for run in runs for name in run.versions)
    ]
    return [row for row in rows if len(set(row[1:])) > 1]
