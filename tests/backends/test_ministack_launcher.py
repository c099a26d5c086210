"""The launcher: executions start without their sleep, and what was patched and what was not is reported."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from harness.backends import ministack_launcher as launcher
from tests.backends.conftest import Importer

STEPFUNCTIONS = """
import time

def _run_execution(exec_arn):
    time.sleep(0.15)
    return "ran " + exec_arn

def _scaled_sleep(seconds):
    time.sleep(seconds)
"""


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The virtual clock: every real sleep is noted and none is slept."""
    noted: list[float] = []
    monkeypatch.setattr(time, "sleep", noted.append)
    return noted


# --- execution-start ------------------------------------------------------------------------------------------------


def test_an_execution_starts_without_its_sleep(imported: Importer, slept: list[float]) -> None:
    stepfunctions = imported("stepfunctions", STEPFUNCTIONS)
    stepfunctions._run_execution("before")
    launcher.remove_execution_start_delay(stepfunctions)
    assert stepfunctions._run_execution("after") == "ran after"
    assert slept == [0.15]


def test_a_wait_of_the_very_same_length_is_still_waited(imported: Importer, slept: list[float]) -> None:
    stepfunctions = imported("stepfunctions", STEPFUNCTIONS)
    launcher.remove_execution_start_delay(stepfunctions)
    stepfunctions._scaled_sleep(0.15)
    assert slept == [0.15]


def test_the_rest_of_the_time_module_is_untouched(imported: Importer) -> None:
    stepfunctions = imported("stepfunctions", STEPFUNCTIONS)
    launcher.remove_execution_start_delay(stepfunctions)
    assert stepfunctions.time is not time
    assert stepfunctions.time.monotonic is time.monotonic


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (STEPFUNCTIONS.replace("0.15", "0.3"), "no longer sleeps 0.15 s once"),
        (STEPFUNCTIONS.replace("    time.sleep(0.15)\n", ""), "no longer sleeps 0.15 s once"),
        (STEPFUNCTIONS.replace("time.sleep(0.15)", "time.sleep(0.15); time.sleep(2)"), "no longer sleeps 0.15 s once"),
        (STEPFUNCTIONS.replace("time.sleep(0.15)", "clock.sleep(0.15)"), "by another name"),
        (STEPFUNCTIONS.replace("_run_execution", "_walk"), "there is no _run_execution"),
        (STEPFUNCTIONS.replace("import time", "import types as time"), "not the time module"),
    ],
)
def test_other_executions_are_left_as_they_are(imported: Importer, source: str, why: str) -> None:
    stepfunctions = imported("stepfunctions", source)
    before = dict(vars(stepfunctions))
    with pytest.raises(launcher.UnexpectedSource, match=why):
        launcher.remove_execution_start_delay(stepfunctions)
    assert vars(stepfunctions) == before


# --- what is reported -----------------------------------------------------------------------------------------------


def test_patches_are_reported_by_name_and_those_left_out_with_their_reason(imported: Importer) -> None:
    good, bad = imported("good", STEPFUNCTIONS), imported("bad", "import time")
    patched, not_patched = launcher.patch_all(
        [
            ("first", lambda: launcher.remove_execution_start_delay(good)),
            ("second", lambda: launcher.remove_execution_start_delay(bad)),
        ]
    )
    assert (patched, not_patched) == (["first"], ["second: there is no _run_execution"])


def test_a_report_is_never_read_half(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    launcher.write_report(path, {"port": 1})
    assert json.loads(path.read_text()) == {"port": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]
