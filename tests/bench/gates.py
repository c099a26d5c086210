"""``make bench-gates``: how often the gates of ``gates.toml`` are wrong on this machine, beside the usual percentage gate.

An unchanged build and one that was made slower (``planted_slowness/``) are measured in turns with their base, block by
block; checks are then formed from every choice of those blocks. Planted bugs (``tests/planted_bugs``) come from the world
in memory. Measured runs stay in ``runs/bench-gates``: started again it measures more, ``--minutes 0`` only counts. The table goes
into ``docs/gates.md``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from harness.core.verdict import RunVerdict
from harness.gate.judge import judge_gates
from harness.gate.model import BASE, Gates, Tier
from harness.gate.read import read_gates
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.report.metrics import RECOVERY
from harness.report.model import Report
from harness.report.write import SUMMARY, read_report, write_report
from harness.run.locust import locust_load
from harness.run.progress import teller
from harness.run.run import execute, prepare
from harness.settings import RunSettings
from tests.bench.gate_checks import (
    AGAIN,
    SLOWER,
    TOPOLOGY,
    USUAL_TOLERANCE,
    Round,
    Tally,
    in_pairs,
    judged_by,
    judged_by_percentage,
    p50_ms,
    rounds,
    slowness,
    tally,
    usual,
)
from tests.planted_bugs.participant_bugs import PARTICIPANT_BUGS
from tests.planted_bugs.planted import PlantedBug
from tests.planted_bugs.topology_bugs import TOPOLOGY_BUGS
from tests.report import synthetic_run
from tests.world.chronicle import write_history
from tests.world.world import HEALTHY, World

PLANTED = Path(__file__).with_name("planted_slowness")
RUNS = Path("runs") / "bench-gates"
PAGE = Path("docs") / "gates.md"
BEGIN, END = "<!-- bench-gates: begin -->", "<!-- bench-gates: end -->"
RATE_PER_S, DURATION_S = 20.0, 15.0
SLOWER_BY = 0.15
SIZES = (4, 6, 8, 12)
"""Pairs of blocks in a check."""
BLOCK_S = 25.0
"""About what a block takes with everything around it; the last run begins only if it should end in time."""


def settings(storm: str, seed: int, topologies: tuple[str, ...], interleave: str) -> RunSettings:
    """Of one run."""
    return RunSettings(
        storm=storm,
        seed=seed,
        topologies=topologies,
        interleave=interleave,
        rate_per_s=RATE_PER_S,
        duration_s=DURATION_S,
    )


def measure(asked: RunSettings, folder: Path) -> Path:
    """The run with these settings, made if it is not there."""
    for summary in folder.glob(f"*/{SUMMARY}"):
        if run_file.load(summary.parent).settings == asked:
            return summary.parent
    with teller(Console()) as telling:
        run = prepare(asked, folder, telling, "make bench-gates")
        uvloop.run(execute(run, locust_load))
    if run.interrupted:
        raise KeyboardInterrupt
    if run.failure:
        raise run.failure
    write_report(run.folder)
    return run.folder


def collect(storm: str, limit_s: float) -> list[Round]:
    """All rounds that were ever measured under this storm, with as many more as fit into the time."""
    began_s = time.monotonic()
    folder = RUNS / storm
    known = len(list(folder.glob("seed-*/*/summary.json")))
    if known or limit_s:
        os.environ["PLANTED_LATE_MS"] = f"{max(1.0, SLOWER_BY * _usual_ms(storm, folder / 'first')):.0f}"
    made: list[Round] = []
    seed = 1
    while seed <= known or time.monotonic() - began_s + 6 * BLOCK_S <= limit_s:
        # Backwards every second time: of two that are alike none is always first.
        turns = "ABCCBA" if seed % 2 else "CBAABC"
        asked = settings(storm, seed, (TOPOLOGY, AGAIN, SLOWER), turns)
        made += rounds(measure(asked, folder / f"seed-{seed}"))
        seed += 1
    return made


def _usual_ms(storm: str, folder: Path) -> float:
    """The median completion time of an unchanged build: what the slower one is to be slower than."""
    report = read_report(measure(settings(storm, 0, (TOPOLOGY,), "A"), folder))
    median_ms = report.summary.topologies[TOPOLOGY].completion_ms.p50
    if report.judgement.verdict is not RunVerdict.PASS or median_ms is None:
        shutil.rmtree(folder)  # another try measures again
        sys.exit(f"This machine is not fit to measure on now: {' '.join(report.judgement.reasons)}")
    return median_ms


BugTallies = tuple[Tally, Tally, Tally, Tally]
"""(bugs, cured twins) by the invariants, then by the usual gate with the twin as what was stored."""


def worlds(bugs: Iterable[PlantedBug]) -> Iterator[tuple[World, World, str]]:
    """Each planted bug and its cured twin, in each topology that it can be in; both have run."""
    for bug in bugs:
        for topology in bug.topologies:
            pair = World(bug.plant(HEALTHY[topology]), bug.plan), World(HEALTHY[topology], bug.plan)
            for world in pair:
                world.run()
            yield (*pair, topology)


def reported(world: World, topology: str, folder: Path) -> Report:
    """What a world leaves, as a run."""
    folder.mkdir(parents=True)
    made = msgspec.structs.replace(
        synthetic_run.run(synthetic_run.Spec(topologies=(topology,), interleave="A", storm=False)), run_id=folder.name
    )
    run_file.save(folder, made)
    block = write_history(world, folder, topology)
    with History(folder / FILE_NAME) as history:
        history.import_spool(block.block, folder / "spool" / str(block.block))
    return read_report(folder, world.plan.saga)


def of_bugs(hard: Gates, bugs: Iterable[PlantedBug]) -> BugTallies:
    """How many of them are found."""
    found: list[list[RunVerdict]] = [[], [], [], []]
    with tempfile.TemporaryDirectory(prefix="sagastorm-bugs-") as folder:
        for number, (buggy, cured, topology) in enumerate(worlds(bugs)):
            own = reported(buggy, topology, Path(folder) / f"bug-{number}")
            twin = reported(cured, topology, Path(folder) / f"cured-{number}")
            found[0].append(judge_gates(hard, [own]).verdict)
            found[1].append(judge_gates(hard, [twin]).verdict)
            found[2].append(judged_by_percentage(own, twin))
            found[3].append(judged_by_percentage(twin, twin))
    of_bug, of_twin, usual_of_bug, usual_of_twin = (tally(outcomes, len(outcomes)) for outcomes in found)
    return of_bug, of_twin, usual_of_bug, usual_of_twin


def _of(gates: Gates, tier: Tier) -> Gates:
    chosen = tuple(gate for gate in gates.gates if gate.tier is tier)
    return msgspec.structs.replace(gates, gates=chosen)


def _cell(found: Tally | None) -> str:
    if found is None or not found.apart:
        return "-"
    low, high = found.interval()
    unsure = f", {found.inconclusive / found.checks:.0%} inconclusive" if found.inconclusive else ""
    return f"{found.rate:.1%} ({low:.0%} to {high:.0%}; {found.checks} checks, {found.apart} apart{unsure})"


def table(made: list[Round], gates: Gates, of_bugs: BugTallies) -> list[str]:
    """The lines of the table."""
    hard, cliffs, relative = (_of(gates, tier) for tier in (Tier.INVARIANT, Tier.ABSOLUTE, Tier.RELATIVE))
    if not made[0].base.run.storm["faults"]:  # nothing to recover from
        rest = tuple(gate for gate in cliffs.gates if gate.metric not in RECOVERY)
        cliffs = msgspec.structs.replace(cliffs, gates=rest)
    bugs, cured, usual_bugs, usual_cured = of_bugs
    size = SIZES[0]

    def row(name: str, same: Tally | None, slower: Tally | None, found: Tally | None, twins: Tally | None) -> str:
        return f"| {name} | {_cell(same)} | {_cell(slower)} | {_cell(found)} | {_cell(twins)} |"

    lines = [
        "| gate | an unchanged build fails | a slower one fails | planted bugs fail | their cured twins fail |",
        "| --- | --- | --- | --- | --- |",
        row("invariants", in_pairs(made, size, judged_by(hard), slower=False), None, bugs, cured),
    ]
    for size in SIZES:
        same, slower = (in_pairs(made, size, judged_by(relative), slower=slow) for slow in (False, True))
        lines.append(row(f"against the base, {size} pairs", same, slower, None, None))
    same, slower = (in_pairs(made, SIZES[0], judged_by(cliffs), slower=slow) for slow in (False, True))
    lines.append(row("cliffs", same, slower, None, None))
    name = f"the usual one: one run, {USUAL_TOLERANCE - 1:.0%} above a stored p50"
    same, slower = (usual(made, slower=slow) for slow in (False, True))
    return [*lines, row(name, same, slower, usual_bugs, usual_cured)]


def conditions(made: list[Round], storm: str) -> str:
    """Under what the table was made."""
    run = made[0].base.run
    medians_ms = sorted(value for each in made if (value := p50_ms(each.base)))
    runs = {each.base.run.settings.seed for each in made}
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench-gates` at commit {run.commit}, on {run.machine['cores']} cores "
        f"({run.machine['cpu']}), shared with whatever else ran there: {len(made)} rounds in {len(runs)} runs, storm {storm}, "
        f"{RATE_PER_S:g} sagas/s for {DURATION_S:g} s a block, orchestrated. A round is a block of the base, of the same again "
        f"and of one that replies late in one step, with the same arrivals, within about {3 * BLOCK_S / 60:.1f} minutes (in a "
        f"check with --base the two are of two runs, as far apart). The slower one's p50 was {slowness(made):.2f} times the base's; "
        f"the base's own lay between {medians_ms[0]:.0f} and {medians_ms[-1]:.0f} ms. A check is a choice of rounds; choices share blocks, so that the interval (95 %, Wilson) is "
        f"that of as many checks as are apart. The usual gate sees one block, and the number that a block of another round has left. "
        f"Planted bugs and their twins are those of `tests/planted_bugs`, in virtual time; the twins "
        f"are inconclusive for want of an instrument there that could have kept up."
    )


def written(page: str, lines: list[str]) -> str:
    """The page with these lines between its markers; at its end where it has none."""
    block = "\n".join([BEGIN, *lines, END])
    if BEGIN not in page:
        return f"{page.rstrip()}\n\n## How often gates are wrong\n\n{block}\n"
    before, _, rest = page.partition(BEGIN)
    return before + block + rest.partition(END)[2]


def main() -> None:
    """Measure, count, print, write."""
    parser = argparse.ArgumentParser(description="How often the gates are wrong on this machine.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to measure [30]")
    parser.add_argument("--storm", default="calm", help="under which storm [calm]")
    given = parser.parse_args()
    # Here and in every process that a run starts.
    sys.path.insert(0, str(PLANTED))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLANTED), os.environ.get("PYTHONPATH")]))
    collect(given.storm, given.minutes * 60)
    storms = sorted({path.parents[2].name for path in RUNS.glob("*/seed-*/*/summary.json")})
    measured = {storm: made for storm in storms if len(made := collect(storm, 0)) >= max(SIZES)}
    if given.storm not in measured:
        sys.exit(f"Too few rounds are measured under {given.storm}; a check takes up to {max(SIZES)} (--minutes)")
    gates = read_gates(Path("gates.toml"))
    assert any(gate.against == BASE for gate in gates.gates)
    found = of_bugs(_of(gates, Tier.INVARIANT), (*PARTICIPANT_BUGS, *TOPOLOGY_BUGS))
    lines = []
    for storm, made in measured.items():
        lines += ["", f"Storm {storm}:", "", *table(made, gates, found), "", conditions(made, storm)]
    print("\n".join(lines))
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
