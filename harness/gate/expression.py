"""Limits as people write them (``< 800 ms``, ``ratio < 1.10``, ``10%``), and back."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.gate.metrics import Metric
from harness.gate.model import Gate, Quantity
from harness.report.wording import ATTACHED

OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
SCALES: Final[Mapping[str, Mapping[str, float]]] = {
    "ms": {"ms": 1.0, "s": 1e3, "min": 6e4},
    "s": {"ms": 1e-3, "s": 1.0, "min": 60.0},
    "/s": {"/s": 1.0},
    "%": {"%": 0.01},
    "x": {"x": 1.0, "": 1.0},
    "": {"": 1.0},
}
"""By the unit of a metric, what its limits may be written in, and how many of it one of them is."""
POINTS: Final = "pp"
"""Percentage points: what two shares differ by."""
_LIMIT = re.compile(
    rf"\s*(?:({Quantity.RATIO}|{Quantity.DIFFERENCE})\s+)?(<=|>=|==|<|>)\s*(-?\d+(?:_\d+)*(?:\.\d+)?)\s*(\S*)\s*"
)
_TOLERANCE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(\S*)\s*")


@dataclass(frozen=True)
class Limit:
    """What an expression says, in the unit of the metric."""

    quantity: Quantity
    operator: str
    limit: float
    unit: str


def parse_limit(text: str, metric: Metric, *, relative: bool) -> Limit | str:
    """``[ratio|difference] OPERATOR NUMBER [UNIT]``; or, where that cannot be made of it, what is valid."""
    found = _LIMIT.fullmatch(text)
    if not found:
        return _how(metric, relative=relative)
    quantity, sign, number, unit = Quantity(found[1] or Quantity.VALUE), found[2], float(found[3]), found[4]
    if relative and (quantity is Quantity.VALUE or sign == "=="):
        return _how(metric, relative=True)
    if not relative and quantity is not Quantity.VALUE:
        return f"a {quantity} is of two things: add against, such as against = {BASE_SHOWN}"
    if quantity is Quantity.RATIO:
        if metric.unit == "%":
            return f"a ratio of two small shares is mostly noise; such as {_example(metric, relative=True)}"
        return Limit(quantity, sign, number, "x") if unit in SCALES["x"] and number > 0 else "such as ratio < 1.10"
    scales = {POINTS: 0.01} if quantity is Quantity.DIFFERENCE and metric.unit == "%" else SCALES[metric.unit]
    if unit not in scales:
        return f"{metric.path} is {_measured_in(scales)}; such as {_example(metric, relative=relative)}"
    limit = number * scales[unit]
    if quantity is Quantity.VALUE and _idle(sign, limit, 1.0 if metric.unit == "%" else math.inf):
        span = "from 0 to 100 %" if metric.unit == "%" else "not below 0"
        return f"{span}; {sign} {number:g} is always, or never, kept"
    if quantity is Quantity.DIFFERENCE and metric.unit == "%" and abs(limit) > 1:
        return f"from -100 to 100 {POINTS}"
    return Limit(quantity, sign, limit, metric.unit)


def _idle(sign: str, limit: float, most: float) -> bool:
    """Whether a figure from 0 to ``most`` is always on the same side."""
    return not 0 <= limit <= most or (sign, limit) in {(">=", 0.0), ("<", 0.0), ("<=", most), (">", most)}


def parse_tolerance(text: str, metric: Metric) -> Limit | str:
    """``10%`` or, of a share, ``2 pp``: by how much the metric may be worse; or what is valid."""
    found = _TOLERANCE.fullmatch(text)
    unit = POINTS if metric.unit == "%" else "%"
    if not found or found[2] != unit or float(found[1]) <= 0:
        return f"such as {'2 pp: a share may differ by percentage points' if unit == POINTS else '10%'}"
    by = float(found[1]) / 100
    sign = ">=" if metric.less_is_worse else "<="
    if unit == POINTS:
        return Limit(Quantity.DIFFERENCE, sign, -by if metric.less_is_worse else by, "%")
    if metric.less_is_worse and by >= 1:
        return "less than 100%, as less of it is worse and there cannot be less than none"
    return Limit(Quantity.RATIO, sign, 1 - by if metric.less_is_worse else 1 + by, "x")


def holds(gate: Gate, value: float) -> bool:
    """Whether a value is on the right side of the gate's limit."""
    return OPERATORS[gate.operator](value, gate.limit)


def told(gate: Gate) -> str:
    """``ratio <= 1.1x``, ``< 800 ms``: the limit in the metric's unit, whichever it was written in."""
    quantity = "" if gate.quantity is Quantity.VALUE else f"{gate.quantity} "
    return f"{quantity}{gate.operator} {told_value(gate, gate.limit)}"


def told_value(gate: Gate, value: float | None) -> str:
    """A value of the gate, with its unit, exact enough to be held against the limit."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "without end" if value > 0 else "none"
    if gate.unit == "%":
        return f"{100 * value:.4g} {POINTS if gate.quantity is Quantity.DIFFERENCE else '%'}"
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{number}{'' if gate.unit in ATTACHED else ' '}{gate.unit}"


BASE_SHOWN: Final = '"base"'


def _how(metric: Metric, *, relative: bool) -> str:
    form = "ratio or difference, < <= > or >=, a number" if relative else "< <= > >= or ==, a number, its unit"
    return f"{form}; such as {_example(metric, relative=relative)}"


def _example(metric: Metric, *, relative: bool) -> str:
    sign = ">" if metric.less_is_worse else "<"
    if relative:
        if metric.unit == "%":
            return f"difference {sign} {'-' if metric.less_is_worse else ''}2 {POINTS}"
        return f"ratio {sign} {'0.90' if metric.less_is_worse else '1.10'}"
    examples = {"ms": "800 ms", "s": "10 s", "/s": "20 /s", "%": "12 %", "x": "1.5"}
    return f"{sign} {examples.get(metric.unit, '10')}"


def _measured_in(scales: Mapping[str, float]) -> str:
    names = [name for name in scales if name]
    return f"in {' or '.join(names)}" if names else "a plain number"
