"""``sagastorm ui``: what becomes of its flags before it becomes Locust."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import options, ui
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_USAGE, UsageError
from harness.run import scenarios
from harness.settings import RunSettings

STORM = """
description = "nothing"
"""


def test_flags_file_and_environment_become_what_the_form_offers_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sagastorm.toml").write_text('[run]\nstorm = "calm"\nseed = 9\nrate = 11\n')
    flags = {"seed": "4", "storm": None, "backend": "localstack"}
    said = options.said(flags, {"SAGASTORM_STORM": "crashes"}, tmp_path)
    assert said == {"storm": "crashes", "seed": "4", "rate": "11"}

    environ = ui.environment(said, flags, tmp_path / "runs")
    assert (environ["SAGASTORM_STORM"], environ["SAGASTORM_SEED"], environ["SAGASTORM_RATE"]) == ("crashes", "4", "11")
    assert (environ["SAGASTORM_BACKEND"], environ["SAGASTORM_RUNS"]) == ("localstack", str(tmp_path / "runs"))


def test_locust_gets_the_scenario_of_the_saga_and_as_many_processes_as_are_asked_for() -> None:
    alone = ui.command(RunSettings(scenario="any_saga"), 9000, None)
    assert str(scenarios.locate("any_saga")) in alone
    assert alone[alone.index("--web-port") + 1] == "9000"
    assert "--processes" not in alone and "--endpoint-url" not in alone

    more = ui.command(RunSettings(load_processes=3), 9000, "http://127.0.0.1:1")
    assert more[more.index("--processes") + 1] == "3"
    assert more[more.index("--master-port") + 1] == more[more.index("--master-bind-port") + 1]
    assert more[more.index("--endpoint-url") + 1] == "http://127.0.0.1:1"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        ui.ui({"rate": "fast", "storm": "drizzle"}, "high", Path("runs"))
    assert {problem.field for problem in refused.value.problems} == {"--rate", "storm", "--port"}


def test_a_port_that_is_taken_is_said_before_locust_starts() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done = run("ui", "--port", str(holder.getsockname()[1]))
    assert done.returncode == EXIT_ENVIRONMENT
    assert "--port takes another" in done.stderr and "Traceback" not in done.stderr


def test_up_can_be_asked_to_check_its_input_only(tmp_path: Path) -> None:
    storm = tmp_path / "mine.toml"
    storm.write_text(STORM)
    flags = ["up", "--topology", "both", "--storm", str(storm), "--mitigations", "backoff=none", "--check"]
    assert run(*flags, cwd=tmp_path).returncode == 0
    refused = run(*flags, "--interleave", "ABC", "--seed", "x", cwd=tmp_path)
    assert refused.returncode == EXIT_USAGE
    assert "interleave: 'ABC'" in refused.stderr and "--seed: 'x'" in refused.stderr
    assert list(tmp_path.iterdir()) == [storm]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli.main", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
