"""The auditor's own test: every planted bug is found and named, and its cured twin comes out clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.verdict import Verdict
from tests.planted_bugs.participant_bugs import PARTICIPANT_BUGS
from tests.planted_bugs.planted import BITTEN, PlantedBug
from tests.planted_bugs.topology_bugs import TOPOLOGY_BUGS
from tests.world.chronicle import audit_world
from tests.world.world import HEALTHY, World

CASES = [
    pytest.param(bug, topology, id=f"{bug.name}-{topology}")
    for bug in (*PARTICIPANT_BUGS, *TOPOLOGY_BUGS)
    for topology in bug.topologies
]


@pytest.mark.parametrize(("bug", "topology"), CASES)
def test_planted_bug_is_found_and_named(bug: PlantedBug, topology: str, tmp_path: Path) -> None:
    world = World(bug.plant(HEALTHY[topology]), bug.plan)
    world.run()
    audit = audit_world(world, tmp_path, topology)

    assert world.fired[BITTEN] > 0, "the bug never had a chance to do harm"
    assert {anomaly.name for anomaly in audit.anomalies} == bug.anomalies
    assert audit.verdict is Verdict.INVALID
    for anomaly in audit.anomalies:
        assert anomaly.count > 0
        assert set(anomaly.sagas) <= world.arrival_of.keys()
        assert anomaly.sagas[0] in anomaly.witness
        assert "expected" in anomaly.witness


@pytest.mark.parametrize(("bug", "topology"), CASES)
def test_cured_twin_comes_out_clean_in_the_same_trouble(bug: PlantedBug, topology: str, tmp_path: Path) -> None:
    world = World(HEALTHY[topology], bug.plan)
    world.run()
    audit = audit_world(world, tmp_path, topology)

    assert bug.occasions(world) > 0, "the trouble that brings the bug out never came up"
    assert audit.anomalies == []
    assert audit.verdict is Verdict.VALID
    assert world.drained
