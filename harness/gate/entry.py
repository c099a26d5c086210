"""One ``[[gate]]`` of a file: from its fields to a gate, or to everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from harness import registry
from harness.audit.checks import load_checks
from harness.core import mitigations
from harness.core.errors import Problem
from harness.gate.expression import Limit, parse_limit, parse_tolerance
from harness.gate.metrics import METRICS, Metric, metric_of
from harness.gate.model import BASE, MITIGATIONS, TOPOLOGY, Gate, Tier, Window

TEXTS: Final = ("name", "metric", "limit", "tolerance", "against", "topology", "saga", "storm", "window")
FIELDS: Final = (*TEXTS, "min_samples")


def fields_of(expression: str) -> dict[str, str]:
    """``completion_ms.p99 < 800 ms`` as the fields of a ``[[gate]]``, with or without spaces."""
    metric = re.split(r"[\s<>=]", expression.strip(), maxsplit=1)[0]
    return {"metric": metric, "limit": expression.strip().removeprefix(metric).strip()}


def gate_from(entry: Mapping[str, Any], where: str, problems: list[Problem]) -> Gate | None:
    """The gate; ``None`` where something was wrong with it, which has been added to the problems."""
    reading = _Entry(entry, where)
    gate = reading.gate() if reading.well_formed() else None
    problems += reading.problems
    return None if reading.problems else gate


class _Entry:
    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self._fields = fields
        self._where = f"{where} ({fields['name']})" if isinstance(fields.get("name"), str) else where
        self.problems: list[Problem] = []

    def well_formed(self) -> bool:
        """Known fields, of the right types, those that a gate cannot do without."""
        for field, value in self._fields.items():
            if field not in FIELDS:
                self._refuse(field, f"one of: {', '.join(FIELDS)}")
            elif field in TEXTS and not (isinstance(value, str) and value.strip()):
                self._refuse(field, "a string")
        least = self._fields.get("min_samples", 1)
        if not isinstance(least, int) or isinstance(least, bool) or least < 1:
            self._refuse("min_samples", "a whole number from 1")
        if "metric" not in self._fields:
            self._refuse("metric", "a path of summary.json, such as completion_ms.p99")
        if ("limit" in self._fields) == ("tolerance" in self._fields):
            self._refuse("limit", 'either a limit, such as "< 800 ms", or, with against, a tolerance, such as "10%"')
        return not self.problems

    def gate(self) -> Gate | None:
        """What the fields say; ``None`` where the metric is not known, without which the rest cannot be read."""
        found = metric_of(self._fields["metric"], load_checks())
        metric = found if isinstance(found, Metric) else None
        self._names()
        window, against = self._window(metric), self._against(metric)
        if metric is None:
            self._refuse("metric", str(found))
            return None
        limit = self._limit(metric, relative="against" in self._fields)
        if self.problems or limit is None:
            return None
        return Gate(
            name=self._name(metric),
            tier=Tier.RELATIVE if against else Tier.ABSOLUTE,
            metric=metric.path,
            quantity=limit.quantity,
            operator=limit.operator,
            limit=limit.limit,
            unit=limit.unit,
            topology=self._fields.get("topology"),
            saga=self._fields.get("saga"),
            storm=self._fields.get("storm"),
            window=window,
            against=against,
            min_samples=max(metric.needs, self._fields.get("min_samples", 1)),
        )

    def _refuse(self, field: str, valid: str) -> None:
        self.problems.append(Problem(f"{self._where}: {field}", self._fields.get(field), valid))

    def _names(self) -> None:
        for field in ("saga", "topology"):
            if field in self._fields and self._fields[field] not in registry.names(field):
                self._refuse(field, f"one of: {', '.join(registry.names(field))}")

    def _window(self, metric: Metric | None) -> Window | None:
        given = self._fields.get("window")
        if given is None:
            return None
        if given not in list(Window):
            self._refuse("window", f"one of: {', '.join(Window)}")
        elif metric and not metric.by_arrival:
            paths = ", ".join(path for path, each in METRICS.items() if each.by_arrival)
            self._refuse("window", f"{metric.path} is not made of single sagas; with a window, one of: {paths}")
        else:
            return Window(given)
        return None

    def _limit(self, metric: Metric, *, relative: bool) -> Limit | None:
        if "limit" in self._fields:
            field, found = "limit", parse_limit(self._fields["limit"], metric, relative=relative)
        elif relative:
            field, found = "tolerance", parse_tolerance(self._fields["tolerance"], metric)
        else:
            field, found = "tolerance", 'against something, such as against = "base"; without it, give a limit'
        if isinstance(found, Limit):
            return found
        self._refuse(field, found)
        return None

    def _against(self, metric: Metric | None) -> str | None:
        given: str | None = self._fields.get("against")
        if given is None:
            return None
        kind, name = next(
            ((kind, given.removeprefix(kind)) for kind in (TOPOLOGY, MITIGATIONS) if given.startswith(kind)),
            (given, ""),
        )
        if kind == TOPOLOGY:
            others = [each for each in registry.names("topology") if each != self._fields.get("topology")]
            if name not in others:
                self._refuse("against", f"{TOPOLOGY} and one of: {', '.join(others)}")
        elif kind == MITIGATIONS:
            self._mitigations(name)
        elif kind != BASE:
            self._refuse("against", f"{BASE}, {TOPOLOGY}NAME or {MITIGATIONS}NAME=VALUE,…")
        if metric and metric.path.startswith(("anomalies.", "faults.")):
            self._refuse("against", f"{metric.path} is a fact and no estimate; give it a limit of its own")
        return given

    def _mitigations(self, text: str) -> None:
        known = mitigations.values()
        pairs = [part.strip().partition("=") for part in text.split(",")]
        for name, _, value in pairs:
            if name not in known:
                self._refuse("against", f"{MITIGATIONS} and one of: {', '.join(known)}")
            elif value not in known[name][1:]:
                self._refuse("against", f"{name} other than by default: {', '.join(known[name][1:])}")

    def _name(self, metric: Metric) -> str:
        fields = self._fields
        if "name" in fields:
            return str(fields["name"]).strip()
        window = f"{fields['window']} the storm" if "window" in fields else None
        filters = [part for part in (fields.get("topology"), fields.get("saga"), fields.get("storm"), window) if part]
        asks = fields["limit"] if "limit" in fields else f"within {fields['tolerance']}"
        against = f" against {fields['against']}" if "against" in fields else ""
        return f"{', '.join([metric.path, *filters])} {asks.strip()}{against}"
