"""``docs/mitigations.md``: the ablations that show what the chapter claims, and what came of each claim.

``python -m harness.ablation.document`` measures what is not measured yet of the current commit and writes it; an hour or
more, which may be interrupted. With ``--only-write`` it measures nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.ablation.claims import Claim, Expects, Finding, Verdict, judged
from harness.ablation.markdown import body, grid
from harness.ablation.table import Table, read_table
from harness.ablation.wording import by_chance, notes
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_PASS
from harness.report.markdown import escaped
from harness.run import facts

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "mitigations.md"


@dataclass(frozen=True)
class Experiment:
    """One ablation of the document, under the storm that shows what it is for."""

    storm: str
    title: str
    without: str
    cells: str = ""
    rounds: int = 2
    duration_s: int = 25
    rate_per_s: int = 10
    """What `retry-storm` is made for; and no machine's limits are met by it."""

    def arguments(self, folder: Path) -> list[str]:
        """Of the command that measures it. The topologies take turns by cells and rounds, so once in each is enough."""
        given = ["ablate", "--storm", self.storm, "--without", self.without, "--interleave", "AB"]
        given += [
            "--rate",
            str(self.rate_per_s),
            "--duration",
            str(self.duration_s),
            "--rounds",
            str(self.rounds),
            "--out",
            str(folder),
        ]
        return [*given, "--cells", self.cells] if self.cells else given


UNPROTECTED: Final = "backoff=none + circuit-breaker=off + retry-budget=off + load-shedding=off"
"""What `retry-storm` needs removed to stay collapsed, see there."""
UNLOCKED: Final = "idempotency=none + semantic-lock=off"
"""Where a message comes twice, the lock on the record refuses what the missing idempotency lets through."""
UNREPAIRED: Final = "outbox=off + sweeper=off"
"""What nobody was told of, the sweeper finds."""
EXPERIMENTS: Final = (
    Experiment(
        "retry-storm",
        "Retries under overload",
        "backoff,jitter,circuit-breaker,retry-budget,load-shedding",
        UNPROTECTED.replace(" ", ""),
        rounds=3,
        duration_s=40,
    ),
    Experiment("duplicates", "Messages that come twice", "idempotency", UNLOCKED.replace(" ", "")),
    Experiment(
        "crashes",
        "Participants that die between two writes",
        "idempotency,outbox",
        UNREPAIRED.replace(" ", ""),
        rounds=1,  # what is looked for is effects that are missing or twice, of which one is enough
    ),
    Experiment("timeouts", "Writes that are lost, or whose answer is", "idempotency=naive"),
    Experiment("poison", "Messages that nobody can handle", "dead-letter-queue,attempt-limit"),
    Experiment(
        "split-brain",
        "Callbacks that are late or lost",
        "step-timeout,sweeper,tombstones",
        "step-timeout=off+sweeper=off",
    ),
)
"""By the storms' names."""
CLAIMS: Final = (
    Claim(
        "5.3.2.2", "Consumers that retry immediately add load to a system that is overloaded.",
        "retry-storm", "backoff=none", "amplification",
    ),
    Claim(
        "5.3.2.2", "Backoff lets an overloaded system recover: without, it takes longer.",
        "retry-storm", "backoff=none", "recovery",
    ),
    Claim(
        "5.3.2.2", "Jitter prevents a thundering herd when the service recovers: without, it takes longer.",
        "retry-storm", "jitter=none", "recovery",
    ),
    Claim(
        "5.3.2.2", "An open circuit fails fast without consuming resources on retries: without, more are consumed.",
        "retry-storm", "circuit-breaker=off", "AWS calls per saga",
    ),
    Claim(
        "5.3.2.2", "Unchecked retries are a feedback loop that makes the whole unresponsive: it does not heal in time.",
        "retry-storm", UNPROTECTED, "recovery",
    ),
    Claim(
        "5.3.2.2", "Unchecked retries multiply the attempts.",
        "retry-storm", UNPROTECTED, "amplification",
    ),
    Claim(
        "5.3.2.2", "Unchecked retries leave less done while the trouble lasts.",
        "retry-storm", UNPROTECTED, "goodput in the storm", Expects.LESS,
    ),
    Claim(
        "5.3.2.2", "A dead-letter queue takes the poison message out of the pipeline: without, it is never empty.",
        "poison", "dead-letter-queue=off", "did not run empty",
    ),
    Claim(
        "5.3.2.2", "Without a dead-letter queue the poison message is tried again and again.",
        "poison", "dead-letter-queue=off", "AWS calls per saga",
    ),
    Claim(
        "5.3.4", "A receiver that is not idempotent does it twice when it is told twice.",
        "duplicates", "idempotency=none", "effect-twice",
    ),
    Claim(
        "5.3.4", "A receiver that is not idempotent, and locks nothing, does it twice.",
        "duplicates", UNLOCKED, "effect-twice",
    ),
    Claim(
        "5.3.4", "Its example, the id first and then the business logic, executes exactly once: nothing twice.",
        "duplicates", "idempotency=naive", "effect-twice", Expects.NONE,
    ),
    Claim(
        "5.3.4", "Its example executes exactly once, however often it is delivered: nothing is left out.",
        "duplicates", "idempotency=naive", "effect-missing", Expects.NONE,
    ),
    Claim(
        "5.3.4", "Its example executes exactly once: nothing is left out where processes die.",
        "crashes", "idempotency=naive", "effect-missing", Expects.NONE,
    ),
    Claim(
        "5.3.4", "Its example executes exactly once: nothing is left out where writes fail.",
        "timeouts", "idempotency=naive", "effect-missing", Expects.NONE,
    ),
    Claim(
        "5.7.1", "Without a timeout a step whose callback never comes leaves a zombie.",
        "split-brain", "step-timeout=off", "zombies",
    ),
    Claim(
        "5.7.1", "Without a sweeper what is lost stays pending.",
        "split-brain", "sweeper=off", "zombies",
    ),
    Claim(
        "5.7.1", "Without timeouts and without a sweeper nobody ends what is lost.",
        "split-brain", "step-timeout=off + sweeper=off", "zombies",
    ),
)  # fmt: skip
"""Where the chapter gives no figure, its claim is that there is a difference, and which way it goes."""
INTRODUCTION: Final = """\
# What each mitigation buys

<!-- Made by `make bench-ablate`; do not edit. -->

Each ablation runs the same arrivals and the same storm with every mitigation on, then without one at a time, in both
topologies, all cells in turn and then all again. Held against it is what the chapter that sagastorm implements claims
of its mitigations, in 5.3.2 (retry storms), 5.3.4 (idempotency) and 5.7.1 (zombies). *Confirmed*: there clearly is
more (or less) of what it says there would be more (or less) of. *None found*: it says that there is none, and here was
none, which does not show that there never is. *Contradicted*: it clearly is the other way round. *Not seen*: neither could
be told; that no difference was found does not show that there is none either.
"""
READING: Final = "## How to read the tables\n"


def measure(folder: Path) -> int:
    """Run the ablations, each in its folder below; the exit code of one that could not be run at all, or 0."""
    for experiment in EXPERIMENTS:
        command = [sys.executable, "-m", "harness.cli.main", *experiment.arguments(folder / experiment.storm)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code not in (EXIT_PASS, EXIT_ENVIRONMENT):  # with the latter the tables say what was not measured
            return code
    return EXIT_PASS


def render(tables: Mapping[str, Table]) -> str:
    """The document; ``tables`` by the name of their storm."""
    findings = judged(CLAIMS, tables)
    lines = [INTRODUCTION, "## What the chapter claims, and what was measured\n"]
    lines += grid(
        ("section", "claim", "storm", "without", "in", "", "everything on", "without it", "difference"),
        map(_cells, findings),
        left=6,
    )
    lines += ["## Where the measurement does not bear the chapter out", "", *_against(findings), ""]
    for experiment in EXPERIMENTS:
        if table := tables.get(experiment.storm):
            lines += [f"## {experiment.title}: `{experiment.storm}`", "", *body(table, 3), *_beside(table)]
    lines.append(READING)
    lines += [f"- {escaped(note)}" for note in notes()]
    return "\n".join(lines) + "\n"


def _cells(finding: Finding) -> tuple[str, ...]:
    claim = finding.claim
    return (
        claim.section,
        claim.text,
        claim.storm,
        claim.cell,
        f"{claim.measure}, {finding.topology}",
        finding.verdict.value,
        finding.everything_on,
        finding.without,
        finding.difference,
    )


def _against(findings: list[Finding]) -> list[str]:
    lines = []
    for verdict in (Verdict.CONTRADICTED, Verdict.NOT_SEEN):
        for finding in findings:
            if finding.verdict is verdict:
                claim, figures = finding.claim, f"{finding.everything_on} with everything on, {finding.without} without"
                difference = f", {finding.difference}" if finding.difference else ""
                lines.append(
                    f"- **{verdict.value.capitalize()}** ({claim.section}, {escaped(finding.topology)}): {escaped(claim.text)} "
                    f"Measured, as {escaped(claim.measure)} under `{claim.storm}`: {escaped(figures + difference)}."
                )
    return lines or ["Nowhere, of what was measured."]


def _beside(table: Table) -> list[str]:
    return [f"{escaped(line)}\n" for line in (by_chance(table), *table.notes) if line]


def main() -> int:
    """Measure unless asked not to, and write."""
    folder = ROOT / "ablations" / f"mitigations-{facts.commit() or 'unknown'}"
    if "--only-write" not in sys.argv[1:] and (code := measure(folder)):
        return code
    tables = {
        experiment.storm: read_table(folder / experiment.storm)
        for experiment in EXPERIMENTS
        if (folder / experiment.storm).exists()
    }
    DOCUMENT.write_text(render(tables), encoding="utf-8")
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")
    return EXIT_PASS


if __name__ == "__main__":
    sys.exit(main())
