"""The bench that the load generator's tests run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.load.bench import Bench

ENTRY_POINTS = """\
[sagastorm.sagas]
create-order = harness.sagas.create_order:SAGA
other-order = harness.sagas.create_order:SAGA
broken-order = load_test_plugin:BROKEN
[sagastorm.topologies]
orchestrated = harness.topologies.orchestrated:TOPOLOGY
"""

MODULE = """\
from dataclasses import replace
from harness.sagas.create_order import SAGA, OrderWorkload

class Broken(OrderWorkload):
    def request(self, arrival):
        raise ValueError("no basket to be had")

BROKEN = replace(SAGA, workload=Broken)
"""


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Entry points of a package of somebody else's, which brings sagas of its own: one works."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "load_test_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: load-test-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "load_test_plugin.py").write_text(MODULE)
    return folder


@pytest.fixture
def bench(tmp_path: Path, plugin: Path) -> Iterator[Bench]:
    """A bench, cleared afterwards."""
    with ExitStack() as stack:
        yield Bench(tmp_path, plugin, stack)
