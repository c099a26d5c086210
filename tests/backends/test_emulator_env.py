"""The embedded emulator's environment; how any is built is in ``test_environment.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.backends import emulator_env
from harness.core.errors import EnvironmentFailure

ROOT = Path(__file__).parents[2]


def test_the_emulator_has_its_own_variable_lock_and_command() -> None:
    ours = emulator_env.ENVIRONMENT
    assert ours.locks == (emulator_env.LOCK,)
    assert ours.home({"SAGASTORM_EMULATOR_HOME": "/elsewhere"}) == Path("/elsewhere")
    assert ours.home({}).name.startswith("ministack-")
    with pytest.raises(EnvironmentFailure, match=r"make emulator \(python -m harness\.backends\.emulator_env\)"):
        ours.run(["/nonexistent/python"])


def test_the_module_that_make_runs_is_not_imported_before_it_runs() -> None:
    script = (
        "import sys, harness.backends, harness.backends.embedded; print('harness.backends.emulator_env' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
