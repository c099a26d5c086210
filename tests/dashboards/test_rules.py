"""The rules that Prometheus is given, by its own tool: each is tested, and each alert fires and stays quiet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.compose_file import ROOT, read_yaml

FOLDER = ROOT / "dashboards" / "prometheus"
RULES = sorted((FOLDER / "rules").iterdir())
TESTS = sorted((FOLDER / "tests").iterdir())
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: apt-get install prometheus")


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in read_yaml(path)["groups"] for rule in group["rules"]]


@needs_promtool
def test_configuration_and_rules_are_valid() -> None:
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rule files found" in checked.stdout


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_is_written_down(path: Path) -> None:
    tested = promtool("test", "rules", path.name, folder=path.parent)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested_to_fire_and_to_stay_quiet() -> None:
    tried: dict[str, set[bool]] = {}
    for path in TESTS:
        for test in read_yaml(path)["tests"]:
            for case in test.get("alert_rule_test", []):
                tried.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in rules() if "alert" in rule}


def test_every_recording_is_tested_for_its_value() -> None:
    expected = [
        sample["labels"]
        for path in TESTS
        for test in read_yaml(path)["tests"]
        for case in test.get("promql_expr_test", [])
        for sample in [{"labels": case["expr"]}, *case["exp_samples"]]
        if case["exp_samples"]
    ]
    for rule in rules():
        if "record" in rule:
            assert any(rule["record"] in text for text in expected), rule["record"]


def test_every_alert_says_what_is_the_matter_and_how_bad_it_is() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
