"""A run against a baseline: which figures lie beyond what the baseline's own runs leave to chance.

A stored baseline was measured at another time, on a machine that may have been busier or cooler then. What runs of one
build differ by is recorded in it, so the more different days its runs are of, the more its spread is worth. To tell two
builds apart, let them take turns in one job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

import msgspec

from harness.baseline.spread import MIN_RUNS, expected
from harness.baseline.store import Baseline, machine_of, settings_of
from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS, Problem, UsageError
from harness.core.verdict import RunVerdict
from harness.history.run_file import RunFile
from harness.report.compare import Interval
from harness.report.figures import Figure, Missing
from harness.report.metrics import figure
from harness.report.model import Report

FALSE_ALARMS = 0.05
"""Share of unchanged runs that may have any figure beyond its interval. It is divided among the figures, which as they go
together is more careful than it needs to be."""


class Change(StrEnum):
    """What a figure did."""

    NONE = "none"
    """It lies where one more run of the baseline would."""
    WORSE = "worse"
    BETTER = "better"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Metric:
    """A figure that is compared. ``least``: a difference that is never told, as a share of it, or in its unit if it is a
    share or a time that may be 0."""

    path: str
    unit: str
    least: float
    ratio: bool = True
    lower_is_worse: bool = False


METRICS = (
    Metric("completion_ms.p50", "ms", 0.03),
    Metric("completion_ms.p95", "ms", 0.03),
    Metric("completion_ms.p99", "ms", 0.03),
    Metric("throughput_per_s", "/s", 0.03, lower_is_worse=True),
    Metric("compensation_rate", "%", 0.01, ratio=False),
    Metric("retry_amplification.total", "x", 0.01),
    Metric("recovery_s", "s", 2.0, ratio=False),
    Metric("aws_calls_per_saga", "", 0.03),
    Metric("cpu_ms_per_saga", "ms", 0.03),
)
"""Anomalies are not among them: a run that has any is no baseline, and fails without one."""


@dataclass(frozen=True)
class Row:
    """One figure of one topology. ``center``: the median of ``n`` runs of the baseline; ``interval``: where one more of them
    would lie."""

    topology: str
    metric: Metric
    observed: float | None
    center: float | None
    n: int
    interval: Interval | None
    change: Change
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """To the baseline's median; ``None`` for a share, whose difference tells more."""
        return self.observed / self.center if self.metric.ratio and self.observed is not None and self.center else None


@dataclass(frozen=True)
class Compared:
    """All figures, and whether the machines are alike: if not, figures are advisory, and nothing follows from them."""

    report: Report
    baseline: Baseline
    unlike: dict[str, tuple[str, str]]
    """What differs of the machines: here, and there."""
    rows: tuple[Row, ...]

    @property
    def advisory(self) -> bool:
        """Nothing follows from the figures."""
        return bool(self.unlike)

    @property
    def exit_code(self) -> int:
        """1 for a run that failed or a figure that got worse, 3 for what is not known, 0 otherwise. Advisory figures decide nothing."""
        verdict = self.report.judgement.verdict
        changes = set() if self.advisory else {row.change for row in self.rows}
        if verdict is RunVerdict.FAIL or Change.WORSE in changes:
            return EXIT_FAIL
        if verdict is RunVerdict.INCONCLUSIVE or Change.UNKNOWN in changes or not self.rows:
            return EXIT_INCONCLUSIVE
        return EXIT_PASS


def compare(report: Report, baselines: Sequence[Baseline], name: str) -> Compared:
    """Hold a run against the baseline of its settings, and of its kind of machine if there is one; itself does not count there.

    Raises ``UsageError`` where no other run of these settings was saved, with what the nearest one differs in.
    """
    asked, here = settings_of(report.run), machine_of(report.run)
    same = [_without(report.run, each) for each in baselines if each.settings == asked]
    if not same:
        raise UsageError(_refused(report.run, asked, baselines, name))
    same = [each for each in same if each.runs]
    if not same:
        raise UsageError([Problem("--name", name, f"a baseline with more runs like {report.run.run_id} than itself")])
    # Of unlike machines the least unlike, of these the one that was used last.
    best = min(sorted(same, key=_last, reverse=True), key=lambda each: len(_differing(here, each.machine)))
    unlike = _differing(here, best.machine)
    return Compared(report, best, unlike, _rows(report, best))


def _without(run: RunFile, baseline: Baseline) -> Baseline:
    others = tuple(each for each in baseline.runs if each.run_id != run.run_id)
    return msgspec.structs.replace(baseline, runs=others)


def _last(baseline: Baseline) -> str:
    return max((run.started_at for run in baseline.runs), default="")


def _differing(here: dict[str, str], there: dict[str, str]) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys([*here, *there])
    told = {name: (here.get(name, "-"), there.get(name, "-")) for name in names}
    return {name: values for name, values in told.items() if values[0] != values[1]}


def _refused(run: RunFile, asked: dict[str, str], baselines: Sequence[Baseline], name: str) -> list[Problem]:
    if not baselines:
        return [Problem("--name", name, "a baseline that was saved: sagastorm baseline save RUN...")]
    nearest = min((_differing(asked, each.settings) for each in baselines), key=len)
    return [
        Problem(f"{field} of {run.run_id}", here, f"baseline {name} has no run with it; the nearest has {there!r}")
        for field, (here, there) in nearest.items()
    ]


def _rows(report: Report, baseline: Baseline) -> tuple[Row, ...]:
    wanted = [
        (topology, metric, values)
        for topology in report.data.topologies
        for metric in METRICS
        if (values := _values(baseline, topology, metric))
    ]
    alpha = FALSE_ALARMS / max(1, len(wanted))
    return tuple(
        _row(topology, metric, values, figure(report.run, metric.path, report.data.complete(topology)), alpha)
        for topology, metric, values in wanted
    )


def _values(baseline: Baseline, topology: str, metric: Metric) -> list[float]:
    found = (run.figures.get(topology, {}).get(metric.path) for run in baseline.runs)
    return [value for value in found if value is not None and not (metric.ratio and value <= 0)]


def _row(topology: str, metric: Metric, values: list[float], made: Figure, alpha: float) -> Row:
    n, center = len(values), median(values)
    interval = expected(values, alpha, metric.least, ratio=metric.ratio) if n >= MIN_RUNS else None
    # Watched for so long and not seen: the figure is at least that.
    observed = made.longer_than_s if isinstance(made, Missing) else made
    change, why = _change(metric, made, interval, n)
    return Row(topology, metric, observed, center, n, interval, change, why)


def _change(metric: Metric, made: Figure, interval: Interval | None, n: int) -> tuple[Change, str]:
    observed = made.longer_than_s if isinstance(made, Missing) else made
    if interval is None:
        return Change.UNKNOWN, f"{n} run{'s' * (n > 1)} saved; to know the spread takes {MIN_RUNS}"
    if observed is not None and observed > interval.high:
        return (Change.BETTER if metric.lower_is_worse else Change.WORSE), ""
    if isinstance(made, Missing):
        return Change.UNKNOWN, made.why
    if made < interval.low:
        return (Change.WORSE if metric.lower_is_worse else Change.BETTER), ""
    return Change.NONE, ""
