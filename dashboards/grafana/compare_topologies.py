"""Each topology's figures over the time shown, side by side, and beneath them how they came about."""

from __future__ import annotations

from dashboards.grafana.pieces import (
    MOMENT,
    SHOWN,
    Page,
    Panel,
    amplification,
    completion,
    highest,
    increase,
    rate,
    total,
)

_ENDED = increase("sagastorm_saga_completion_seconds_count", SHOWN)

PAGE = Page(
    name="compare-topologies",
    title="Compare topologies",
    about="The topologies have their turns one after the other: the time shown must reach over a turn of each.",
    panels=(
        Panel(
            "Completion",
            completion(SHOWN),
            unit="s",
            about="From the scheduled start of a saga to its end. Estimated from buckets; the report has it exactly.",
            bars=True,
        ),
        Panel(
            "Ended",
            {
                "{{outcome}} {{topology}}": increase(
                    "sagastorm_saga_completion_seconds_count", SHOWN, "topology, outcome"
                )
            },
            about="Sagas. What ended within the last second of a block is not in here, but in the report.",
            bars=True,
        ),
        Panel(
            "Retry amplification",
            {"{{layer}} {{topology}}": amplification(SHOWN)},
            about="Tries by what the first ones alone would have been: 1 is none in vain.",
            bars=True,
        ),
        Panel(
            "AWS calls per saga",
            {"{{topology}}": f"{increase('sagastorm_aws_calls_total', SHOWN)} / ({_ENDED} > 0)"},
            about="Retries within the SDK not counted.",
            bars=True,
        ),
        Panel(
            "Duplicates",
            {
                "delivered {{topology}}": increase("sagastorm_duplicates_delivered_total", SHOWN),
                "suppressed {{topology}}": increase("sagastorm_duplicates_suppressed_total", SHOWN),
            },
            about="A choreographed step that is delivered twice publishes twice. All of them must be suppressed.",
            bars=True,
        ),
        Panel(
            "Faults",
            {"{{fault}} {{topology}}": increase("sagastorm_faults_injected_total", SHOWN, "topology, fault")},
            about="Strikes. The same sagas are struck in each topology, whenever it has its turn. Without a storm there "
            "is nothing to show; what changes arrivals strikes before the load, and is in the report.",
            bars=True,
        ),
        Panel(
            "Offered and done",
            {
                "offered {{topology}}": rate("sagastorm_arrivals_total"),
                "ended {{topology}}": rate("sagastorm_saga_completion_seconds_count"),
            },
            unit="reqps",
            about="Arrivals that were due, whatever became of them, and sagas that ended, however.",
        ),
        Panel(
            "Completion over time",
            completion(MOMENT, (0.5, 0.99)),
            unit="s",
            about="The dots are single sagas, with their ids.",
            exemplars=True,
        ),
        Panel("Sagas under way", {"{{topology}}": total("sagastorm_sagas_in_flight")}),
        Panel(
            "Retry amplification over time",
            {"{{topology}}": highest("topology:sagastorm_amplification:ratio10s")},
            about="The product of all layers, of the last 10 s.",
        ),
        Panel(
            "Backlog",
            {"{{topology}}": highest("topology:sagastorm_backlog:sum")},
            about="Messages in all queues that wait or are in work.",
        ),
        Panel(
            "Compensated",
            {"{{topology}}": highest("topology:sagastorm_compensation:ratio10s")},
            unit="percentunit",
            about="Of the sagas that ended in the last 10 s.",
        ),
    ),
)
