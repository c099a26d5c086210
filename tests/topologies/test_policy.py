"""How long a failed try is left alone, and what of the policy each mitigation takes away."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from harness.aws.clients import MAX_ATTEMPTS, READ_TIMEOUT_S
from harness.core.mitigations import Mitigations
from harness.topologies.policy import WAITS_AHEAD, DrawnWaits, RetryPolicy

SEED = 7
SAGAS = 2000
FULL = RetryPolicy(interval_s=1, backoff_rate=2.0, max_delay_s=8)


def drawn(failures: int, **changes: Any) -> Counter[int]:
    """How many of many sagas wait how long."""
    policy = msgspec.structs.replace(FULL, **changes)
    return Counter(policy.delay_s(failures, SEED, arrival) for arrival in range(SAGAS))


def test_full_jitter_is_anything_from_nothing_to_a_ceiling_that_doubles_up_to_its_limit() -> None:
    for failures, ceiling_s in {1: 1, 2: 2, 3: 4, 4: 8, 5: 8, 10: 8}.items():
        counts = drawn(failures)
        exact = Counter(round(ceiling_s * n / SAGAS) for n in range(SAGAS))
        assert counts.keys() == exact.keys()
        assert all(counts[wait_s] == pytest.approx(exact[wait_s], rel=0.3) for wait_s in exact)


def test_equal_jitter_is_at_least_half_of_the_ceiling() -> None:
    assert [set(drawn(failures, jitter="equal")) for failures in (1, 2, 3, 4, 9)] == [
        {1}, {1, 2}, {2, 3, 4}, {4, 5, 6, 7, 8}, {4, 5, 6, 7, 8},
    ]  # fmt: skip


def test_decorrelated_jitter_is_at_least_the_interval_and_at_most_three_times_the_wait_before() -> None:
    policy = msgspec.structs.replace(FULL, jitter="decorrelated", interval_s=10, max_delay_s=200)
    for arrival in range(200):
        waits_s = [10, *policy.waits_s(SEED, arrival)]
        for before_s, wait_s in pairwise(waits_s):
            # Each is rounded by itself, the one before by half a second at most.
            assert 10 <= wait_s <= min(200, 3 * before_s + 2)
    assert drawn(1, jitter="decorrelated", interval_s=10, max_delay_s=200).keys() == set(range(10, 31))
    assert max(drawn(8, jitter="decorrelated", interval_s=10, max_delay_s=200)) == 200


def test_decorrelated_jitter_of_a_fixed_backoff_has_no_memory() -> None:
    assert set(drawn(1, jitter="decorrelated", backoff="fixed")) == {1, 2, 3}
    assert set(drawn(9, jitter="decorrelated", backoff="fixed")) == {1, 2, 3}


def test_without_jitter_all_sagas_wait_for_the_whole_ceiling() -> None:
    assert [set(drawn(failures, jitter="none")) for failures in (1, 2, 3, 4, 9)] == [{1}, {2}, {4}, {8}, {8}]


def test_fixed_backoff_does_not_grow() -> None:
    assert [set(drawn(failures, backoff="fixed", jitter="none")) for failures in (1, 2, 9)] == [{1}, {1}, {1}]


@pytest.mark.parametrize("jitter", ["full", "equal", "decorrelated", "none"])
def test_no_backoff_is_no_wait_whatever_the_jitter(jitter: str) -> None:
    assert set(drawn(5, backoff="none", jitter=jitter)) == {0}


@pytest.mark.parametrize("jitter", ["full", "equal", "decorrelated", "none"])
def test_failures_without_a_limit_have_a_wait_too(jitter: str) -> None:
    assert 0 <= msgspec.structs.replace(FULL, jitter=jitter).delay_s(5_000, SEED, 1) <= 8


@pytest.mark.parametrize("jitter", ["full", "equal", "decorrelated"])
def test_wait_is_decided_by_the_seed_the_key_and_the_number_of_failures(jitter: str) -> None:
    policy = msgspec.structs.replace(FULL, jitter=jitter, interval_s=500, max_delay_s=90_000)
    waits_s = policy.waits_s(SEED, 7, "charge")
    assert waits_s == policy.waits_s(SEED, 7, "charge")
    assert len(set(waits_s)) == WAITS_AHEAD
    others = [policy.waits_s(8, 7, "charge"), policy.waits_s(SEED, 8, "charge"), policy.waits_s(SEED, 7, "refund")]
    assert all(set(waits_s).isdisjoint(other) for other in others)


def test_execution_is_told_the_waits_of_its_saga() -> None:
    waits = DrawnWaits(FULL, SEED)
    assert waits.of(7) == [FULL.delay_s(failures, SEED, "execution", 7) for failures in range(1, WAITS_AHEAD + 1)]
    assert len({tuple(waits.of(arrival)) for arrival in range(100)}) > 90


def test_message_stays_invisible_for_longer_than_the_sdk_tries_one_write() -> None:
    sdk_backoff_s = sum(2**retry for retry in range(MAX_ATTEMPTS - 1))
    assert RetryPolicy().visibility_timeout_s > MAX_ATTEMPTS * READ_TIMEOUT_S["dynamodb"] + sdk_backoff_s


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({}, {}),
        ({"backoff": "fixed", "jitter": "equal"}, {"backoff": "fixed", "jitter": "equal"}),
        ({"attempt_limit": "off"}, {"max_tries": None, "max_receives": None}),
        ({"dead_letter_queue": "off"}, {"max_receives": None}),
        ({"step_timeout": "off"}, {"step_timeout_s": None}),
        ({"redrive": "off", "sweeper": "off"}, {}),
    ],
)
def test_mitigation_that_is_off_takes_its_part_of_the_policy_with_it(
    changed: dict[str, Any], left: dict[str, Any]
) -> None:
    assert RetryPolicy.of(Mitigations(**changed)) == RetryPolicy(**left)
