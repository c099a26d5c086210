"""``sagastorm``: the commands. Each reads as what it does; the work is elsewhere."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.models import OptionInfo

from harness.core.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    SagastormError,
    UsageError,
)

app = typer.Typer(
    name="sagastorm",
    help="Load and resilience benchmark for distributed sagas: the same saga, orchestrated and choreographed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

storm_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(storm_app, name="storm", help="Look at one storm.")

RunFolder = Annotated[Path, typer.Argument(help="A run's folder, or its id below the runs folder.", metavar="RUN")]
RunsFolder = Annotated[Path, typer.Option("--runs", help="Where run folders are made.", envvar="SAGASTORM_RUNS")]


def _option(name: str, help_text: str) -> OptionInfo:
    option: OptionInfo = typer.Option(f"--{name}", help=help_text, show_default=False)
    return option


Saga = Annotated[str | None, _option("saga", "Which saga [create-order].")]
Topology = Annotated[str | None, _option("topology", "both, or a comma-separated list of topologies [both].")]
Interleave = Annotated[str | None, _option("interleave", "One letter a block; A is the first topology [ABBA for two].")]
StormName = Annotated[str | None, _option("storm", "Name of a shipped storm, or a .toml file [default].")]
Scenario = Annotated[str | None, _option("scenario", "Name of a shipped scenario, or a locustfile [the saga's].")]
Rate = Annotated[
    str | None, _option("rate", "Sagas per second that arrive [25, or half of what a running backend carries].")
]
Arrivals = Annotated[str | None, _option("arrivals", "poisson or even [poisson].")]
Duration = Annotated[
    str | None, _option("duration", "Seconds of load in each block [25, longer where arrivals are few].")
]
Seed = Annotated[str | None, _option("seed", "Decides arrivals, orders and strikes [1].")]
Workers = Annotated[str | None, _option("workers", "Worker processes [1].")]
LoadProcesses = Annotated[str | None, _option("load-processes", "Locust processes [1].")]
MaxInFlight = Annotated[
    str | None, _option("max-in-flight", "Sagas under way in each load process, beyond which arrivals drop [2000].")
]
DrainLimit = Annotated[str | None, _option("drain-limit", "Seconds to wait for what is under way [60].")]
CannotPay = Annotated[str | None, _option("cannot-pay-share", "Share of arrivals that cannot pay [0.05].")]
OutOfStock = Annotated[str | None, _option("out-of-stock-share", "Share of arrivals that find no stock [0.05].")]
MitigationValues = Annotated[
    str | None,
    _option(
        "mitigations", "Changed ones, such as backoff=none,sweeper=off [all on]; sagastorm mitigations lists them."
    ),
]
BackendName = Annotated[str | None, _option("backend", "embedded, localstack or endpoint [embedded].")]
EndpointUrl = Annotated[str | None, _option("endpoint-url", "An emulator that already runs [the embedded one].")]


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
    arrivals: Arrivals = None,
    max_in_flight: MaxInFlight = None,
    drain_limit: DrainLimit = None,
    cannot_pay_share: CannotPay = None,
    out_of_stock_share: OutOfStock = None,
    mitigations: MitigationValues = None,
    backend: BackendName = None,
    endpoint_url: EndpointUrl = None,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Start one topology for a load of your own; the end of standard input (or Ctrl-C) ends it, with an audit.

    Prints one line of JSON once it serves: the plan for a load generator, and the run's folder. Identities are signed
    with the key in SAGASTORM_JWT_KEY.
    """
    flags = {name.replace("_", "-"): value for name, value in locals().items() if name != "runs"}
    flags["topology"] = topology or "orchestrated"
    flags["interleave"] = "A"
    from harness.cli import commands, options

    raise typer.Exit(commands.up(options.from_process(flags), runs, _command()))


@app.command()
def ablate(
    saga: Saga = None,
    topology: Topology = None,
    storm: StormName = None,
    without: Annotated[
        str | None,
        _option("without", "What to remove, one at a time: all, or such as backoff,idempotency=naive [all]."),
    ] = None,
    cells: Annotated[
        str | None, _option("cells", "Combinations: backoff=none+circuit-breaker=off,… are two cells, or more.")
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
    runs: RunsFolder = Path("runs"),
) -> None:
    """Compare saved runs, topology by topology."""
    from harness.cli import commands

    raise typer.Exit(commands.compare([commands.find(folder, runs) for folder in run_folders], allow))


@app.command()
def clean(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMESPACE|RUN",
            help="Only of these blocks (by namespace) or runs (by id or folder) [all runs known, or old enough, to be over].",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", help="localstack or endpoint [localstack].", envvar="SAGASTORM_BACKEND", show_envvar=False
        ),
    ] = None,
    endpoint_url: Annotated[str | None, _option("endpoint-url", "Where it is [as LOCALSTACK_HOST says].")] = None,
    runs: RunsFolder = Path("runs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List it, and remove nothing.")] = False,
) -> None:
    """Remove what earlier runs left on a backend, as one that was killed does."""
    from harness.cli import commands

    name = backend or ("endpoint" if endpoint_url else "localstack")
    raise typer.Exit(commands.clean(name, endpoint_url, runs, which or (), dry_run=dry_run))


@app.command()
def redrive(
    run: Annotated[str, typer.Argument(help="A block's namespace, or a run's id or folder.", metavar="NAMESPACE|RUN")],
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", help="localstack or endpoint [localstack].", envvar="SAGASTORM_BACKEND", show_envvar=False
        ),
    ] = None,
    endpoint_url: Annotated[str | None, _option("endpoint-url", "Where it is [as LOCALSTACK_HOST says].")] = None,
) -> None:
    """Send a run's dead letters back to their queues, on a backend that is still there."""
    from harness.cli import commands

    name = backend or ("endpoint" if endpoint_url else "localstack")
    raise typer.Exit(commands.redrive(name, run, endpoint_url))


@app.command("mitigations")
def list_mitigations() -> None:
    """List what keeps sagas out of trouble: names and values for --mitigations."""
    from harness.cli import commands

    commands.mitigations()


@app.command()
def asl(
    saga: Annotated[str, typer.Argument()],
    callback_retry: Annotated[
        str,
        _option("callback-retry", "How failed callback tasks try again: retry or reenter [retry]."),
    ] = "retry",
) -> None:
    """Print the state machine that a saga compiles to."""
    from harness.cli import commands

    commands.asl(saga, callback_retry)


@app.command()
def rules(saga: Annotated[str, typer.Argument()]) -> None:
    """Print who listens to what when a saga is choreographed."""
    from harness.cli import commands

    commands.rules(saga)


@app.command("storms")
def list_storms() -> None:
    """List the storms that come with sagastorm."""
    from harness.cli import commands

    commands.storms()


@storm_app.command("show")
def show_storm(
    name: Annotated[str, typer.Argument(help="Name of a shipped storm, or a .toml file.", metavar="STORM")],
    saga: Saga = None,
    duration: Duration = None,
    rate: Rate = None,
) -> None:
    """Draw when each fault of a storm strikes over the length of a load."""
    from harness.cli import commands, options

    commands.show_storm(options.from_process({"storm": name, "saga": saga, "duration": duration, "rate": rate}))


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
