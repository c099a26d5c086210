"""The flags that several commands share, and what each says in ``--help``. What they may hold, :mod:`.options` checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

RunFolder = Annotated[Path, typer.Argument(help="A run's folder, or its id below the runs folder.", metavar="RUN")]
RunsFolder = Annotated[Path, typer.Option("--runs", help="Where run folders are made.", envvar="SAGASTORM_RUNS")]


def option(name: str, help_text: str) -> OptionInfo:
    made: OptionInfo = typer.Option(f"--{name}", help=help_text, show_default=False)
    return made


Saga = Annotated[str | None, option("saga", "Which saga [create-order].")]
Topology = Annotated[str | None, option("topology", "both, or a comma-separated list of topologies [both].")]
Interleave = Annotated[str | None, option("interleave", "One letter a block; A is the first topology [ABBA for two].")]
StormName = Annotated[str | None, option("storm", "Name of a shipped storm, or a .toml file [default].")]
Scenario = Annotated[str | None, option("scenario", "Name of a shipped scenario, or a locustfile [the saga's].")]
Rate = Annotated[
    str | None, option("rate", "Sagas per second that arrive [25, or half of what a running backend carries].")
]
Arrivals = Annotated[str | None, option("arrivals", "poisson or even [poisson].")]
Duration = Annotated[
    str | None, option("duration", "Seconds of load in each block [25, longer where arrivals are few].")
]
Seed = Annotated[str | None, option("seed", "Decides arrivals, orders and strikes [1].")]
Workers = Annotated[str | None, option("workers", "Worker processes [1].")]
LoadProcesses = Annotated[str | None, option("load-processes", "Locust processes [1].")]
MaxInFlight = Annotated[
    str | None, option("max-in-flight", "Sagas under way in each load process, beyond which arrivals drop [2000].")
]
DrainLimit = Annotated[str | None, option("drain-limit", "Seconds to wait for what is under way [60].")]
CannotPay = Annotated[str | None, option("cannot-pay-share", "Share of arrivals that cannot pay [0.05].")]
OutOfStock = Annotated[str | None, option("out-of-stock-share", "Share of arrivals that find no stock [0.05].")]
MitigationValues = Annotated[
    str | None,
    option("mitigations", "Changed ones, such as backoff=none,sweeper=off [all on]; sagastorm mitigations lists them."),
]
BackendName = Annotated[str | None, option("backend", "embedded, localstack or endpoint [embedded].")]
EndpointUrl = Annotated[str | None, option("endpoint-url", "An emulator that already runs [the embedded one].")]
RunningBackend = Annotated[str | None, option("backend", "localstack or endpoint [as of a run, or localstack].")]
RunningAt = Annotated[str | None, option("endpoint-url", "Where it is [as of a run, or as LOCALSTACK_HOST says].")]
