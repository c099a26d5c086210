"""What each participant is asked to do, how it goes, and what keeps it from doing it."""

from __future__ import annotations

from dashboards.grafana.pieces import BREAKER, MOMENT, Page, Panel, highest, quantile, rate

_STEPS = "sagastorm_step_attempts_total"
_NAME = "{{participant}} {{topology}}"
_BY = "topology, participant"
_FAILED = 'result="error"'

PAGE = Page(
    name="participants",
    title="Participants",
    about="The services with tables of their own. Their code is the same in every topology; what reaches them is not.",
    panels=(
        Panel(
            "Handled", {_NAME: rate(_STEPS, _BY)}, unit="reqps", about="Steps and compensations, each delivery of them."
        ),
        Panel(
            "Failed",
            {_NAME: f"{rate(_STEPS, _BY, _FAILED)} / ({rate(_STEPS, _BY)} > 0)"},
            unit="percentunit",
            about="Share of deliveries that have to come again.",
        ),
        Panel(
            "Replayed",
            {_NAME: rate(_STEPS, _BY, 'result="replayed"')},
            unit="reqps",
            about="Duplicates, answered from the idempotency record.",
        ),
        Panel(
            "Step time, p50",
            {_NAME: quantile(0.5, "sagastorm_step_duration_seconds", MOMENT, _BY)},
            unit="s",
            about="From the delivery of a step to its result.",
        ),
        Panel(
            "Step time, p95",
            {_NAME: quantile(0.95, "sagastorm_step_duration_seconds", MOMENT, _BY)},
            unit="s",
            about="The dots are single sagas, with their ids.",
            exemplars=True,
        ),
        Panel(
            "Compensations",
            {"{{step}} {{topology}}": rate("sagastorm_compensations_total", "topology, step")},
            unit="reqps",
            about="Committed for the first time.",
        ),
        Panel(
            "Waiting",
            {"{{queue}} {{topology}}": highest("sagastorm_queue_messages", "topology, queue", 'state="visible"')},
            about="Messages in its queue that nobody has taken. The outcomes are the ingress's.",
        ),
        Panel(
            "In work",
            {"{{queue}} {{topology}}": highest("sagastorm_queue_messages", "topology, queue", 'state="in_flight"')},
            about="Messages that were taken, or wait for their next try.",
        ),
        Panel(
            "Dead letters",
            {"{{queue}} {{topology}}": highest("sagastorm_dead_letters", "topology, queue")},
            about="Messages that were given up. They are looked for every 5 s.",
        ),
        Panel(
            "Circuit breaker",
            {_NAME: highest("sagastorm_breaker_state", _BY)},
            values=BREAKER,
            about="Of all worker processes the one that is furthest open.",
        ),
        Panel(
            "Not begun",
            {
                f"breaker {_NAME}": rate("sagastorm_breaker_refused_total", _BY),
                f"shed {_NAME}": rate("sagastorm_steps_shed_total", _BY),
            },
            unit="reqps",
            about="Steps, because of an open breaker, or because their message was no longer the worker's.",
        ),
        Panel(
            "Held back by retry budget",
            {_NAME: rate("sagastorm_retries_held_back_total", _BY)},
            unit="reqps",
        ),
    ),
)
