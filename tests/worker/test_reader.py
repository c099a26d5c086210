"""Messages are read once they are trusted, and counted by the layer that sent them."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from harness.core.identity import issue
from harness.measure.metrics import Metrics
from harness.topologies.base import Delivery
from harness.worker.processing import MAX_BODY_CHARACTERS, Reader, Unreadable
from tests.samples import AUDIENCE, KEY, delivery, envelope

GOOD = issue(KEY, "ann", AUDIENCE)


class FakeConnection:
    """Reads any body as one delivery, or fails to."""

    def __init__(self, identity: str = GOOD, retry: int | None = None, error: Exception | None = None) -> None:
        self._identity = identity
        self._retry = retry
        self._error = error

    def read(self, participant: str, body: str, receives: int) -> Delivery:
        if self._error:
            raise self._error
        return delivery(
            participant=participant, envelope=envelope(identity=self._identity), retry=self._retry, receives=receives
        )


class Bench:
    def __init__(self, connection: FakeConnection) -> None:
        self._registry = CollectorRegistry()
        self.read = Reader(connection, Metrics(self._registry, topology="t", saga="s"), KEY, AUDIENCE)

    def tries(self, layer: str) -> tuple[float | None, float | None]:
        """(attempts, retries)."""
        labels = {"topology": "t", "saga": "s", "layer": layer}
        return (
            self._registry.get_sample_value("sagastorm_attempts_total", labels),
            self._registry.get_sample_value("sagastorm_retries_total", labels),
        )


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param(issue(KEY + "!", "ann", AUDIENCE), id="signed by somebody else"),
        pytest.param(issue(KEY, "ann", "another-block"), id="for another block"),
        pytest.param("", id="missing"),
    ],
)
def test_message_in_a_name_that_is_not_proven_is_unreadable_and_counts_for_nothing(identity: str) -> None:
    bench = Bench(FakeConnection(identity))
    with pytest.raises(Unreadable):
        bench.read("payment", "body", 1)
    assert bench.tries("delivery") == (None, None)


def test_message_whose_caller_s_token_has_expired_meanwhile_is_carried_out_all_the_same() -> None:
    bench = Bench(FakeConnection(issue(KEY, "ann", AUDIENCE, lifetime_s=-1)))
    assert bench.read("payment", "body", 1)


def test_copy_that_a_fault_made_counts_in_no_layer() -> None:
    bench = Bench(FakeConnection(issue(KEY, "ann", AUDIENCE)))
    assert bench.read("payment", "body", 1, is_copy=True).is_copy
    assert bench.tries("delivery") == (None, None)
    assert bench.tries("stepfunctions") == (None, None)


def test_copy_that_the_queue_delivers_again_is_a_retry_of_the_queue_s() -> None:
    bench = Bench(FakeConnection())
    bench.read("payment", "body", 2, is_copy=True)
    assert bench.tries("delivery") == (1, 1)


def test_poison_that_the_queue_delivers_again_and_again_shows_as_retries() -> None:
    bench = Bench(FakeConnection(error=msgspec.DecodeError("no JSON")))
    for receives in (1, 2, 3):
        with pytest.raises(Unreadable):
            bench.read("payment", "body", receives, is_copy=True)
    assert bench.tries("delivery") == (2, 2)


@pytest.mark.parametrize("error", [msgspec.DecodeError("no JSON"), msgspec.ValidationError("no"), KeyError("event")])
def test_message_that_asks_for_nothing_known_is_unreadable(error: Exception) -> None:
    with pytest.raises(Unreadable):
        Bench(FakeConnection(error=error)).read("payment", "body", 1)


def test_message_that_is_too_large_is_not_even_looked_at() -> None:
    bench = Bench(FakeConnection())
    assert bench.read("payment", "x" * MAX_BODY_CHARACTERS, 1)
    with pytest.raises(Unreadable, match="65537 characters"):
        bench.read("payment", "x" * (MAX_BODY_CHARACTERS + 1), 1)
    assert bench.tries("delivery") == (1, 0)


def test_deliveries_are_counted_and_those_beyond_the_first_are_retries() -> None:
    bench = Bench(FakeConnection())
    for receives in (1, 2, 3):
        assert bench.read("payment", "body", receives).receives == receives
    assert bench.tries("delivery") == (3, 2)
    assert bench.tries("stepfunctions") == (None, None)


def test_commands_are_counted_once_however_often_they_are_delivered() -> None:
    bench = Bench(FakeConnection(retry=1))
    for receives in (1, 2):
        bench.read("payment", "body", receives)
    assert bench.tries("stepfunctions") == (1, 1)
    assert bench.tries("delivery") == (2, 1)


def test_first_command_is_no_retry() -> None:
    bench = Bench(FakeConnection(retry=0))
    bench.read("payment", "body", 1)
    assert bench.tries("stepfunctions") == (1, 0)
