"""The three-valued verdict of an audit, and the verdict of a run."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Of one check. ``UNKNOWN`` where there is no data to judge by: it never counts as a pass."""

    VALID = "valid"
    UNKNOWN = "unknown"
    INVALID = "invalid"


class RunVerdict(StrEnum):
    """Of a whole run, as ``summary.json`` and the exit code tell it."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


def worst(verdicts: list[Verdict]) -> Verdict:
    """Invalid beats unknown beats valid; no verdict at all is unknown."""
    for candidate in (Verdict.INVALID, Verdict.UNKNOWN):
        if candidate in verdicts:
            return candidate
    return Verdict.VALID if verdicts else Verdict.UNKNOWN
