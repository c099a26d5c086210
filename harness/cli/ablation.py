"""``sagastorm ablate``: what it does, from checked settings to the table; the result is the exit code."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
from rich.console import Console

from chaos import storm as storms
from harness import registry
from harness.ablation import cells, execution, markdown, plan
from harness.ablation.execution import MakeRun
from harness.ablation.plan import MOST_ROUNDS, Plan
from harness.ablation.table import Table, read_table
from harness.ablation.terminal import print_table
from harness.cli import options
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_PASS, Problem, UsageError
from harness.run.progress import teller
from harness.settings import RunSettings

TABLE, MARKDOWN = "table.json", "table.md"
Flags = dict[str, str | None]


def planned(flags: Flags, without: str | None, combinations: str | None, rounds: str, command: str) -> Plan:
    """The plan that the flags ask for. Raises ``UsageError`` with everything that is wrong, in any of them."""
    problems: list[Problem] = []
    settings, chosen = RunSettings(), tuple[cells.Cell, ...]()
    try:
        # Everything on is what everything is held against, whatever the environment says.
        settings = options.from_process(flags | {"mitigations": ""})
    except UsageError as error:
        problems += error.problems
    try:
        chosen = cells.chosen(without, combinations)
    except UsageError as error:
        problems += error.problems
    if not (rounds.isdecimal() and 1 <= int(rounds) <= MOST_ROUNDS):
        problems.append(Problem("--rounds", rounds, f"a whole number from 1 to {MOST_ROUNDS}"))
    if problems:
        raise UsageError(problems)
    storm = storms.load(settings.storm, registry.saga(settings.saga), settings.duration_s, settings.rate_per_s)
    # Read again as it will be read from its file: a plan that is kept must equal one that is asked for.
    resolved = msgspec.json.decode(msgspec.json.encode(storm), type=dict[str, object])
    return plan.make(settings, resolved, chosen, int(rounds), command)


def ablate(asked: Plan, out: Path | None, ablations: Path, make_run: MakeRun | None = None) -> int:
    """Measure all cells that are not finished yet, then show the table.

    A run that did not pass is a result, and a cell without a mitigation is expected to have some; only what could not
    be measured makes the exit code another than 0.
    """
    folder = out or ablations / asked.ablation_id
    kept = plan.begin(asked, folder)
    console = Console()
    try:
        with teller(console) as telling:
            telling.say(f"Ablation {kept.ablation_id}: {len(kept.cells)} cells, {kept.rounds} rounds, in {folder}")
            execution.carry_out(kept, folder, telling, make_run or execution.ordinary_run(asked.command))
    except KeyboardInterrupt:
        console.print(
            f"Interrupted; finished runs are kept. To go on: {_again(asked, out, folder)}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        return EXIT_INTERRUPTED
    table = _show(folder, console)
    return EXIT_PASS if all(outcome.verdict for outcome in table.outcomes) else EXIT_ENVIRONMENT


def show(folder: Path) -> int:
    """Print the table of a saved ablation."""
    _show(folder, Console())
    return EXIT_PASS


def _again(asked: Plan, out: Path | None, folder: Path) -> str:
    return asked.command if out else f"{asked.command} --out {shlex.quote(str(folder))}"


def _show(folder: Path, console: Console) -> Table:
    table = read_table(folder)
    (folder / TABLE).write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=2) + b"\n")
    (folder / MARKDOWN).write_text(markdown.render(table), encoding="utf-8")
    print_table(console, table)
    console.print(f"\n{folder / MARKDOWN}, {folder / TABLE}", highlight=False, markup=False, soft_wrap=True)
    return table
