"""Which differences a report leads with."""

from __future__ import annotations

import pytest

from harness.report.compare import Comparison, Difference, Interval
from harness.report.tables import headlines, lead


def difference(metric: str, low: float, high: float, *, measured: bool = True) -> Difference:
    """A ratio, or the points of a share, with its interval; clear where that leaves out "none"."""
    if not measured:
        return Difference(metric, "ms", None, None, why="too few")
    middle = (low + high) / 2
    if metric == "compensation rate":
        return Difference(metric, "%", 0.1, 0.1 + middle, middle, Interval(low, high), by_round=(middle,))
    moved = Interval(100 * (low - 1), 100 * (high - 1))
    return Difference(
        metric, "ms", 100.0, 100 * middle, 100 * (middle - 1), moved, middle, Interval(low, high), (middle,)
    )


def comparison(**bounds: tuple[float, float] | None) -> Comparison:
    """Nothing differs but for ``bounds``; ``None``: not measured."""
    metrics = ("completion p50", "completion p95", "completion p99", "compensation rate", "throughput")
    found = []
    for metric in metrics:
        none = (-0.1, 0.1) if metric == "compensation rate" else (0.9, 1.1)
        given = bounds.get(metric.replace("completion ", "").replace(" ", "_"), none)
        found.append(difference(metric, *(given or none), measured=given is not None))
    return Comparison("a", "b", (0,), 10, 5.0, tuple(found))


@pytest.mark.parametrize(
    ("bounds", "titles"),
    [
        ({}, ["completion p50", "completion p99", "throughput"]),
        ({"p99": None}, ["completion p50", "completion p95", "throughput"]),
        ({"p95": (1.2, 1.4)}, ["completion p95", "completion p50", "throughput"]),
        ({"p95": (1.2, 1.4), "p99": (1.3, 2.0)}, ["completion p99", "completion p50", "throughput"]),
        ({"compensation_rate": (0.02, 0.1)}, ["compensation rate", "completion p50", "completion p99"]),
        ({"throughput": (0.5, 0.6), "p50": (1.1, 1.2)}, ["throughput", "completion p50", "completion p99"]),
        (
            {"throughput": (0.5, 0.6), "p50": (1.05, 9.0), "p99": (2.0, 9.0), "compensation_rate": (-0.3, -0.2)},
            ["completion p99", "throughput", "compensation rate"],
        ),
    ],
)
def test_clear_differences_come_first_the_largest_that_is_certain_before_the_others(
    bounds: dict[str, tuple[float, float] | None], titles: list[str]
) -> None:
    assert [headline.title for headline in headlines(comparison(**bounds))] == titles


def test_the_lead_names_what_differs_clearly_and_counts_what_was_compared() -> None:
    assert lead(comparison()) == "None of the 5 figures that could be compared differs clearly."
    assert lead(comparison(p50=(1.2, 1.4), p99=None)) == (
        "Of 4 figures that could be compared, 1 differs clearly: completion p50."
    )
    assert lead(Comparison("a", "b", (), 0, 5.0, (difference("throughput", 0, 0, measured=False),))) == (
        "Nothing could be compared."
    )
