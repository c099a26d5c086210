"""``sagastorm check``: what it does, from ``gates.toml`` to the gates' report; the result is the exit code."""

from __future__ import annotations

import hashlib
import os
import shlex
import tomllib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from chaos import storm as storms
from harness import registry
from harness.check import budget, plan
from harness.check.base import Revision, base_revision, this_revision
from harness.check.budget import Pacing
from harness.check.execution import Execution, Judge, Measured
from harness.check.plan import MOST_REPEATS, Cell, Matrix, Plan, Side
from harness.check.revision import Repository, repository
from harness.check.runs import ordinary_runs, terminable
from harness.cli import options
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_FAIL, EXIT_INTERRUPTED, Problem, UsageError, attempt
from harness.core.verdict import RunVerdict
from harness.gate.annotations import no_commands, tell_github
from harness.gate.cases import cases_of
from harness.gate.judge import judge_gates
from harness.gate.model import MITIGATIONS, Finding, Gate, GateReport, Gates, Tier
from harness.gate.outputs import write_outputs
from harness.gate.reach import refuse_idle
from harness.gate.read import PYPROJECT, find_gates, read_gates
from harness.gate.terminal import print_gates
from harness.report.model import Report
from harness.run.progress import Teller, teller
from harness.settings import RunSettings

NAMES = {"--saga": "sagas", "--topology": "topologies", "--storm": "storms", "storm": "storms"}
MADE = Gate(name="every-run-made", tier=Tier.INVARIANT, metric="instrument", operator="==", limit=0.0)
"""What is not passed where the environment failed a run twice."""
_MITIGATIONS = next(option for option in options.OPTIONS if option.name == "mitigations")


@dataclass(frozen=True)
class Asked:
    """A check that can be made."""

    gates: Gates
    plan: Plan
    pacing: Pacing
    repository: Repository | None
    lock: str


def planned(
    gates_file: Path | None, base: str | None, repeats: str | None, time: str | None, command: str, folder: Path
) -> Asked:
    """The check that is asked for. Raises ``UsageError`` with everything that is wrong, in any part of it."""
    problems: list[Problem] = []
    gates = attempt(problems, lambda: read_gates(gates_file) if gates_file else find_gates(folder))
    matrix = attempt(problems, lambda: plan.read_matrix(_check_table(gates_file or _own(folder)))) or Matrix()
    paired = base is not None or (gates is not None and any(map(_of_runs, gates.gates)))
    settings = _settings(matrix, problems, one_turn_each=paired and matrix.interleave is None)
    here = repository(folder)
    commit = _base_commit(here, base, matrix.lock, problems)
    times = _times(matrix, repeats, time, problems)
    if problems or gates is None:
        raise UsageError(problems)
    gates = gates if commit else gates.without_base()
    cells = tuple(_cells(settings, gates))
    refuse_idle(gates, [case for cell in cells for case in cell.cases], has_base=commit is not None)
    made = plan.make(cells, settings[0].seed, here.state() if here else None, commit, command)
    turns = settings[0].interleave
    usual, needed = budget.repeats_for(gates, turns, budget.PAIRS), budget.repeats_for(gates, turns)
    pacing = Pacing(*times, paired=paired, usual=usual, needed=needed)
    pacing.check(_repeat_s(made))
    return Asked(gates, made, pacing, here, matrix.lock)


def check(asked: Asked, out: Path | None, checks: Path) -> int:
    """Make the runs that are not finished yet, judge them, write everything."""
    folder = (out or checks / asked.plan.check_id).absolute()
    kept = plan.begin(asked.plan, folder)
    console = Console()
    try:
        with no_commands(os.environ), terminable(), teller(console) as telling, _base(asked, telling) as base:
            telling.say(f"Check {kept.check_id}: {_extent(asked)}")
            if shortage := asked.pacing.shortage(_repeat_s(kept)):
                telling.say(shortage)
            revisions = {Side.HEAD: this_revision(Path.cwd())} | ({Side.BASE: base} if base else {})
            runs = ordinary_runs(revisions)
            measured = Execution(kept, folder, asked.pacing, telling, runs, _judge(asked.gates)).carry_out()
    except KeyboardInterrupt:
        _say(console, f"Interrupted; finished runs are kept. To go on: {_again(asked, out, folder)}")
        return EXIT_INTERRUPTED
    return _concluded(asked.gates, measured, folder, console)


def _concluded(gates: Gates, measured: Measured, folder: Path, console: Console) -> int:
    report = _judged(gates, measured)
    with no_commands(os.environ):
        print_gates(console, report)
    write_outputs(folder, report, measured.head)
    _say(console, f"\n{folder}")
    for line in tell_github(report, os.environ):
        print(line)
    return EXIT_ENVIRONMENT if measured.missing and report.exit_code != EXIT_FAIL else report.exit_code


def _judged(gates: Gates, measured: Measured) -> GateReport:
    """What the environment took away is no pass, and hides no fail."""
    if not (measured.stopped or measured.missing):
        return judge_gates(gates, [*measured.head, *measured.references], measured.base)
    # Of what was not run there is nothing to ask; the invariants are asked of everything that was.
    hard = _hard(gates)
    report = judge_gates(hard, measured.head) if measured.head else _nothing(hard)
    missing = (
        Finding(gate=MADE, case=case, outcome=RunVerdict.INCONCLUSIVE, why=f"{trial.name} was not measured: {why}")
        for trial, why in measured.missing
        for case in trial.cell.cases
    )
    return msgspec.structs.replace(report, findings=(*report.findings, *missing))


def _nothing(gates: Gates) -> GateReport:
    return GateReport(findings=(), source=gates.source, runs=(), left_out=gates.left_out)


def _judge(gates: Gates) -> Judge:
    def broken(run: Report) -> str | None:
        failed = judge_gates(_hard(gates), [run]).of(RunVerdict.FAIL)
        return f"{failed[0].gate.name}: {failed[0].why}" if failed else None

    def buys(measured: Measured, repeats: int) -> list[str]:
        findings = judge_gates(gates, [*measured.head, *measured.references], measured.base).findings
        return budget.what_it_buys(findings, measured.repeats, repeats)

    return Judge(broken, buys)


def _hard(gates: Gates) -> Gates:
    """The invariants alone; the others are left out by name."""
    hard = tuple(gate for gate in gates.gates if gate.tier is Tier.INVARIANT)
    soft = tuple(gate.name for gate in gates.gates if gate.tier is not Tier.INVARIANT)
    return msgspec.structs.replace(gates, gates=hard, left_out=gates.left_out + soft)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _base(asked: Asked, telling: Teller) -> AbstractContextManager[Revision | None]:
    if asked.plan.base is None or asked.repository is None:
        return nullcontext()
    return base_revision(asked.repository, asked.plan.base, asked.lock, os.environ, telling.say)


def _repeat_s(made: Plan) -> float:
    return sum(trial.cell.planned_s for trial in plan.trials(made, Path(), 0))


def _extent(asked: Asked) -> str:
    runs = len(plan.trials(asked.plan, Path(), 0))
    against = f" against base {asked.plan.base[:12]}" if asked.plan.base else ""
    left_out = f"; left out: {', '.join(asked.gates.left_out)}" if asked.gates.left_out else ""
    return f"{len(asked.gates.gates)} gates{against}, {runs} run{'s' * (runs != 1)} a repeat{left_out}"


def _again(asked: Asked, out: Path | None, folder: Path) -> str:
    return asked.plan.command if out else f"{asked.plan.command} --out {shlex.quote(str(folder))}"


def _of_runs(gate: Gate) -> bool:
    """Whether it holds runs against runs of the same revision."""
    return (gate.against or "").startswith(MITIGATIONS)


def _settings(matrix: Matrix, problems: list[Problem], *, one_turn_each: bool) -> list[RunSettings]:
    """Of each saga under each storm. ``one_turn_each``: two runs make one pair whatever they hold, so they are kept short."""
    given = {name: getattr(matrix, name) for name in ("interleave", "rate", "seed")}
    if matrix.duration is not None:
        given["duration"] = attempt(problems, lambda: plan.seconds("check.duration", matrix.duration or 0))
    flags = {name: str(value) for name, value in given.items() if value is not None}
    flags["topology"] = ",".join(matrix.topologies)
    settings: list[RunSettings] = []
    found: dict[str, Problem] = {}
    for saga in matrix.sagas:
        for storm in matrix.storms:
            try:
                made = options.from_process(flags | {"saga": saga, "storm": storm})
                settings.append(_one_turn_each(made) if one_turn_each else made)
            except UsageError as error:
                found |= {str(problem): problem for problem in error.problems}
    problems += [Problem(_key(problem.field), problem.value, problem.valid) for problem in found.values()]
    for made in settings[:1]:
        valid = f"a choice, since the backend {made.backend} would make it anew, and differently, for every run"
        problems += [Problem(f"check.{field.partition('_')[0]}", None, valid) for field in made.scaled]
    return settings


def _one_turn_each(made: RunSettings) -> RunSettings:
    """The first half of ABBA, which a second repeat goes through backwards. Turns that are not so are left alone, and what ``check``
    names is not asked here."""
    turns = made.interleave[: len(made.topologies)]
    return msgspec.structs.replace(made, interleave=turns) if made.interleave == turns + turns[::-1] else made


def _key(option: str) -> str:
    """``--rate`` is ``check.rate`` to whoever wrote it there."""
    return f"check.{NAMES.get(option, option.removeprefix('--'))}" if option in NAMES or option[:2] == "--" else option


def _cells(settings: list[RunSettings], gates: Gates) -> list[Cell]:
    return [
        _cell(made, mitigations)
        for made in settings
        for mitigations in (None, *plan.mitigations_asked(gates, made.saga, _storm(made).name))
    ]


def _cell(settings: RunSettings, removed: str | None) -> Cell:
    """``removed``: the mitigations that a gate is against; else the run has those that the settings have."""
    if removed is not None:
        settings = msgspec.structs.replace(settings, mitigations=_MITIGATIONS.read(removed))
    resolved = msgspec.to_builtins(_storm(settings))
    return Cell(
        name=" ".join(filter(None, (settings.saga, str(resolved["name"]), removed))),
        flags=_flags(settings),
        cases=tuple(cases_of(settings, resolved)),
        storm_digest=hashlib.sha256(msgspec.json.encode(resolved, order="sorted")).hexdigest()[:12],
        reference=removed is not None,
        planned_s=budget.planned_run_s(settings),
    )


def _storm(settings: RunSettings) -> storms.Storm:
    return storms.load(settings.storm, registry.saga(settings.saga), settings.duration_s, settings.rate_per_s)


def _flags(settings: RunSettings) -> dict[str, str]:
    """All that decides a run, in so many words: so that it is the same whatever a revision's own defaults are."""
    values = {option.name: getattr(settings, option.field) for option in (*options.OPTIONS, options.BACKEND)}
    changed = ",".join(f"{name}={value}" for name, value in settings.mitigations.chosen().items())
    texts = {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if name != "seed"} | {"mitigations": changed}


def _times(
    matrix: Matrix, repeats: str | None, time: str | None, problems: list[Problem]
) -> tuple[int | None, float | None]:
    """How often, and for how long."""
    wanted = repeats if repeats is not None else matrix.repeats
    count = int(wanted) if wanted is not None and str(wanted).isdecimal() else 0
    if wanted is not None and not 1 <= count <= MOST_REPEATS:
        field = "--repeats" if repeats is not None else "check.repeats"
        problems.append(Problem(field, wanted, f"a whole number from 1 to {MOST_REPEATS}"))
    field, span = ("--budget", time) if time is not None else ("check.budget", matrix.budget)
    budget_s = None if span is None else attempt(problems, lambda: plan.seconds(field, span))
    return count or None, budget_s


def _base_commit(here: Repository | None, base: str | None, lock: str, problems: list[Problem]) -> str | None:
    if base is None:
        return None
    if here is None:
        problems.append(Problem("--base", base, "given in a git repository"))
        return None
    commit = attempt(problems, lambda: here.commit(base))
    if commit and not here.has(commit, lock):
        problems.append(
            Problem("--base", base, f"a revision with a {lock} to build it from (check.lock names another)")
        )
    return commit


def _own(folder: Path) -> Path:
    return next((path for path in (folder / "gates.toml", folder / PYPROJECT) if path.is_file()), folder / PYPROJECT)


def _check_table(path: Path) -> object:
    """The table ``check``, empty where there is none; of what is wrong with the file itself, the gates' reader tells."""
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    for name in ("tool", "sagastorm", "gates") if path.name == PYPROJECT else ():
        table = table.get(name) if isinstance(table, dict) else None
    return table.get("check", {}) if isinstance(table, dict) else {}
