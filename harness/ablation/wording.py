"""The table of an ablation in words and cells, the same in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from harness.ablation.change import NEVER, Change, Mark, Value
from harness.ablation.measures import MEASURES, Measure
from harness.ablation.table import Row, Table, measure_of
from harness.report.compare import CONFIDENCE, TAIL_ROUNDS
from harness.report.wording import NOT_MEASURED, amplified, measured, number, plain, signed

FIGURES = tuple(measure for measure in MEASURES if measure.heading)
FIGURE_HEADINGS = ("", "anomalies", *(str(measure.heading) for measure in FIGURES))
CHANGE_HEADINGS = ("without", "", "in", "everything on", "without it", "difference")
DOES_NOT_APPLY = "does not apply to this topology"
NO_DIFFERENCE = "no measurable difference"
NOTHING_TOLD = "no difference that can be told"
"""Of a cell in which there are differences without an interval: with one they might be told."""
MAY_BE_CHANCE = "may be chance"
EXPLAINED = (
    f"worse, better: the {CONFIDENCE:.0%} interval leaves no difference out, and of sagas no round says otherwise (in a "
    f"p99 it takes {TAIL_ROUNDS} rounds). new, gone: none in any block of the one and some in every block of the other. Of "
    "sagas the intervals are a paired bootstrap over slices of arrivals, of everything else Student's over the blocks in "
    "pairs. Runs of one seed meet the same arrivals: what the seed alone decides is the same in each, and its interval has "
    "no width. Intervals cover neither other seeds nor other machines."
)
OF_FIGURES = (
    "Figures are of a block, and the mean of the blocks; a p99 and the share undone are of all their sagas. undone: compensated "
    "by ended sagas; zombies: without a known end after the drain; dead: messages left in dead-letter queues; retries: "
    "attempts by first attempts, in all layers together and in each; backlog: the most messages that waited or were in "
    "work; oldest: the longest that a saga was under way; goodput: sagas that ended in the storm, by second; recovery: from "
    "the storm's end until completion times and backlog are back, or never for as long as they were watched. -: not measured."
)


def told(measure: Measure, value: Value) -> str:
    """A value of a measure."""
    if value == NEVER:
        return NEVER
    return amplified(value) if measure.unit == "x" else measured(value, measure.unit)


def difference(measure: Measure, change: Change) -> str:
    """``+3.2 s (+2.1 to +4.3)``, or a ratio."""
    if change.amount is None:
        return ""
    if change.is_ratio:
        interval = None if change.low is None else f"{change.low:.2f} to {change.high:.2f}"
        return f"{change.amount:.2f}x" + (f" ({interval})" if interval else "")
    if change.low is None or change.high is None:
        return signed(change.amount, measure.unit)
    scale = 100 if measure.unit == "%" else 1
    low, high = (f"{'-' if bound < 0 else '+'}{number(abs(bound * scale))}" for bound in (change.low, change.high))
    return f"{signed(change.amount, measure.unit)} ({low} to {high})"


def figure_cells(row: Row) -> list[str]:
    """A row of the table of figures, under :data:`FIGURE_HEADINGS`."""
    name = row.cell.name + ("" if row.applies else " (does not apply)")
    return [plain(name), anomalies(row), *(told(each, row.figures[each.name]) for each in FIGURES)]


def anomalies(row: Row) -> str:
    """By name, of a block."""
    if row.anomalies is None:
        return NOT_MEASURED
    found = [f"{plain(name)} {number(value)}" for name, value in row.anomalies.items() if isinstance(value, float)]
    return ", ".join(found) or "none"


def changes(table: Table, topology: str) -> Iterator[tuple[str, ...]]:
    """Rows under :data:`CHANGE_HEADINGS`: what is told of each cell, or that there is nothing to tell."""
    for row in table.topologies[topology]:
        if not row.cell.changed:
            continue
        name = plain(row.cell.name)
        for measure, change in _told(row):
            figures = (told(measure, change.base), told(measure, change.other), difference(measure, change))
            yield name, change.mark.value, plain(measure.name), *figures
            name = ""
        if name:
            yield name, "", _nothing_told(table, row), "", "", ""


def untold(table: Table, topology: str) -> list[str]:
    """A sentence for each cell in which there are differences of which nothing can be said."""
    lines = []
    for row in table.topologies[topology]:
        reasons: dict[str, list[str]] = {}
        for name, change in row.changes.items():
            if change.mark in (Mark.UNCLEAR, Mark.NO_INTERVAL):
                why = MAY_BE_CHANCE if change.mark is Mark.UNCLEAR else change.why or Mark.NO_INTERVAL
                reasons.setdefault(why, []).append(plain(name))
        if reasons:
            told_of = "; ".join(f"{why}: {', '.join(names)}" for why, names in reasons.items())
            lines.append(f"{plain(row.cell.name)}: {told_of}.")
    return lines


def _told(row: Row) -> list[tuple[Measure, Change]]:
    """What got worse first."""
    found = [(measure_of(name), change) for name, change in row.changes.items() if change.mark.told]
    return sorted(found, key=lambda each: each[1].mark in (Mark.BETTER, Mark.GONE))


def _nothing_told(table: Table, row: Row) -> str:
    if not row.applies:
        return DOES_NOT_APPLY
    if not row.changes:
        return _not_compared(table, row)
    return NOTHING_TOLD if any(change.mark is Mark.NO_INTERVAL for change in row.changes.values()) else NO_DIFFERENCE


def _not_compared(table: Table, row: Row) -> str:
    reasons = [each.reason for each in table.outcomes if each.cell == row.cell and not each.verdict and each.reason]
    if reasons:
        return f"not measured: {plain(reasons[0])}"
    return "not compared: no block of it and of everything on that met the same load"


def outcome_lines(table: Table) -> list[str]:
    """What the runs that did not pass say, one line for each."""
    return [
        plain(
            f"{each.cell.name}{f', round {each.round + 1}' if table.rounds > 1 else ''}: "
            f"{each.verdict or 'not measured'}{f': {each.reason}' if each.reason else ''}"
        )
        for each in table.outcomes
        if each.verdict != "pass"
    ]


def headline(table: Table) -> str:
    """What was asked."""
    rounds = f", {table.rounds} rounds" if table.rounds > 1 else ""
    return plain(f"saga {table.saga}, storm {table.storm}, seed {table.seed}, {table.load}{rounds}")


def made_on(table: Table) -> str:
    """What it was measured on."""
    return plain(f"backend {table.backend}, commit {', '.join(table.commits) or 'unknown'}, {table.machine}")


def by_chance(table: Table) -> str:
    """How many marks are to be expected where nothing differs."""
    drawn = sum(
        change.low is not None for rows in table.topologies.values() for row in rows for change in row.changes.values()
    )
    if not drawn:
        return ""
    expected = (1 - CONFIDENCE) * drawn
    return f"{drawn} differences have an interval: were there none, about {expected:.0f} would be marked by chance."


def notes(table: Table | None = None) -> list[str]:
    """What a reader must know to read it right; of one table, or of any."""
    of_table = [by_chance(table), *map(plain, table.notes)] if table else []
    return [each for each in (OF_FIGURES, EXPLAINED, *of_table) if each]
