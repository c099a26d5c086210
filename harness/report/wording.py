"""How figures and untrusted text are written, the same in the terminal, on the page and in Markdown."""

from __future__ import annotations

import math

from harness.report.compare import Difference, Interval
from harness.report.figures import Figure, Missing

NOT_MEASURED = "-"
ATTACHED = ("", "/s", "x")
"""Units that follow the number without a space."""
MOST_DIGITS = 5
"""After the point."""


def plain(text: str) -> str:
    """Text from outside (saga ids, errors, witnesses) without control characters: they could steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def number(value: float | None) -> str:
    """Two or three figures, which is more than a run on a shared machine can tell apart."""
    if value is None:
        return NOT_MEASURED
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    # Hops of an emulator last hundredths of a millisecond: two figures of them, and an end to the noise of floats.
    digits = min(MOST_DIGITS, max(2, 1 - math.floor(math.log10(abs(value)))))
    return f"{value:.{digits}f}"


def measured(value: float | None, unit: str) -> str:
    """A number with its unit. A share (unit ``%``) is given as a fraction and told in per cent."""
    if value is None:
        return NOT_MEASURED
    if unit == "%":
        return f"{100 * value:.1f} %"
    return f"{number(value)}{'' if unit in ATTACHED else ' '}{unit}"


def amplified(value: float | None) -> str:
    """``1.004x``: what matters of an amplification is how far it is above 1."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.3f}x" if value < 2 else f"{number(value)}x"


def signed(value: float, unit: str) -> str:
    """As :func:`measured`, with the sign of a difference; shares in percentage points."""
    if unit == "%":
        return f"{_signed(100 * value, 1)} pp"
    text = measured(abs(value), unit)
    return text if value == 0 else f"{'-' if value < 0 else '+'}{text}"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+,.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def ratio(difference: Difference) -> str:
    """``0.77x``, or the difference of a share."""
    if difference.ratio is not None:
        return f"{difference.ratio:.2f}x"
    return NOT_MEASURED if difference.difference is None else signed(difference.difference, difference.unit)


def ratio_interval(difference: Difference) -> str:
    """``0.71 to 0.87``, of what :func:`ratio` tells; empty where there is no interval."""
    if difference.ratio is not None:
        bounds = difference.ratio_interval
        return f"{bounds.low:.2f} to {bounds.high:.2f}" if bounds else ""
    return _absolute(difference.difference_interval, difference.unit)


def in_units(difference: Difference) -> str:
    """``-61.5 ms (-77.1 to -36.6 ms)``: the difference itself, for what is told as a ratio; else empty."""
    if difference.ratio is None or difference.difference is None:
        return ""
    bounds = _absolute(difference.difference_interval, difference.unit)
    return signed(difference.difference, difference.unit) + (f" ({bounds})" if bounds else "")


def told(difference: Difference) -> str:
    """The ratio with its interval; ``~`` in front where it is not clear (:attr:`.Difference.clear`)."""
    unclear = difference.difference is not None and ratio_interval(difference) and not difference.clear
    return f"{'~ ' if unclear else ''}{with_interval(difference)}"


def with_interval(difference: Difference) -> str:
    """The ratio with its interval, and no word on whether it is clear."""
    if difference.difference is None:
        return NOT_MEASURED
    return f"{ratio(difference)} ({ratio_interval(difference) or 'no interval'})"


def _absolute(interval: Interval | None, unit: str) -> str:
    if interval is None:
        return ""
    scale = 100 if unit == "%" else 1
    digits = 1 if max(abs(interval.low), abs(interval.high)) * scale < 100 else 0
    return f"{_signed(scale * interval.low, digits)} to {_signed(scale * interval.high, digits)}"


def recovered(figure: Figure) -> str:
    """Seconds; ``never in 45 s`` where a topology was watched for 45 s after the storm and did not recover."""
    if not isinstance(figure, Missing):
        return f"{figure:.0f} s"
    return NOT_MEASURED if figure.longer_than_s is None else f"never in {figure.longer_than_s} s"


def count(value: int | None) -> str:
    """A whole number with separators."""
    return NOT_MEASURED if value is None else f"{value:,}"
