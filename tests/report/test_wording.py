"""How figures are written."""

from __future__ import annotations

import pytest

from harness.report.wording import measured, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012, "0.012 ms"),
        (0.05, "0.050 ms"),
        (0.46, "0.46 ms"),
        (1.9, "1.90 ms"),
        (61.5, "61.5 ms"),
        (1746.2, "1,746 ms"),
    ],
)
def test_a_figure_has_two_significant_digits_at_least(value: float, text: str) -> None:
    assert measured(value, "ms") == text


def test_nothing_is_a_plain_nought() -> None:
    assert (measured(0.0, "ms"), signed(0.0, "/s")) == ("0 ms", "0/s")
