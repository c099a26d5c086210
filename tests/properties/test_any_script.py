"""Whatever goes wrong, wherever: Hypothesis looks for a world that is unsafe or comes to no end, and makes it small."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from tests.planted_bugs.participant_bugs import PARTICIPANT_BUGS
from tests.planted_bugs.topology_bugs import TOPOLOGY_BUGS
from tests.properties.plans import TIMES
from tests.properties.properties import watched
from tests.properties.scripts import KINDS, TOPOLOGIES, Try, tries
from tests.world.world import HEALTHY

BUGS = {bug.name: bug for bug in (*PARTICIPANT_BUGS, *TOPOLOGY_BUGS)}
SETTINGS = settings(
    max_examples=400 * TIMES,
    derandomize=TIMES == 1,  # more of the same would find no more
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@SETTINGS
@given(attempt=tries(), topology=TOPOLOGIES)
def test_healthy_world_is_safe_at_every_moment_and_ends_once_faults_have_stopped(attempt: Try, topology: str) -> None:
    watch = watched(HEALTHY[topology], attempt.plan)
    assert not watch.flaws, watch.story()


def test_mishaps_strike_as_a_rule() -> None:
    """A property over worlds in which nothing happens would hold."""
    struck: Counter[str] = Counter()

    @settings(SETTINGS, max_examples=100, phases=[Phase.generate], derandomize=True)
    @given(attempt=tries(), topology=TOPOLOGIES)
    def try_one(attempt: Try, topology: str) -> None:
        kinds = {occasion.kind for occasion in watched(HEALTHY[topology], attempt.plan).world.trace.struck}
        struck.update([*kinds, "worlds"] if kinds else [])

    try_one()
    assert struck["worlds"] >= 50
    assert struck.keys() == {*KINDS, "worlds"} - {"late duplicate"}


@pytest.mark.parametrize(
    ("bug", "topology", "mishaps"),
    [
        ("refunds-half", "orchestrated", 0),
        ("idempotency-off", "choreographed", 1),
        ("duplicate-not-answered", "choreographed", 1),
        ("timeout-not-caught", "orchestrated", 1),
        ("no-tombstone", "orchestrated", 1),
    ],
)
def test_counterexample_shrinks_to_one_saga_and_tells_its_life_in_words(bug: str, topology: str, mishaps: int) -> None:
    planted = BUGS[bug]
    parts = planted.plant(HEALTHY[topology])
    smallest = find(
        tries(saga="create-order"),
        lambda attempt: bool(watched(parts, attempt.plan).flaws),
        settings=settings(SETTINGS, max_examples=1000, derandomize=True),
    )
    watch = watched(parts, smallest.plan)
    story = watch.story()

    assert (smallest.sagas, len(smallest.mishaps)) == (1, mishaps)
    assert any(f" {name}: saga s-0000: " in story for name in planted.anomalies)
    assert watch.world.trace.struck or not mishaps
    assert all(f"! {occasion}" in story for occasion in watch.world.trace.struck)
    assert "s-0000  create: done" in story
    assert len(story.splitlines()) < 60
