"""Journeys as rows of a waterfall: what the page and the terminal draw, in words and to scale."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.report.journeys import Journey, Kind, Moment, ended, title
from harness.report.model import Report
from harness.report.selection import ANOMALOUS, COMPENSATED, SLOWEST, STRUCK_MOST, UNRESOLVED, Chosen
from harness.report.traffic import Traffic
from harness.report.wording import plain

MOST_ROWS = 40
"""Of one journey on the page: of a longer one the first and the last are shown, and how many lie between."""
MARKS = {
    Kind.CLIENT: "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}",
    Kind.DONE: "\N{BLACK SQUARE}",
    Kind.REFUSED: "\N{BLACK DIAMOND}",
    Kind.FAILED: "\N{MULTIPLICATION SIGN}",
    Kind.AGAIN: "\N{WHITE SQUARE}",
    Kind.OTHER: "\N{WHITE DIAMOND}",
    Kind.STRIKE: "!",
    Kind.REPAIR: "+",
}
"""So that nothing is told by color alone."""
WORDS = {
    Kind.CLIENT: "client",
    Kind.DONE: "done",
    Kind.REFUSED: "refused",
    Kind.FAILED: "failed",
    Kind.AGAIN: "again, from the record",
    Kind.OTHER: "",
    Kind.STRIKE: "fault",
    Kind.REPAIR: "",
}
LEGEND = tuple(
    f"{MARKS[kind]} {what}"
    for kind, what in (
        (Kind.DONE, "done"),
        (Kind.REFUSED, "refused"),
        (Kind.FAILED, "failed, to be tried again"),
        (Kind.AGAIN, "a duplicate, answered from the record"),
        (Kind.STRIKE, "a fault struck"),
        (Kind.CLIENT, "the client"),
    )
)
BACK = "\N{LEFTWARDS ARROW WITH HOOK}"
"""Before a step that only undone sagas take."""
BUTTONS = (
    (SLOWEST, "slowest"), (COMPENSATED, "a compensated one"), (ANOMALOUS, "an anomalous one"),
    (STRUCK_MOST, "struck most"), (UNRESOLVED, "end not known"),
)  # fmt: skip
"""Kinds of journeys that one looks for, and what the way to each is called."""


@dataclass(frozen=True)
class Row:
    """One line. ``left`` and ``width`` are in per cent of the time that is shown."""

    kind: Kind
    at: str
    took: str
    what: str
    whom: str
    told: str
    left: float
    width: float


@dataclass(frozen=True)
class Waterfall:
    """One journey. ``hidden``: rows left out, before ``rows[gap]``."""

    journey: Journey
    title: str
    ended: str
    rows: tuple[Row, ...]
    hidden: int = 0
    gap: int = 0


@dataclass(frozen=True)
class Shown:
    """One chosen arrival: its waterfalls, all to one scale."""

    id: str
    name: str
    why: str
    kinds: frozenset[str]
    until: str
    waterfalls: tuple[Waterfall, ...]


def shown(report: Report) -> list[Shown]:
    """Every chosen arrival, ready to be drawn."""
    back = {traffic.topology: steps_back(traffic) for traffic in report.traffic}
    return [_shown(number, chosen, back) for number, chosen in enumerate(report.chosen, 1)]


def steps_back(traffic: Traffic) -> frozenset[str]:
    """Steps that only sagas took that did not complete."""
    return frozenset(hop.step for hop in traffic.hops) - {hop.step for hop in traffic.hops if not hop.back}


def rows(journey: Journey, until_ms: float, back: Collection[str] = ()) -> tuple[Row, ...]:
    """All moments of a journey, on a scale that ends at ``until_ms``."""
    return tuple(_row(moment, until_ms, back) for moment in journey.moments)


def duration(ms: float) -> str:
    """Milliseconds below ten seconds, else seconds: the waits of a saga go from one to the other."""
    return f"{ms:,.0f} ms" if ms < 10_000 else f"{ms / 1000:,.1f} s"


def _shown(number: int, chosen: Chosen, back: dict[str, frozenset[str]]) -> Shown:
    first = chosen.journeys[0]
    until_ms = max(journey.end_ms for journey in chosen.journeys)
    which = f"saga {first.saga_id}" if first.arrival is None else f"arrival {first.arrival}"
    return Shown(
        id=f"saga-{number}",
        name=f"round {first.round + 1}, {which}",
        why="; ".join(reason.words for reason in chosen.reasons),
        kinds=frozenset(reason.kind for reason in chosen.reasons),
        until=duration(until_ms),
        waterfalls=tuple(_waterfall(each, until_ms, back.get(each.topology, ())) for each in chosen.journeys),
    )


def _waterfall(journey: Journey, until_ms: float, back: Collection[str]) -> Waterfall:
    every = rows(journey, until_ms, back)
    hidden = max(0, len(every) - MOST_ROWS)
    gap = MOST_ROWS // 2 if hidden else 0
    kept = every if not hidden else every[:gap] + every[gap + hidden :]
    return Waterfall(journey, title(journey), ended(journey), kept, hidden, gap)


def _row(moment: Moment, until_ms: float, back: Collection[str]) -> Row:
    told = [f"{MARKS[moment.kind]} {WORDS[moment.kind]}".strip(), moment.attempt, moment.note]
    scale = 100 / until_ms if until_ms > 0 else 0.0
    takes_time = moment.kind not in (Kind.CLIENT, Kind.STRIKE, Kind.REPAIR)
    left = min(100.0, max(0.0, moment.at_ms * scale))
    return Row(
        kind=moment.kind,
        at=f"{moment.at_ms:,.1f}",
        took=f"{moment.took_ms:,.1f}" if takes_time else "",
        what=plain(f"{BACK} {moment.what}" if takes_time and moment.what in back else moment.what),
        whom=plain(moment.whom),
        told=plain(", ".join(filter(None, told))),
        left=round(left, 2),
        width=round(min(moment.took_ms * scale, 100 - left), 2),
    )


def ways(shown: Sequence[Shown]) -> list[tuple[str, str]]:
    """(id, name) of the first one of every kind that there is."""
    return [
        (found.id, name)
        for kind, name in BUTTONS
        if (found := next((each for each in shown if kind in each.kinds), None))
    ]


def place_of(shown: Sequence[Shown]) -> dict[str, str]:
    """Where on the page the journey of a saga is, by its id."""
    return {plain(each.journey.saga_id): one.id for one in shown for each in one.waterfalls}
