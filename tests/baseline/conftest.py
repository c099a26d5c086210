"""One small run that all baselines are made from."""

from __future__ import annotations

import pytest

from harness.report.model import Report
from harness.report.run_data import RunData
from tests.baseline.runs import six
from tests.report import synthetic_run


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """Both topologies, one block each, nothing wrong."""
    spec = synthetic_run.Spec(interleave="AB", restart_in_block=None)
    return synthetic_run.read(synthetic_run.build(tmp_path_factory.mktemp("run"), spec))


@pytest.fixture(scope="package")
def reports(data: RunData) -> list[Report]:
    """Of six days."""
    return [*six(data)]
