"""The topology as a picture: who talks to whom, read downwards, with the measured messages on every arrow.

One column for each who speaks or listens, one arrow for each way. Without anybody in the middle the arrows go from
participant to participant, as a ball does in a pinball machine; with a state machine they all start from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.traffic import INGRESS, START_EXECUTION, Hop, Traffic

STATE_MACHINE = "state machine"
WIDTH = 540.0
HEAD = 22.0
ROW = 34.0
CHARACTER = 6.0
"""Width of one in a label, about."""
LOOP = 16.0
"""How far an arrow to oneself goes out."""
RARE = 0.01
"""Ways that a smaller share of sagas went are in the table only: most are steps whose worker was killed before it could
record them."""


@dataclass(frozen=True)
class Column:
    """Who, in lines of a word, and where its line is."""

    words: tuple[str, ...]
    x: float


@dataclass(frozen=True)
class Arrow:
    """A way. ``weight``: of the line, by messages; ``again``: of the second line, 0 without duplicates and failures."""

    points: str
    label: str
    more: str
    label_x: float
    y: float
    weight: float
    again: float
    back: bool


@dataclass(frozen=True)
class Picture:
    """What is drawn of one topology, and the same as a table."""

    topology: str
    what: str
    summary: str
    columns: tuple[Column, ...]
    arrows: tuple[Arrow, ...]
    height: float
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


def draw(traffic: Traffic) -> Picture:
    """The picture of a topology's traffic."""
    hub = traffic.has_state_machine
    ways = _from_the_middle(traffic) if hub else list(traffic.hops)
    seen = [hop for hop in ways if hop.sagas >= RARE * traffic.sagas]
    x = _columns(seen, hub=hub)
    most = max((hop.messages for hop in seen), default=1)
    started = [_start(traffic, x)] if hub else []
    arrows = [*started, *(_arrow(hop, place + len(started), traffic, x, most) for place, hop in enumerate(seen))]
    left_out = len(ways) - len(seen)
    rare = f" In the table only: {left_out} more, which fewer than {RARE:.0%} of the sagas went." if left_out else ""
    return Picture(
        topology=traffic.topology,
        what=_what(traffic) + rare,
        summary="; ".join(
            f"{hop.source} to {hop.participant}: {_label(hop, traffic)}{_more(hop, traffic)}" for hop in seen
        ),
        columns=tuple(Column(tuple(name.split()), at) for name, at in x.items()),
        arrows=tuple(arrows),
        height=HEAD + ROW * len(arrows) + 24,
        headings=("from", "after", "to", "for", "sagas", "messages", "duplicates", "failed", "messages per saga"),
        rows=[_told(hop, traffic) for hop in traffic.hops],
    )


def _what(traffic: Traffic) -> str:
    """What one sees, with the calls that carry what has no arrow."""

    def per_saga(*names: str) -> str:
        return f"{sum(traffic.calls.get(name, 0.0) for name in names) / max(1, traffic.sagas):.2f}"

    if traffic.has_state_machine:
        calls = per_saga("stepfunctions:SendTaskSuccess", "stepfunctions:SendTaskFailure")
        return f"A state machine tells each participant what to do, and each reports back to it: {calls} callbacks by saga."
    calls = per_saga("events:PutEvents")
    return (
        "Nobody in the middle, as in a pinball machine: every arrow is an event, and whoever hears it acts and tells the "
        f"next; {calls} calls of PutEvents by saga."
    )


def _from_the_middle(traffic: Traffic) -> list[Hop]:
    """The same messages by step: whoever was before, the state machine sent them."""
    steps: dict[str, list[Hop]] = {}
    for hop in traffic.hops:
        # Where the last way to a step stands, there the step does: what undoes comes before what ends the undoing.
        steps[hop.step] = [*steps.pop(hop.step, ()), hop]
    return [
        Hop(
            before="",
            source=STATE_MACHINE,
            step=step,
            participant=each[0].participant,
            sagas=sum(hop.sagas for hop in each),
            messages=sum(hop.messages for hop in each),
            duplicates=sum(hop.duplicates for hop in each),
            failed=sum(hop.failed for hop in each),
            back=all(hop.back for hop in each),
        )
        for step, each in steps.items()
    ]


def _columns(hops: Sequence[Hop], *, hub: bool) -> dict[str, float]:
    """Where the line of each is: participants as sagas meet them, the state machine in their middle."""
    names = list(dict.fromkeys(hop.participant for hop in hops))
    if hub:
        names.insert((len(names) + 1) // 2, STATE_MACHINE)
    names.insert(0, INGRESS)
    space = WIDTH / len(names)
    return {name: round(space * (place + 0.5), 1) for place, name in enumerate(names)}


def _start(traffic: Traffic, x: dict[str, float]) -> Arrow:
    per_saga = traffic.calls.get(START_EXECUTION, 0.0) / max(1, traffic.sagas)
    y = HEAD + ROW + 10
    ends = x[INGRESS], x[STATE_MACHINE]
    return Arrow(_line(*ends, y), f"start {per_saga:.2f}", "", sum(ends) / 2, y, 2.0, 0.0, back=False)


def _arrow(hop: Hop, place: int, traffic: Traffic, x: dict[str, float], most: int) -> Arrow:
    start, end = x[hop.source], x[hop.participant]
    y = HEAD + ROW * (place + 1) + 10
    loop = start == end
    label, more = _label(hop, traffic), _more(hop, traffic)
    half = CHARACTER * len(label + more) / 2 + 4
    middle = start + LOOP + half if loop else (start + end) / 2
    return Arrow(
        points=f"{start},{y - 8} {start + LOOP},{y - 8} {start + LOOP},{y} {start + 5},{y}"
        if loop
        else _line(start, end, y),
        label=label,
        more=more,
        label_x=round(min(max(middle, half), WIDTH - half), 1),
        y=y,
        weight=round(1 + 2.5 * hop.messages / most, 2),
        again=round(1 + 2.5 * (hop.duplicates + hop.failed) / most, 2) if hop.duplicates + hop.failed else 0.0,
        back=hop.back,
    )


def _line(start: float, end: float, y: float) -> str:
    return f"{start},{y} {end - 5 if end > start else end + 5},{y}"  # ends before the column's line, where its head is


def _label(hop: Hop, traffic: Traffic) -> str:
    return f"{hop.step} {hop.messages / traffic.sagas:.2f}"


def _more(hop: Hop, traffic: Traffic) -> str:
    parts = (
        f"{amount / traffic.sagas:.2f} {name}"
        for amount, name in ((hop.duplicates, "again"), (hop.failed, "failed"))
        if amount >= RARE / 2 * traffic.sagas
    )
    told = ", ".join(parts)
    return f" ({told})" if told else ""


def _told(hop: Hop, traffic: Traffic) -> tuple[str, ...]:
    numbers = (hop.sagas, hop.messages, hop.duplicates, hop.failed)
    return (
        hop.source, hop.before or "the start", hop.participant, hop.step,
        *(f"{number:,}" for number in numbers),
        f"{hop.messages / traffic.sagas:.3f}",
    )  # fmt: skip


def call_rows(traffic: Sequence[Traffic]) -> list[tuple[str, ...]]:
    """AWS calls per saga by operation, of every topology; the most frequent first."""
    names = {name for each in traffic for name in each.calls}
    most = {name: max(each.calls.get(name, 0.0) for each in traffic) for name in names}
    return [
        (name, *(f"{each.calls.get(name, 0.0) / max(1, each.sagas):.2f}" for each in traffic))
        for name in sorted(names, key=lambda name: (-most[name], name))
    ]
