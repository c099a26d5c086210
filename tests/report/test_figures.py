"""Figures from the client's rows: what they count, and when there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.report.figures import (
    Figure,
    Missing,
    compensation_rate,
    completion_quantile,
    outcomes,
    throughput_per_s,
)
from tests.report.small import block, saga, sagas


def why(figure: Figure) -> str:
    assert isinstance(figure, Missing)
    return figure.why


def test_completion_quantiles_pool_all_blocks_of_a_topology() -> None:
    blocks = [block(0, rows=sagas(50, took_ms=100.0)), block(3, rows=sagas(50, took_ms=300.0))]
    assert completion_quantile(blocks, "p50", 0.5) == 100.0
    assert completion_quantile(blocks, "p99", 0.99) == 300.0


def test_a_quantile_without_enough_sagas_says_how_many_it_needs() -> None:
    assert why(completion_quantile([block(rows=sagas(99))], "p99", 0.99)) == "99 sagas ended, p99 needs 100"


def test_throughput_leaves_out_what_ended_in_the_drain() -> None:
    rows = [saga(0, 1.0), saga(1, 19.9, 100.0), saga(2, 19.9, 101.0), saga(3, 5.0, None)]
    assert throughput_per_s([block(rows=rows)]) == 2 / 20


def test_every_arrival_is_counted_under_what_became_of_it() -> None:
    rows = [
        saga(0, 0.0),
        saga(1, 1.0, outcome="compensated"),
        saga(2, 2.0, None),
        saga(3, 3.0, None, status="error", saga_id=None),
        saga(4, 4.0, None, status="rejected", saga_id=None),
        saga(5, 5.0, None, status="dropped", saga_id=None, sent_s=None),
    ]
    counts = outcomes([block(rows=rows)])
    assert counts is not None
    assert (counts.scheduled, counts.dropped, counts.rejected, counts.errors, counts.accepted) == (6, 1, 1, 1, 3)
    assert (counts.completed, counts.compensated, counts.unresolved) == (1, 1, 2)
    assert compensation_rate([block(rows=rows)]) == 0.5


def test_a_rate_of_nothing_is_no_rate() -> None:
    assert why(compensation_rate([block(rows=[saga(0, 0.0, None)])])) == "no saga ended"


@pytest.mark.parametrize("figure", [throughput_per_s, compensation_rate])
def test_without_a_complete_block_nothing_is_measured(figure: Callable[[list[object]], Figure]) -> None:
    assert why(figure([])) == "no block of this topology ran to its end"
