"""The plugin with runs that are really made: one to its end, one that a person stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

TESTS = """
import pytest
pytestmark = pytest.mark.storm("calm", topology="orchestrated", rate=5, duration=8, interleave="A")

def test_nothing_was_lost(saga_run):
    assert saga_run.audit.valid
    assert saga_run.report_path.is_file()

def test_it_was_fast_enough(saga_run):
    assert saga_run.p50_ms < 10_000
"""
GONE_WITHIN_S = 60.0


def pytest_of(folder: Path) -> subprocess.Popen[str]:
    """A pytest of its own, in a process group of its own, as a terminal would have it."""
    (folder / "test_it.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nsagastorm_inconclusive = xfail\n", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-rA", "-s", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_figures_of_a_real_run_are_asserted(tmp_path: Path) -> None:
    with pytest_of(tmp_path) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == pytest.ExitCode.OK, output
    assert "PASSED test_it.py::test_nothing_was_lost" in output
    # On a machine that others keep busy its times are nothing to go by.
    assert "PASSED test_it.py::test_it_was_fast" in output or "XFAIL test_it.py::test_it_was_fast" in output
    assert [path.suffix for path in (tmp_path / "runs" / "pytest").glob("*/report.html")] == [".html"]


def test_a_ctrl_c_ends_the_run_and_leaves_no_process_behind(tmp_path: Path) -> None:
    with pytest_of(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Block 1"):
                break
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        output = process.stdout.read()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert started
    _, left = psutil.wait_procs(started, GONE_WITHIN_S)
    assert left == []
