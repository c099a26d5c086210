"""A storm, drawn: when each of its faults strikes over the length of a load, and in words whom and how often."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rich.text import Text

from chaos.injector import Port
from chaos.storm import Fault, Storm
from harness import registry

NAME_WIDTH = 24
"""Of the names of faults, with the gap after them; longer ones are cut."""
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
BY_ARRIVAL, BY_CLOCK, IDLE = "█", "▒", "·"
LEGEND = {
    BY_ARRIVAL: "strikes the sagas that are due in this time",
    BY_CLOCK: "strikes whatever happens in this time",
}


def draw(storm: Storm, duration_s: float, width: int) -> Iterator[Text]:
    """Line by line, none longer than ``width`` characters."""
    names = min(NAME_WIDTH, max((len(fault.name) for fault in storm.faults), default=0) + 2)
    bars = width - names
    yield from _paragraph(f"{storm.name}: {storm.description}", width, "", "bold")
    if not storm.faults:
        return
    yield Text()
    yield Text(" " * names + _axis(duration_s, bars), "dim")
    marks = set()
    for fault in storm.faults:
        mark = _mark(fault)
        marks.add(mark)
        name = fault.name if len(fault.name) < names else fault.name[: names - 2] + "…"
        yield Text.assemble((name.ljust(names), "bold"), (_bar(fault, duration_s, bars, mark), "cyan"))
        yield from _paragraph(_words(fault), width, "  ", "dim")
    yield Text()
    for mark, meaning in LEGEND.items():
        if mark in marks:
            yield Text(f"{mark} {meaning}", "dim")


def _paragraph(text: str, width: int, indent: str, style: str) -> Iterator[Text]:
    for line in wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False):
        yield Text(line, style)


def _axis(duration_s: float, width: int) -> str:
    """The seconds at each quarter, the first to the left of its place, the last to the right, the others around it."""
    line = [" "] * width
    for quarter in QUARTERS:
        label = f"{round(quarter * duration_s, 2):g}" + (" s" if quarter == 1 else "")
        start = min(max(0, round(quarter * width - len(label) / 2)), width - len(label))
        line[start : start + len(label)] = label
    return "".join(line)


def _bar(fault: Fault, duration_s: float, width: int, mark: str) -> str:
    first = min(int(fault.start_s / duration_s * width), width - 1)
    end = max(first + 1, round(fault.end_s / duration_s * width))
    return IDLE * first + mark * (end - first) + IDLE * (width - end)


def _mark(fault: Fault) -> str:
    return BY_ARRIVAL if registry.lookup("fault", fault.kind).by_arrival else BY_CLOCK


def _words(fault: Fault) -> str:
    """``timeout (lost: request): charge, dynamodb:TransactWriteItems; 4% of attempts``."""
    options = ", ".join(f"{name}: {_value(value)}" for name, value in fault.options.items())
    kind = fault.kind + (f" ({options})" if options else "")
    if registry.lookup("fault", fault.kind).port is Port.ARRIVALS:
        return kind
    targets = ", ".join(filter(None, (fault.participant, fault.step, fault.call))) or "everything"
    attempts = "every attempt" if fault.probability == 1 else f"{100 * fault.probability:g}% of attempts"
    share = "" if fault.sagas == 1 else f" of {100 * fault.sagas:g}% of sagas"
    return f"{kind}: {targets}; {attempts}{share}"


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
