"""What the commands do, one function each; the result is the exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos import storm as storm_files
from chaos import timeline
from harness import registry
from harness.audit.auditor import audit_run
from harness.backends.base import Backend
from harness.cli import audit_text, options
from harness.core import mitigations as known_mitigations
from harness.core.errors import EXIT_INTERRUPTED, EXIT_PASS, Problem, RunNotFound, UsageError
from harness.core.identity import KEY_VARIABLE
from harness.history import run_file
from harness.report.compare_runs import RunComparison, allowed, check
from harness.report.compare_terminal import print_comparison
from harness.report.judge import Judgement
from harness.report.terminal import print_report
from harness.report.write import read_report, write_report
from harness.run import clean as cleaning
from harness.run import redrive as redriving
from harness.run.locust import locust_load
from harness.run.progress import teller
from harness.run.run import Load, execute, prepare
from harness.run.up import OutsideLoad
from harness.settings import RunSettings
from harness.topologies.base import CallbackRetry, Deployed
from harness.topologies.choreographed import subscriptions
from harness.topologies.orchestrated import TOPOLOGY as ORCHESTRATED
from harness.topologies.policy import RetryPolicy
from harness.topologies.reentry import reentered

Storm = dict[str, object]
DEFAULTS = RunSettings()


def run(settings: RunSettings, runs: Path, command: str, storm: Storm | None = None) -> int:
    """A whole run, with its own load generator."""
    return _run(settings, runs, command, Console(), locust_load, storm=storm)


def up(settings: RunSettings, runs: Path, command: str) -> int:
    """A run for a load generator that somebody else starts; all talk goes to standard error."""
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < 32:
        raise UsageError([Problem(KEY_VARIABLE, "…" if key else None, "a secret of at least 32 characters")])
    return _run(settings, runs, command, Console(stderr=True), OutsideLoad(), key=key)


def replay(folder: Path, runs: Path, command: str) -> int:
    """A saved run's settings and its storm as it was, run again."""
    saved = run_file.load(folder)
    return run(saved.settings, runs, command, saved.storm)


def report(folder: Path) -> int:
    """Judge a saved run again, write its report, and show it."""
    return _show(folder, Console()).exit_code


def audit(folder: Path) -> int:
    """Audit a saved run, with what its processes had still to say where it was killed."""
    audited = audit_run(folder)
    audit_text.print_audit(Console(), audited)
    return audit_text.exit_code(audited)


def clean(flags: Mapping[str, str | None], runs: Path, which: Sequence[str], *, dry_run: bool) -> int:
    """Remove what earlier runs left on a backend that is not theirs."""
    named = redriving.prefixes_of(which)
    return _on_running_backend(
        flags, lambda backend, say: cleaning.clean(backend, runs, say, named=named, dry_run=dry_run)
    )


def redrive(flags: Mapping[str, str | None], run: str) -> int:
    """Send a block's or a run's dead letters back to their queues, on a backend that is not theirs."""
    prefix = redriving.prefix_of(run)
    return _on_running_backend(flags, lambda backend, say: redriving.redrive_by_name(backend, prefix, say))


def _on_running_backend(
    flags: Mapping[str, str | None], act: Callable[[Backend, Callable[[str], None]], Coroutine[Any, Any, None]]
) -> int:
    name, urls = options.running_backend(flags, os.environ, Path.cwd())
    console = Console()
    if urls is None:
        console.print(f"The backend {name} goes with each run, so nothing is left on it.", highlight=False)
        return EXIT_PASS
    backend = registry.backend(name).backend(urls, Path(os.devnull))
    with teller(console) as telling:
        uvloop.run(act(backend, telling.say))
    return EXIT_PASS


def compare(folders: Sequence[Path], allow: str) -> int:
    """Show saved runs side by side; refuse those that were not asked the same."""
    fields = allowed(allow)
    differing = check([run_file.load(folder) for folder in folders], fields)
    reports = tuple(read_report(folder) for folder in folders)
    print_comparison(Console(), RunComparison(reports, differing))
    return EXIT_PASS


def asl(saga_name: str, callback_retry: str) -> None:
    """Print a saga's state machine, with names in place of what a deployment fills in."""
    if callback_retry not in list(CallbackRetry):
        raise UsageError([Problem("--callback-retry", callback_retry, " or ".join(CallbackRetry))])
    saga = registry.saga(saga_name)
    blueprint = ORCHESTRATED.blueprint(saga)
    deployed = Deployed(
        queue_urls={name: f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}" for name in blueprint.queues},
        bus=f"{saga.name}-bus",
    )
    definition = ORCHESTRATED.state_machine(saga, deployed, RetryPolicy())
    if callback_retry == CallbackRetry.REENTER:
        definition = reentered(definition)
    print(json.dumps(definition, indent=2))


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


def mitigations() -> None:
    """Print every mitigation: its values, the default first, where it applies and what it does."""
    table = Table(box=None, pad_edge=False)
    for column in ("mitigation", "values", "where", "what it does"):
        table.add_column(column)
    meanings = known_mitigations.meanings()
    for name, values in known_mitigations.values().items():
        where = "orchestrated only" if name in known_mitigations.ORCHESTRATOR_ONLY else "both"
        table.add_row(Text(name, "bold"), " | ".join(values), where, Text(meanings[name]))
    Console(highlight=False).print(table)


def storms() -> None:
    """Print the shipped storms, with a line for each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in storm_files.shipped():
        storm = storm_files.load(name, registry.saga(DEFAULTS.saga), DEFAULTS.duration_s, DEFAULTS.rate_per_s)
        table.add_row(Text(name, "bold"), Text(storm.description))
    Console(highlight=False).print(table)


def show_storm(settings: RunSettings) -> None:
    """Draw a storm over a load."""
    saga = registry.saga(settings.saga)
    storm = storm_files.load(settings.storm, saga, settings.duration_s, settings.rate_per_s)
    console = Console(highlight=False)
    for line in timeline.draw(storm, settings.duration_s, console.width):
        console.print(line, no_wrap=True, crop=False)


def find(given: Path, runs: Path) -> Path:
    """A run's folder, by its path or by its id."""
    folder = _found(given, runs)
    if folder is None:
        raise RunNotFound(f"{given}: no run there (a folder with a run.json), and none of that id in {runs}")
    return folder


def find_all(given: Sequence[Path], runs: Path) -> list[Path]:
    """As :func:`find`, of several. Raises ``UsageError`` with all that are missing."""
    found = [(each, _found(each, runs)) for each in given]
    valid = f"a run's folder (with a run.json), or the id of one in {runs}"
    if problems := [Problem("RUN", str(each), valid) for each, folder in found if folder is None]:
        raise UsageError(problems)
    return [folder for _, folder in found if folder]


def _found(given: Path, runs: Path) -> Path | None:
    return next((folder for folder in (given, runs / given) if (folder / "run.json").is_file()), None)


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
        this.live.auditing()
    judgement = _show(this.folder, console)
    this.live.ended(judgement.verdict, judgement.reasons)
    if this.interrupted:
        return EXIT_INTERRUPTED
    return this.failure.exit_code if this.failure else judgement.exit_code


def _show(folder: Path, console: Console) -> Judgement:
    judged = write_report(folder)
    print_report(console, judged, str(folder / "report.html"))
    return judged.judgement
