"""How long a failed message is left alone."""

from __future__ import annotations

import pytest

from harness.aws.clients import MAX_ATTEMPTS, READ_TIMEOUT_S
from harness.topologies.policy import RetryPolicy

POLICY = RetryPolicy(interval_s=1, backoff_rate=2.0, max_delay_s=8)
ALMOST_ONE = 0.999


@pytest.mark.parametrize(("failures", "ceiling_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (10, 8)])
def test_delay_lies_between_nothing_and_a_ceiling_that_doubles_up_to_its_limit(failures: int, ceiling_s: int) -> None:
    assert POLICY.delay_s(failures, 0.0) == 0
    assert POLICY.delay_s(failures, 0.5) == round(ceiling_s / 2)
    assert POLICY.delay_s(failures, ALMOST_ONE) == ceiling_s


def test_message_stays_invisible_for_longer_than_the_sdk_tries_one_write() -> None:
    sdk_backoff_s = sum(2**retry for retry in range(MAX_ATTEMPTS - 1))
    assert RetryPolicy().visibility_timeout_s > MAX_ATTEMPTS * READ_TIMEOUT_S["dynamodb"] + sdk_backoff_s
