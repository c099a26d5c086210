"""``sagastorm baseline``: figures of earlier runs, kept and held against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Option("--name", help="Which baseline: a branch, a release, a machine's owner.")]
Folder = Annotated[
    Path, typer.Option("--baselines", "--to", help="Where baselines are kept.", envvar="SAGASTORM_BASELINES")
]
RunsFolder = Annotated[Path, typer.Option("--runs", help="Where run folders are made.", envvar="SAGASTORM_RUNS")]


@app.command("save")
def save_runs(
    run_folders: Annotated[list[Path], typer.Argument(help="Folders or ids of runs that passed.", metavar="RUN...")],
    name: Name = "main",
    folder: Folder = Path("baselines"),
    replace: Annotated[bool, typer.Option("--replace", help="Forget the runs of these settings saved before.")] = False,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Add runs to a baseline; what they were asked and what they were made on say to which of its files."""
    from rich.console import Console

    from harness.baseline.store import save
    from harness.baseline.terminal import print_baselines
    from harness.cli.commands import find_all
    from harness.report.write import read_report

    reports = [read_report(each) for each in find_all(run_folders, runs)]
    print_baselines(Console(), save(reports, name, folder, replace=replace))


@app.command("compare")
def compare_run(
    run_folder: Annotated[Path, typer.Argument(help="A run's folder or id.", metavar="RUN")],
    name: Name = "main",
    folder: Folder = Path("baselines"),
    runs: RunsFolder = Path("runs"),
) -> None:
    """Hold a run against a baseline: 1 if a figure is worse than its spread explains, 3 if that cannot be told.

    On a machine or backend that is unlike the baseline's its figures are advisory: the exit code is of the run's own verdict.
    """
    from rich.console import Console

    from harness.baseline.compare import compare
    from harness.baseline.store import read
    from harness.baseline.terminal import print_compared
    from harness.cli.commands import find
    from harness.report.write import read_report

    baselines = read(name, folder)
    compared = compare(read_report(find(run_folder, runs)), baselines, name)
    print_compared(Console(), compared)
    raise typer.Exit(compared.exit_code)


@app.command("list")
def list_baselines(folder: Folder = Path("baselines")) -> None:
    """List what was saved."""
    from rich.console import Console

    from harness.baseline.store import read_all
    from harness.baseline.terminal import print_baselines

    print_baselines(Console(), read_all(folder))
