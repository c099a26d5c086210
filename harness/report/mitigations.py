"""What a report says of the mitigations that a run had."""

from __future__ import annotations

from harness.report.run_data import RunData


def mitigation_line(data: RunData) -> str:
    """Which were changed, and which mean nothing in which topology."""
    changed = [f"{name}={value}" for name, value in data.run.settings.mitigations.chosen().items()]
    inapplicable: dict[str, list[str]] = {}
    for block in data.blocks:
        for name in block.block.inapplicable_mitigations:
            topologies = inapplicable.setdefault(name, [])
            if block.block.topology not in topologies:
                topologies.append(block.block.topology)
    told = [f"all on but {', '.join(changed)}" if changed else "all on"]
    told += [f"{name} does not apply to {' and '.join(where)}" for name, where in inapplicable.items()]
    return "; ".join(told)
