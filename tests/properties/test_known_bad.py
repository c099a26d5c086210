"""The properties' own test: every planted bug breaks them within a stated number of seeds, the healthy world never does.

The second column of the table was measured: the share of 100 seeds on which a bug is found and named. The bound is the number of
seeds on which a bug of that share would be overlooked with a chance of about 1 in 10,000, but at least 2; so it holds
with a margin, also where a change of the worlds gives every seed another world.
"""

from __future__ import annotations

import pytest

from tests.planted_bugs.participant_bugs import PARTICIPANT_BUGS
from tests.planted_bugs.topology_bugs import TOPOLOGY_BUGS
from tests.properties.plans import TIMES, drawn
from tests.properties.properties import watched
from tests.world.world import HEALTHY

BUGS = {bug.name: bug for bug in (*PARTICIPANT_BUGS, *TOPOLOGY_BUGS)}
CH, OR = "choreographed", "orchestrated"
FAILING_AND_BOUND = {
    ("idempotency-off", CH): (0.80, 6),
    ("idempotency-off", OR): (0.64, 9),
    ("check-then-act", CH): (1.00, 2),
    ("check-then-act", OR): (0.74, 7),
    ("refund-forgotten", CH): (0.99, 2),
    ("refund-forgotten", OR): (1.00, 2),
    ("refund-twice", CH): (0.76, 7),
    ("refund-twice", OR): (0.82, 6),
    ("refunds-half", CH): (0.99, 2),
    ("refunds-half", OR): (1.00, 2),
    ("refunds-nothing", CH): (0.99, 2),
    ("refunds-nothing", OR): (1.00, 2),
    ("cancellation-not-sent", CH): (0.99, 2),
    ("cancellation-not-sent", OR): (1.00, 2),
    ("no-tombstone", OR): (0.34, 24),
    ("blind-compensation", OR): (0.33, 24),
    ("balance-changed-beside-the-books", CH): (1.00, 2),
    ("balance-changed-beside-the-books", OR): (1.00, 2),
    ("acknowledged-before-commit", CH): (0.93, 4),
    ("duplicate-not-answered", CH): (0.85, 5),
    ("lost-event", CH): (0.94, 4),
    ("forged-request-started", CH): (0.59, 11),
    ("forged-request-started", OR): (0.59, 11),
    ("forged-request-started, beside enough unanswered ones to account for it", CH): (0.59, 11),
    ("forged-request-started, beside enough unanswered ones to account for it", OR): (0.59, 11),
    ("rejected-before-refunded, by its routes", CH): (1.00, 2),
    ("rejected-before-refunded, by its states", OR): (0.85, 5),
    ("confirmed-despite-refusal", CH): (0.99, 2),
    ("always-tells-completed", OR): (1.00, 2),
    ("released-after-approval", CH): (1.00, 2),
    ("slow-approval-compensated", OR): (0.42, 17),
    ("timeout-not-caught", OR): (0.89, 5),
    ("timeout-taken-for-a-refusal", OR): (0.88, 5),
}
HEALTHY_SEEDS = 10 * TIMES * max(bound for _, bound in FAILING_AND_BOUND.values())
PARTS = 4
"""Of the seeds, which can be tried beside each other."""


def test_table_names_every_planted_bug_in_each_of_its_topologies() -> None:
    assert FAILING_AND_BOUND.keys() == {(bug.name, topology) for bug in BUGS.values() for topology in bug.topologies}


@pytest.mark.parametrize(
    ("name", "topology", "bound"),
    [
        pytest.param(name, topology, bound, id=f"{name}, {topology}, within {bound} seeds")
        for (name, topology), (_, bound) in FAILING_AND_BOUND.items()
    ],
)
def test_planted_bug_breaks_a_property(name: str, topology: str, bound: int) -> None:
    parts = BUGS[name].plant(HEALTHY[topology])

    def is_named(seed: int) -> bool:
        return any(flaw.name in BUGS[name].anomalies for flaw in watched(parts, drawn(seed)).flaws)

    for first in range(0, bound * TIMES, bound):
        assert any(map(is_named, range(first, first + bound))), f"not on any of {bound} seeds from {first} on"


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("topology", HEALTHY)
def test_healthy_world_breaks_none_on_ten_times_as_many_seeds(topology: str, part: int) -> None:
    for seed in range(part, HEALTHY_SEEDS, PARTS):
        watch = watched(HEALTHY[topology], drawn(seed))
        assert not watch.flaws, f"seed {seed}\n{watch.story()}"
