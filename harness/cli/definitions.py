"""``sagastorm mitigations``, ``asl``, ``rules``, ``storms``, ``storm show``: what can be looked at without a run."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.flags import Duration, Rate, Saga, option

app = typer.Typer(rich_markup_mode=None)
storm_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(storm_app, name="storm", help="Look at one storm.")


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
        option("callback-retry", "How failed callback tasks try again: retry or reenter [retry]."),
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
