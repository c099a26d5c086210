"""The same seed is the same world: every delivery, commit, reply and fault, at the same time and in the same order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.properties.digests import digests
from tests.properties.plans import drawn
from tests.world.world import HEALTHY, World

SEEDS = range(8)


def test_same_seed_gives_the_same_digest_twice_in_one_process() -> None:
    assert digests(SEEDS) == digests(SEEDS)


@pytest.mark.parametrize("hash_seed", ["1", "31337"])
def test_same_seed_gives_the_same_digest_in_a_process_that_hashes_otherwise(hash_seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.properties.digests", *map(str, SEEDS)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )
    assert told.stdout.split() == digests(SEEDS)


def test_every_seed_and_every_topology_has_a_digest_of_its_own() -> None:
    found = digests(SEEDS)
    assert len(set(found)) == len(found) == len(SEEDS) * len(HEALTHY)


def test_digest_tells_worlds_apart_that_differ_in_the_time_of_one_event_only() -> None:
    worlds = [World(HEALTHY["choreographed"], drawn(0)) for _ in range(2)]
    for world in worlds:
        world.run()
    last = worlds[1].trace.lines[-1]
    worlds[1].trace.lines[-1] = type(last)(last.t_s + 0.001, last.saga_id, last.what)
    assert worlds[0].trace.digest() != worlds[1].trace.digest()
