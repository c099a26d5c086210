"""``sagastorm``: the commands. Each reads as what it does; the work is elsewhere."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.cli.baseline import app as baseline_app
from harness.cli.definitions import app as definitions_app
from harness.cli.flags import (
    Arrivals,
    BackendName,
    CannotPay,
    DrainLimit,
    Duration,
    EndpointUrl,
    Interleave,
    LoadProcesses,
    MaxInFlight,
    MitigationValues,
    OutOfStock,
    Rate,
    RunFolder,
    RunningAt,
    RunningBackend,
    RunsFolder,
    Saga,
    Scenario,
    Seed,
    StormName,
    Topology,
    Workers,
    option,
)
from harness.core.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Problem,
    SagastormError,
    UsageError,
    attempt,
)

app = typer.Typer(
    name="sagastorm",
    help="Load and resilience benchmark for distributed sagas: the same saga, orchestrated and choreographed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(definitions_app)
app.add_typer(baseline_app, name="baseline", help="Keep figures of runs, and hold later runs against them.")


@app.command()
def run(
    saga: Saga = None,
    topology: Topology = None,
    storm: StormName = None,
    rate: Rate = None,
    duration: Duration = None,
    seed: Seed = None,
    workers: Workers = None,
    interleave: Interleave = None,
    arrivals: Arrivals = None,
    scenario: Scenario = None,
    load_processes: LoadProcesses = None,
    max_in_flight: MaxInFlight = None,
    drain_limit: DrainLimit = None,
    cannot_pay_share: CannotPay = None,
    out_of_stock_share: OutOfStock = None,
    mitigations: MitigationValues = None,
    backend: BackendName = None,
    endpoint_url: EndpointUrl = None,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Run a saga in both topologies under the same storm, audit it, compare them."""
    flags = {name.replace("_", "-"): value for name, value in locals().items() if name != "runs"}
    from harness.cli import commands, options

    raise typer.Exit(commands.run(options.from_process(flags), runs, _command()))


@app.command()
def up(
    saga: Saga = None,
    topology: Topology = None,
    storm: StormName = None,
    rate: Rate = None,
    duration: Duration = None,
    seed: Seed = None,
    workers: Workers = None,
    interleave: Annotated[str | None, option("interleave", "One letter a block [ABBA for two, A for one].")] = None,
    arrivals: Arrivals = None,
    max_in_flight: MaxInFlight = None,
    drain_limit: DrainLimit = None,
    cannot_pay_share: CannotPay = None,
    out_of_stock_share: OutOfStock = None,
    mitigations: MitigationValues = None,
    backend: BackendName = None,
    endpoint_url: EndpointUrl = None,
    runs: RunsFolder = Path("runs"),
    check: Annotated[bool, typer.Option("--check", help="Only check the input, and start nothing.")] = False,
) -> None:
    """Start one topology, or several in turn, for a load of your own, and audit what came of it.

    Prints a line of JSON for each block that serves: the plan for a load generator, and the run's folder. The line
    "over" on standard input ends the load of a block that others follow; its end (or Ctrl-C) ends the run. Identities
    are signed with the key in SAGASTORM_JWT_KEY.
    """
    flags = {name.replace("_", "-"): value for name, value in locals().items() if name not in ("runs", "check")}
    flags["topology"] = topology or "orchestrated"
    flags["interleave"] = interleave or (None if topology == "both" or "," in flags["topology"] else "A")
    from harness.cli import commands, options

    settings = options.from_process(flags)
    raise typer.Exit(0 if check else commands.up(settings, runs, _command()))


@app.command()
def ui(
    saga: Saga = None,
    topology: Topology = None,
    storm: StormName = None,
    rate: Rate = None,
    duration: Duration = None,
    seed: Seed = None,
    workers: Workers = None,
    interleave: Interleave = None,
    arrivals: Arrivals = None,
    scenario: Scenario = None,
    load_processes: LoadProcesses = None,
    max_in_flight: MaxInFlight = None,
    drain_limit: DrainLimit = None,
    cannot_pay_share: CannotPay = None,
    out_of_stock_share: OutOfStock = None,
    mitigations: MitigationValues = None,
    backend: BackendName = None,
    endpoint_url: EndpointUrl = None,
    port: Annotated[str, typer.Option("--port", help="Where the web UI listens, on 127.0.0.1.")] = "8089",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Start Locust's web UI, to start runs from and to watch them; flags are what its form offers first."""
    flags = {name.replace("_", "-"): value for name, value in locals().items() if name not in ("runs", "port")}
    from harness.cli import ui as web_ui

    web_ui.ui(flags, port, runs)


@app.command()
def ablate(
    saga: Saga = None,
    topology: Topology = None,
    storm: StormName = None,
    without: Annotated[
        str | None,
        option("without", "What to remove, one at a time: all, or such as backoff,idempotency=naive [all]."),
    ] = None,
    cells: Annotated[
        str | None, option("cells", "Combinations: backoff=none+circuit-breaker=off,… are two cells, or more.")
    ] = None,
    rounds: Annotated[str, typer.Option("--rounds", help="How often all cells are measured.")] = "1",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Its folder; one that was begun is gone on with [ablations/<id>]."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="Only print the table of this saved ablation.", metavar="FOLDER")
    ] = None,
    rate: Rate = None,
    duration: Duration = None,
    seed: Seed = None,
    workers: Workers = None,
    interleave: Interleave = None,
    arrivals: Arrivals = None,
    scenario: Scenario = None,
    load_processes: LoadProcesses = None,
    max_in_flight: MaxInFlight = None,
    drain_limit: DrainLimit = None,
    cannot_pay_share: CannotPay = None,
    out_of_stock_share: OutOfStock = None,
    backend: BackendName = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Run the same seed and storm with every mitigation on, then without some, and tell what got worse.

    Finished runs are not made again: after an interruption the same command with --out goes on.
    """
    given = {name.replace("_", "-"): value for name, value in locals().items()}
    from harness.cli import ablation

    if table is not None:
        raise typer.Exit(ablation.show(table))
    own = ("without", "cells", "rounds", "out", "table")
    flags = {name: value for name, value in given.items() if name not in own}
    plan = ablation.planned(flags, without, cells, rounds, _command())
    raise typer.Exit(ablation.ablate(plan, out, Path("ablations")))


@app.command()
def check(
    gates: Annotated[
        Path | None,
        typer.Option(
            "--gates", help="What is asked, and of which runs [gates.toml, else pyproject.toml].", metavar="FILE"
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="A revision to measure in turns with this one.", metavar="REF")
    ] = None,
    budget: Annotated[
        str | None, option("budget", "As many repeats as fit into this time, such as 15m [as gates.toml says].")
    ] = None,
    repeats: Annotated[
        str | None, option("repeats", "How often all runs are made [as many as give relative gates 8 pairs].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Its folder; one that was begun is gone on with [checks/<id>].")
    ] = None,
) -> None:
    """The CI job: make the runs that gates.toml asks for, judge them by its gates, write what CI shows.

    Finished runs are not made again: after an interruption the same command with --out goes on.
    """
    from harness.cli import check as checking

    asked = checking.planned(gates, base, repeats, budget, _command(), Path.cwd())
    raise typer.Exit(checking.check(asked, out, Path("checks")))


@app.command()
def report(run_folder: RunFolder, runs: RunsFolder = Path("runs")) -> None:
    """Judge a saved run again and write its report."""
    from harness.cli import commands

    raise typer.Exit(commands.report(commands.find(run_folder, runs)))


@app.command()
def audit(run_folder: RunFolder, runs: RunsFolder = Path("runs")) -> None:
    """Audit a saved run: name every anomaly, with the sagas it happened to."""
    from harness.cli import commands

    raise typer.Exit(commands.audit(commands.find(run_folder, runs)))


@app.command()
def journey(
    run_folder: RunFolder,
    saga: Annotated[
        str, typer.Argument(help="A saga's id, the number of an arrival, or ROUND/ARRIVAL.", metavar="SAGA|ARRIVAL")
    ],
    runs: RunsFolder = Path("runs"),
) -> None:
    """Show one saga's journey in every topology: its steps, attempts, faults and compensations."""
    from harness.cli import commands
    from harness.cli import journey as journeys

    raise typer.Exit(journeys.journey(commands.find(run_folder, runs), saga))


@app.command()
def replay(run_folder: RunFolder, runs: RunsFolder = Path("runs")) -> None:
    """Run a saved run's configuration again: same seed, same storm, same everything."""
    from harness.cli import commands

    raise typer.Exit(commands.replay(commands.find(run_folder, runs), runs, _command()))


@app.command()
def compare(
    run_folders: Annotated[
        list[Path], typer.Argument(help="Two or more run folders or ids; the first is the base.", metavar="RUN...")
    ],
    allow: Annotated[
        str, typer.Option("--allow", help="Fields that may differ, with commas: backend, machine, …", metavar="FIELDS")
    ] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page instead, which takes blocks as well (RUN:BLOCK).", metavar="FILE"),
    ] = None,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Compare saved runs, topology by topology."""
    if html is not None:
        from harness.cli import serve as past_runs

        raise typer.Exit(past_runs.compare_page([str(each) for each in run_folders], runs, allow, html))
    from harness.cli import commands

    raise typer.Exit(commands.compare(commands.find_all(run_folders, runs), allow))


@app.command()
def gate(
    run_folders: Annotated[list[Path], typer.Argument(help="Run folders or ids, of one job.", metavar="RUN...")],
    gates: Annotated[
        Path | None,
        typer.Option("--gates", help="What is asked [gates.toml, or pyproject.toml's tool.sagastorm.gates]."),
    ] = None,
    base: Annotated[
        list[Path] | None,
        typer.Option("--base", help="Runs of the base that took turns with them; once for each.", metavar="RUN"),
    ] = None,
    no_base: Annotated[bool, typer.Option("--no-base", help="Leave out the gates that are against a base.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write gates.json, junit.xml, summary.md and more into this folder.")
    ] = None,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Judge saved runs by gates: invariants, differences from a base, cliffs."""
    from harness.cli import commands
    from harness.cli import gate as gating

    problems: list[Problem] = []
    asked = attempt(problems, lambda: gating.asked(gates, without_base=no_base, has_base=bool(base)))
    own = attempt(problems, lambda: commands.find_all(run_folders, runs))
    of_base = attempt(problems, lambda: commands.find_all(base or [], runs))
    if asked is None or own is None or of_base is None:
        raise UsageError(problems)
    raise typer.Exit(gating.gate(asked, own, of_base, out))


@app.command()
def serve(
    runs: RunsFolder = Path("runs"),
    ablations: Annotated[Path, typer.Option("--ablations", help="Where ablations are.")] = Path("ablations"),
    port: Annotated[str, typer.Option("--port", help="0 is any that is free.")] = "8090",
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; beyond this machine only if you say so.")
    ] = "127.0.0.1",
) -> None:
    """Show past runs in the browser: their list, their reports, and any of them side by side."""
    from harness.cli import serve as past_runs

    raise typer.Exit(past_runs.serve(runs, ablations, host, port))


@app.command()
def clean(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMESPACE|RUN",
            help="Only of these blocks (by namespace) or runs (by id or folder) [all runs known, or old enough, to be over].",
        ),
    ] = None,
    backend: RunningBackend = None,
    endpoint_url: RunningAt = None,
    runs: RunsFolder = Path("runs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List it, and remove nothing.")] = False,
) -> None:
    """Remove what earlier runs left on a backend, as one that was killed does."""
    from harness.cli import commands

    flags = {"backend": backend, "endpoint-url": endpoint_url}
    raise typer.Exit(commands.clean(flags, runs, which or (), dry_run=dry_run))


@app.command()
def redrive(
    run: Annotated[str, typer.Argument(help="A block's namespace, or a run's id or folder.", metavar="NAMESPACE|RUN")],
    backend: RunningBackend = None,
    endpoint_url: RunningAt = None,
) -> None:
    """Send a run's dead letters back to their queues, on a backend that is still there."""
    from harness.cli import commands

    raise typer.Exit(commands.redrive({"backend": backend, "endpoint-url": endpoint_url}, run))


def _command() -> str:
    return shlex.join(["sagastorm", *sys.argv[1:]])


def main() -> None:
    """Entry point: turns errors into one clear message and an exit code, without a traceback."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        app()
    except UsageError as error:
        errors.print(f"sagastorm: {len(error.problems)} problem{'s' * (len(error.problems) > 1)} with the input")
        for problem in error.problems:
            errors.print(f"  {problem}")
        sys.exit(EXIT_USAGE)
    except SagastormError as error:
        errors.print(f"sagastorm: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        errors.print(f"sagastorm: {error}")
        sys.exit(EXIT_ENVIRONMENT)
    except Exception as error:  # noqa: BLE001 - exit code 1 is taken: it says that an invariant broke
        traceback.print_exc()
        errors.print(f"sagastorm: this is a mistake in sagastorm itself, and says nothing about the saga: {error!r}")
        sys.exit(EXIT_ENVIRONMENT)


if __name__ == "__main__":
    main()
