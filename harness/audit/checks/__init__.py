"""The checkers, one file each: ``late_step.py`` is the checker ``late-step`` and defines :data:`CHECK`.

A file put here is found by its name; other packages add theirs through the entry point group ``sagastorm.checks``.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points

from harness.audit.check import Check

GROUP = "sagastorm.checks"


def load_checks() -> dict[str, Check]:
    """Every checker by its anomaly's name, in the order of the names."""
    checks: dict[str, Check] = {}
    for module in pkgutil.iter_modules(__path__):
        checks[module.name.replace("_", "-")] = importlib.import_module(f"{__name__}.{module.name}").CHECK
    for point in entry_points(group=GROUP):
        checks[point.name] = point.load()
    return dict(sorted(checks.items()))
