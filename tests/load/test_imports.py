"""What a load process does not carry: it shares the machine with the system that it loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.load.bench import ROOT, SCENARIOS

IMPORTED = """
import json, sys
import scenarios.{scenario}
from harness import registry
registry.saga("create-order")
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("scenario", sorted(path.stem for path in SCENARIOS.glob("[!_]*.py")))
def test_a_scenario_and_its_saga_import_neither_the_aws_clients_nor_the_chaos(scenario: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(scenario=scenario)], cwd=ROOT, capture_output=True, check=True
    )
    modules = set(json.loads(answer.stdout))
    assert f"scenarios.{scenario}" in modules
    assert modules & {"aioboto3", "aiobotocore", "boto3", "botocore", "aiohttp", "chaos", "harness.deployment"} == set()
