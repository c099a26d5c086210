"""An audit in the terminal: what was found, in which block, with a witness."""

from __future__ import annotations

from rich.console import Console

from harness.audit.auditor import RunAudit
from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from harness.core.verdict import Verdict

_EXITS = {Verdict.VALID: EXIT_PASS, Verdict.INVALID: EXIT_FAIL, Verdict.UNKNOWN: EXIT_INCONCLUSIVE}


def print_audit(console: Console, audited: RunAudit) -> None:
    """One paragraph a block."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for audit in audited.blocks:
        say(f"Block {audit.block + 1}, {audit.topology}: {audit.verdict.upper()}")
        for anomaly in audit.anomalies:
            say(f"  {anomaly.name}: {anomaly.count}")
            say(f"    {anomaly.witness}")
        unknown = [name for name, verdict in audit.checks.items() if verdict is Verdict.UNKNOWN]
        if unknown:
            say(f"  not known: {', '.join(unknown)}")
        for note in audit.notes:
            say(f"  {note}")
    say(f"Audit: {audited.verdict.upper()}")


def exit_code(audited: RunAudit) -> int:
    """0 valid, 1 invalid, 3 unknown."""
    return _EXITS[audited.verdict]
