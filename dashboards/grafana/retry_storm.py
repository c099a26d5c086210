"""Whether retries have become the load: what is offered and done, what is tried again, what waits, and what stands against it."""

from __future__ import annotations

from dashboards.grafana.pieces import BREAKER, Page, Panel, highest, rate, total

PAGE = Page(
    name="retry-storm",
    title="Retry storm",
    about="A retry storm feeds itself: what fails is tried again, and what is tried again makes more fail.",
    panels=(
        Panel(
            "Offered and done",
            {
                "offered {{topology}}": highest("topology:sagastorm_arrivals:rate10s"),
                "ended {{topology}}": highest("topology:sagastorm_goodput:rate10s"),
            },
            unit="reqps",
            about="Of the last 10 s. In a storm less is done than is offered; afterwards it is made up for, or it sticks.",
        ),
        Panel(
            "Retry amplification",
            {"{{topology}}": highest("topology:sagastorm_amplification:ratio10s")},
            about="The product of all layers, of the last 10 s: so often is everything tried.",
        ),
        Panel(
            "Retry amplification by layer",
            {"{{layer}} {{topology}}": highest("topology_layer:sagastorm_amplification:ratio10s", "topology, layer")},
            about="The SDK's tries of a call, deliveries of a message, commands of a task state.",
        ),
        Panel(
            "Backlog",
            {
                "{{state}} {{topology}}": total(
                    "sagastorm_queue_messages", "topology, state", 'state=~"visible|in_flight"'
                )
            },
            about="Messages that wait, and that are in work or wait for their next try.",
        ),
        Panel(
            "Completion objective: burn rate",
            {"{{topology}}": highest("topology:sagastorm_completion_objective:burnrate10s")},
            about="Of 100 arrivals 99 are to end within 5 s. 1 spends the hundredth that may not, 100 means that none does.",
        ),
        Panel(
            "Overdue sagas",
            {
                "overdue {{topology}}": highest("sagastorm_sagas_overdue"),
                "given up {{topology}}": total("sagastorm_sweeper_expired_total"),
            },
            about="Pending beyond the sweeper's objective, and those that it has left for a person. Without a sweeper "
            "nobody looks.",
        ),
        Panel(
            "Circuit breakers",
            {"{{participant}} {{topology}}": highest("sagastorm_breaker_state", "topology, participant")},
            values=BREAKER,
            about="Of all worker processes the one that is furthest open.",
        ),
        Panel(
            "Held back by retry budget",
            {"{{participant}} {{topology}}": rate("sagastorm_retries_held_back_total", "topology, participant")},
            unit="reqps",
            about="Retries whose turn was put off, because there were too many for the first tries.",
        ),
        Panel(
            "Not begun",
            {
                "breaker {{topology}}": rate("sagastorm_breaker_refused_total"),
                "shed {{topology}}": rate("sagastorm_steps_shed_total"),
            },
            unit="reqps",
            about="Steps, because of an open breaker, or because their message was no longer the worker's.",
        ),
        Panel(
            "Dead letters",
            {"{{topology}}": highest("topology:sagastorm_dead_letters:sum")},
            about="Messages that were given up. They are looked for every 5 s.",
        ),
        Panel(
            "Strikes",
            {"{{fault}} {{topology}}": rate("sagastorm_faults_injected_total", "topology, fault")},
            unit="reqps",
        ),
        Panel(
            "Completion",
            {
                "{{quantile}} {{topology}}": highest(
                    "topology:sagastorm_saga_completion_seconds:quantile10s", "topology, quantile"
                )
            },
            unit="s",
            about="Quantiles of the last 10 s. Of those that end: who waits is not in them yet.",
        ),
    ),
)
