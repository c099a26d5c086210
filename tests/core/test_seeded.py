"""Seeded numbers: the same answer to the same question, whoever asks, whenever, in whatever order."""

from __future__ import annotations

import pytest

from harness.core.seeded import uniform

KEYS = [("fault", arrival, step) for arrival in range(500) for step in ("charge", "reserve")]


def test_number_is_the_same_on_every_machine_and_for_ever() -> None:
    assert uniform(1, "fault", "request-lost", 7, "charge", "0.1") == 0.5025681728364667


def test_numbers_lie_in_the_unit_interval_and_fill_it() -> None:
    numbers = [uniform(3, *key) for key in KEYS]
    assert min(numbers) >= 0
    assert max(numbers) < 1
    tenths = [sum(number * 10 // 1 == tenth for number in numbers) for tenth in range(10)]
    assert min(tenths) > 60, f"of 1,000 numbers about 100 belong into each tenth: {tenths}"
    assert max(tenths) < 140, f"of 1,000 numbers about 100 belong into each tenth: {tenths}"


def test_number_does_not_depend_on_what_was_asked_before() -> None:
    forward = {key: uniform(5, *key) for key in KEYS}
    backward = {key: uniform(5, *key) for key in reversed(KEYS)}
    assert forward == backward


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param((1, "a"), (2, "a"), id="another seed"),
        pytest.param((1, "a"), (1, "b"), id="another key"),
        pytest.param((1, "ab", "c"), (1, "a", "bc"), id="another cut between the parts"),
        pytest.param((12, "3"), (1, "23"), id="another cut between seed and key"),
        pytest.param((1, "a", ""), (1, "a"), id="one more part"),
    ],
)
def test_another_question_has_another_answer(one: tuple[int, str], other: tuple[int, str]) -> None:
    assert uniform(*one) != uniform(*other)
