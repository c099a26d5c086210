"""What the commands do, one function each; the result is the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from harness import registry
from harness.core.errors import EXIT_INTERRUPTED, RunNotFound
from harness.deployment import KEY_VARIABLE
from harness.history import run_file
from harness.report import judge, terminal
from harness.report.write import write_report
from harness.run import run as running
from harness.run.progress import teller
from harness.run.up import up_load
from harness.settings import RunSettings
from harness.topologies.base import Deployed
from harness.topologies.choreographed import subscriptions
from harness.topologies.orchestrated import TOPOLOGY as ORCHESTRATED
from harness.topologies.policy import RetryPolicy


def run(settings: RunSettings, runs: Path, command: str, storm: dict[str, object] | None = None) -> int:
    """Run, then audit, judge and report from what was saved."""
    console = Console()
    with teller(console) as telling:
        this = running.prepare(settings, runs, telling, command, storm)
        telling.say(f"Run {this.file.run_id}: {settings.saga} under {this.storm.name}, seed {settings.seed}")
        uvloop.run(running.execute(this))
    return _conclude(this, console)
