"""A Prometheus server that is asked, and Grafana's way of asking it."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.compose.outside import LIMIT_S

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool") and shutil.which("wget")),
    reason="no prometheus, promtool or wget here: apt-get install prometheus wget",
)
Series = dict[str, Any]
"""Its labels as ``metric``, and one ``value`` or many ``values``: pairs of a time and a number as text."""


@dataclass(frozen=True)
class Server:
    """One that runs. What it does not understand, it refuses with an error."""

    url: str

    def at(self, query: str, at_s: float | None = None) -> list[Series]:
        """The answer at one time; now, where none is given."""
        asked = {"query": query} | ({} if at_s is None else {"time": str(at_s)})
        series: list[Series] = self.get("query", asked)["result"]
        return series

    def over(self, query: str, from_s: float, to_s: float, step_s: float = 1.0) -> list[Series]:
        """The answers over a time."""
        asked = {"query": query, "start": str(from_s), "end": str(to_s), "step": str(step_s)}
        series: list[Series] = self.get("query_range", asked)["result"]
        return series

    def get(self, path: str, asked: dict[str, str] | None = None) -> Any:
        """What its API has to say."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urlencode(asked or {})}", timeout=LIMIT_S) as answer:
            return json.loads(answer.read())["data"]


def asked_by_grafana(expression: str, run: str, saga: str, topology: str, shown_s: int) -> str:
    """With the variables of a page in it. A look every second; the data source says that scrapes are as many."""
    for name, value in {
        "__range": f"{shown_s}s",
        "__rate_interval": "4s",
        "run": run,
        "saga": saga,
        "topology": topology,
    }.items():
        expression = expression.replace(f"${name}", value)
    assert not re.search(r"\$[a-z_]", expression)
    return expression
