"""``python -m tests.properties.digests SEED...`` prints the trace digest of each seed's world in each topology."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tests.properties.plans import drawn
from tests.world.world import HEALTHY, World


def digests(seeds: Iterable[int]) -> list[str]:
    """By seed, then by topology."""
    found = []
    for seed in seeds:
        for parts in HEALTHY.values():
            world = World(parts, drawn(seed))
            world.run()
            found.append(world.trace.digest())
    return found


if __name__ == "__main__":
    print("\n".join(digests(map(int, sys.argv[1:]))))
