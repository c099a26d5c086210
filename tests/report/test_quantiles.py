"""Quantiles are exact, and there are none where the samples do not carry them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.report.quantiles import QUANTILES, quantile, samples_needed


@pytest.mark.parametrize(("q", "needed"), [(0.5, 2), (0.95, 20), (0.99, 100), (0.999, 1000)])
def test_a_quantile_needs_samples_enough_for_one_to_lie_beyond_it(q: float, needed: int) -> None:
    assert samples_needed(q) == needed
    assert quantile(np.arange(needed - 1, dtype=float), q) is None
    assert quantile(np.arange(needed, dtype=float), q) is not None


def test_a_quantile_is_a_value_that_occurred() -> None:
    values = np.array([float(value) for value in range(1, 101)])
    assert {name: quantile(values, q) for name, q in QUANTILES.items()} == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
