"""What a report says of the mitigations that a run had."""

from __future__ import annotations

from harness.core.mitigations import Mitigations
from harness.report.mitigations import mitigation_line
from tests.report.small import block, run


def test_run_that_changed_nothing_says_so() -> None:
    assert mitigation_line(run(block(0))) == "all on"


def test_changed_mitigations_are_named_with_their_values_and_those_without_a_meaning_with_their_topology() -> None:
    blocks = [
        block(number, topology, inapplicable_mitigations=["step-timeout"] if topology == "choreographed" else [])
        for number, topology in enumerate(["orchestrated", "choreographed", "choreographed"])
    ]
    data = run(*blocks, mitigations=Mitigations(backoff="none", sweeper="off"))
    assert mitigation_line(data) == (
        "all on but backoff=none, sweeper=off; step-timeout does not apply to choreographed"
    )
