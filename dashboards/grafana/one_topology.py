"""One topology in depth: what its sagas, its steps, its calls and its processes do."""

from __future__ import annotations

from dashboards.grafana.pieces import CHOSEN, MOMENT, QUANTILES, Page, Panel, amplification, quantile, rate, total

_COMPLETION = "sagastorm_saga_completion_seconds"
_ITS_BLOCKS = f"on (run, block) group_left () group by (run, block) (sagastorm_attempts_total{{{CHOSEN}}})"
"""What a process needs is a process's, and not of a topology; but a block is of one."""

_KIND = '"kind", "$1", "process", "([a-z]+).*"'


def _of_processes(need: str) -> str:
    return f"sum by (kind) (label_replace({need} * {_ITS_BLOCKS}, {_KIND}))"


PAGE = Page(
    name="one-topology",
    title="One topology in depth",
    about="What the sagas, steps, calls and processes of one topology do.",
    one_topology=True,
    panels=(
        Panel(
            "Completion",
            {f"p{q * 100:.0f}": quantile(q, _COMPLETION, MOMENT) for q in QUANTILES},
            unit="s",
            about="From the scheduled start of a saga to its end. The dots are single sagas, with their ids.",
            exemplars=True,
            width=12,
        ),
        Panel(
            "Sagas",
            {
                "{{status}}": rate("sagastorm_arrivals_total", "topology, status"),
                "{{outcome}}": rate(f"{_COMPLETION}_count", "topology, outcome"),
            },
            unit="reqps",
            about="Arrivals by what became of them, and ends.",
            width=12,
        ),
        Panel("Sagas under way", {"under way": total("sagastorm_sagas_in_flight")}),
        Panel(
            "Messages in queues",
            {"{{queue}} {{state}}": total("sagastorm_queue_messages", "topology, queue, state")},
        ),
        Panel(
            "Retry amplification",
            {"{{layer}}": amplification(MOMENT)},
            about="Tries by what the first ones alone would have been; none where there are no first ones.",
        ),
        Panel(
            "Step time, p95",
            {"{{step}}": quantile(0.95, "sagastorm_step_duration_seconds", MOMENT, "topology, step")},
            unit="s",
            about="From the delivery of a step to its result. The dots are single sagas, with their ids.",
            exemplars=True,
        ),
        Panel(
            "Steps",
            {"{{step}} {{result}}": rate("sagastorm_step_attempts_total", "topology, step, result")},
            unit="reqps",
            about="Handlings by result; what is replayed was answered from the idempotency record.",
        ),
        Panel("Strikes", {"{{fault}}": rate("sagastorm_faults_injected_total", "topology, fault")}, unit="reqps"),
        Panel(
            "AWS calls",
            {"{{service}} {{operation}}": rate("sagastorm_aws_calls_total", "topology, service, operation")},
            unit="reqps",
            about="Retries within the SDK not counted. The harness's own looks at the queues are among them.",
        ),
        Panel(
            "AWS errors",
            {
                "{{service}} {{operation}} {{error}}": (
                    f"{rate('sagastorm_aws_errors_total', 'topology, service, operation, error')}"
                    f" or {rate('sagastorm_aws_calls_total', 'topology')} * 0"
                )
            },
            unit="reqps",
            about="Calls that failed after the SDK's retries. One line at 0 without a name: there were none.",
        ),
        Panel(
            "Sweeper",
            {
                "overdue": total("sagastorm_sagas_overdue"),
                "repairs": total("sagastorm_sweeper_repairs_total"),
                "given up": total("sagastorm_sweeper_expired_total"),
            },
            about="Sagas that are overdue, and what the sweeper has done in all. Without a sweeper nobody looks.",
        ),
        Panel(
            "CPU",
            {"{{kind}}": _of_processes(f'rate(process_cpu_seconds_total{{run=~"$run"}}[{MOMENT}])')},
            unit="short",
            about="Processors that each kind of process keeps busy. The backend is not among them: it exports nothing.",
            width=12,
        ),
        Panel(
            "Memory",
            {"{{kind}}": _of_processes('process_resident_memory_bytes{run=~"$run"}')},
            unit="bytes",
            width=12,
        ),
    ),
)
