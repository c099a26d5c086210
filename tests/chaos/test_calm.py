"""With no storm, chaos is not in the path of a worker: it is not even imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WORKER = """
import sys
from types import SimpleNamespace
from harness.worker.main import _faults

def inner(): ...

storm = {{"name": "s", "description": "", "faults": {faults}}}
spec = SimpleNamespace(storm=storm, seed=1, workers=1, spool_dir="nowhere")
steering = SimpleNamespace(now_s=lambda: 0.0)
metrics = SimpleNamespace(begin_faults=list)
wrap = _faults(spec, "w", steering, None, metrics)
ports = [wrap.work(inner), wrap.process(inner, None), wrap.reply(inner)]
print(wrap.transport is None, *(port is inner for port in ports), "chaos" in sys.modules)
"""
OVERLOAD = {
    "name": "f",
    "kind": "overload",
    "probability": 1.0,
    "start_s": 0.0,
    "end_s": 1.0,
    "options": {"actions_per_s": 1},
}


@pytest.mark.parametrize(
    ("faults", "printed"),
    [
        pytest.param([], "True True True True False", id="calm"),
        pytest.param([OVERLOAD], "False False False False True", id="a storm"),
    ],
)
def test_ports_are_wrapped_and_chaos_is_imported_only_in_a_storm(faults: list[object], printed: str) -> None:
    worker = subprocess.run(
        [sys.executable, "-c", WORKER.format(faults=faults)],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    assert worker.stdout.strip() == printed
