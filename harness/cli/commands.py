"""What the commands do, one function each; the result is the exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from harness import registry
from harness.audit.auditor import audit_run
from harness.cli import audit_text
from harness.core.errors import EXIT_INTERRUPTED, Problem, RunNotFound, UsageError
from harness.core.identity import KEY_VARIABLE
from harness.history import run_file
from harness.report.terminal import print_report
from harness.report.write import write_report
from harness.run.locust import locust_load
from harness.run.progress import teller
from harness.run.run import Load, execute, prepare
from harness.run.up import outside_load
from harness.settings import RunSettings
from harness.topologies.base import Deployed
from harness.topologies.choreographed import subscriptions
from harness.topologies.orchestrated import TOPOLOGY as ORCHESTRATED
from harness.topologies.policy import RetryPolicy

Storm = dict[str, object]


def run(settings: RunSettings, runs: Path, command: str, storm: Storm | None = None) -> int:
    """A whole run, with its own load generator."""
    return _run(settings, runs, command, Console(), locust_load, storm=storm)


def up(settings: RunSettings, runs: Path, command: str) -> int:
    """One block, for a load generator that somebody else starts; all talk goes to standard error."""
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < 32:
        raise UsageError([Problem(KEY_VARIABLE, "…" if key else None, "a secret of at least 32 characters")])
    return _run(settings, runs, command, Console(stderr=True), outside_load, key=key)


def replay(folder: Path, runs: Path, command: str) -> int:
    """A saved run's settings and its storm as it was, run again."""
    saved = run_file.load(folder)
    return run(saved.settings, runs, command, saved.storm)


def report(folder: Path) -> int:
    """Judge a saved run again, write its report, and show it."""
    return _show(folder, Console())


def audit(folder: Path) -> int:
    """Audit a saved run, with what its processes had still to say where it was killed."""
    audited = audit_run(folder)
    audit_text.print_audit(Console(), audited)
    return audit_text.exit_code(audited)


def asl(saga_name: str) -> None:
    """Print a saga's state machine, with names in place of what a deployment fills in."""
    saga = registry.saga(saga_name)
    blueprint = ORCHESTRATED.blueprint(saga)
    deployed = Deployed(
        queue_urls={name: f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}" for name in blueprint.queues},
        bus=f"{saga.name}-bus",
    )
    print(json.dumps(ORCHESTRATED.state_machine(saga, deployed, RetryPolicy()), indent=2))


def rules(saga_name: str) -> None:
    """Print a saga's subscriptions."""
    saga = registry.saga(saga_name)
    table = Table(title=f"{saga.name}, choreographed", title_justify="left", box=None, pad_edge=False)
    for column in ("participant", "on event", "does", "then publishes"):
        table.add_column(column)
    for subscription in sorted(subscriptions(saga), key=lambda one: saga.participants.index(one.participant)):
        table.add_row(
            subscription.participant, subscription.event, subscription.work, " or ".join(subscription.publishes)
        )
    Console().print(table)


def find(given: Path, runs: Path) -> Path:
    """A run's folder, by its path or by its id."""
    for folder in (given, runs / given):
        if (folder / "run.json").is_file():
            return folder
    raise RunNotFound(f"{given}: no run there (a folder with a run.json), and none of that id in {runs}")


def _run(
    settings: RunSettings,
    runs: Path,
    command: str,
    console: Console,
    load: Load,
    *,
    storm: Storm | None = None,
    key: str | None = None,
) -> int:
    with teller(console) as telling:
        this = prepare(settings, runs, telling, command, storm, key)
        telling.say(f"Run {this.file.run_id}: {settings.saga}, storm {this.storm.name}, seed {settings.seed}")
        try:
            uvloop.run(execute(this, load))
        except KeyboardInterrupt:
            telling.say(f"Stopped at once. What was recorded is kept: sagastorm report {this.folder}")
            return EXIT_INTERRUPTED
        telling.say("Audit, judgement, report")
    code = _show(this.folder, console)
    if this.interrupted:
        return EXIT_INTERRUPTED
    return this.failure.exit_code if this.failure else code


def _show(folder: Path, console: Console) -> int:
    judged = write_report(folder)
    print_report(console, judged, str(folder / "report.html"))
    return judged.judgement.exit_code
