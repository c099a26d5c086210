"""The Prometheus metrics of every process, declared once.

Retries, duplicates, AWS calls, CPU and queue depths in the report come from these series, sampled once a second; what
it says of sagas comes from the clients' own records, which are exact, and must agree with the counts here. Labels have few
values; which run, block and process a series is of, its target says (:mod:`.exporter`). Saga ids are in records, and in
exemplars, which only OpenMetrics shows.

Whoever will count something shows it at 0 before (``begin_…``): that nothing happened is known then, not missing, and
Prometheus sees the first increase as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from harness.core.saga import Saga

# They would be as many series again, which tell what the target's start tells.
disable_created_metrics()  # type: ignore[no-untyped-call]

COMPLETION_BUCKETS_S = (
    0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0,
)  # fmt: skip
STEP_BUCKETS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATUSES = ("accepted", "dropped", "rejected", "error")
OUTCOMES = ("completed", "compensated")
USUAL_RESULTS = ("done", "replayed", "error")
"""Of a step; others show once there is one."""
BREAKER_STATES = ("closed", "half_open", "open")
"""What ``sagastorm_breaker_state`` counts, from 0."""


class Metrics:
    """The metrics of one process that serves one topology of one saga.

    Retries are counted in three layers. ``sdk``: HTTP attempts of AWS calls, without the long polls that wait for
    messages. ``delivery``: messages received. ``stepfunctions``: commands sent by task states. ``attempts`` counts all
    tries and ``retries`` those beyond the first, so amplification is attempts / (attempts - retries).
    """

    def __init__(self, registry: CollectorRegistry, *, topology: str, saga: str) -> None:
        base = ("topology", "saga")
        self._base = (topology, saga)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, (*base, *labels), registry=registry)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, (*base, *labels), registry=registry)

        def histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, what, (*base, *labels), buckets=buckets, registry=registry)

        self._arrivals = counter("sagastorm_arrivals_total", "Scheduled arrivals by what became of them", "status")
        self._completion = histogram(
            "sagastorm_saga_completion_seconds",
            "Time from the scheduled start of a saga to its end, as its client sees it",
            COMPLETION_BUCKETS_S,
            "outcome",
        )
        self._in_flight = gauge("sagastorm_sagas_in_flight", "Sagas accepted whose end is waited for")
        self._steps = counter(
            "sagastorm_step_attempts_total", "Step handlings by result", "participant", "step", "result"
        )
        self._step_time = histogram(
            "sagastorm_step_duration_seconds",
            "Time from the delivery of a step to its result, whatever that is",
            STEP_BUCKETS_S,
            "participant",
            "step",
        )
        self._compensations = counter("sagastorm_compensations_total", "Compensations committed", "participant", "step")
        self._delivered = counter(
            "sagastorm_duplicates_delivered_total", "Deliveries of a step that was already recorded", "step"
        )
        self._suppressed = counter(
            "sagastorm_duplicates_suppressed_total", "Duplicates answered from the idempotency record", "step"
        )
        self._attempts = counter("sagastorm_attempts_total", "Tries by layer, the first one included", "layer")
        self._retries = counter("sagastorm_retries_total", "Tries by layer, beyond the first", "layer")
        self._queue = gauge("sagastorm_queue_messages", "Messages in a queue", "queue", "state")
        self._dead = gauge("sagastorm_dead_letters", "Messages in a queue's dead-letter queue", "queue")
        self._overdue = gauge(
            "sagastorm_sagas_overdue", "Pending sagas that were last asked for longer ago than the sweeper's objective"
        )
        self._repaired = counter(
            "sagastorm_sweeper_repairs_total", "Pending sagas that the sweeper has asked for again"
        )
        self._expired = counter("sagastorm_sweeper_expired_total", "Pending sagas that the sweeper has given up")
        self._faults = counter("sagastorm_faults_injected_total", "Strikes by fault", "fault")
        self._active = gauge("sagastorm_fault_active", "Whether it is a fault's time: 1 within its window", "fault")
        self._breaker = gauge(
            "sagastorm_breaker_state", "Circuit breakers: 0 closed, 1 half open, 2 open", "participant"
        )
        self._breaker_changes = counter(
            "sagastorm_breaker_transitions_total",
            "Changes of circuit breakers, by what they became",
            "participant",
            "state",
        )
        self._breaker_refused = counter(
            "sagastorm_breaker_refused_total", "Steps not begun because of an open circuit breaker", "participant"
        )
        self._held_back = counter(
            "sagastorm_retries_held_back_total",
            "Retries that waited for long because their budget was spent",
            "participant",
        )
        self._shed = counter(
            "sagastorm_steps_shed_total",
            "Steps not begun because their message was no longer the worker's",
            "participant",
        )
        self._calls = counter("sagastorm_aws_calls_total", "AWS calls, retries not counted", "service", "operation")
        self._errors = counter(
            "sagastorm_aws_errors_total", "AWS calls that failed after retries", "service", "operation", "error"
        )

    def begin_load(self) -> None:
        """A load process, before its first arrival."""
        for status in STATUSES:
            self._arrivals.labels(*self._base, status)
        for outcome in OUTCOMES:
            self._completion.labels(*self._base, outcome)
        self.in_flight(0)

    def begin_ingress(self) -> None:
        """An ingress, before its first saga."""
        self._begin_layers("sdk")

    def begin_worker(self, saga: Saga, *, commands: bool) -> None:
        """A worker, before its first message. ``commands``: whether task states send them."""
        self._begin_layers("sdk", "delivery", *(["stepfunctions"] if commands else []))
        for participant in saga.participants:
            for counter in (self._breaker_refused, self._held_back, self._shed):
                counter.labels(*self._base, participant)
        for name, work in saga.works().items():
            self._step_time.labels(*self._base, work.participant, name)
            for result in USUAL_RESULTS:
                self._steps.labels(*self._base, work.participant, name, result)
            for duplicates in (self._delivered, self._suppressed):
                duplicates.labels(*self._base, name)
            if work.undoes:
                self._compensations.labels(*self._base, work.participant, name)

    def begin_sweeper(self) -> None:
        """A sweeper, before its first scan."""
        self._begin_layers("sdk")
        self.overdue(0)
        for swept in (self._repaired, self._expired):
            swept.labels(*self._base)

    def begin_faults(self, names: Iterable[str]) -> None:
        """Faults that may strike here, before they do."""
        for name in names:
            self._faults.labels(*self._base, name)

    def _begin_layers(self, *layers: str) -> None:
        for layer in layers:
            self.tried(layer, attempts=0)

    def arrival(self, status: str) -> None:
        """An arrival was ``accepted``, ``dropped``, ``rejected`` or met an ``error``."""
        self._arrivals.labels(*self._base, status).inc()

    def completed(self, outcome: str, seconds: float, saga_id: str) -> None:
        """A saga ended, ``seconds`` after its scheduled start."""
        self._completion.labels(*self._base, outcome).observe(seconds, {"saga_id": saga_id})

    def in_flight(self, sagas: int) -> None:
        """This many sagas are under way."""
        self._in_flight.labels(*self._base).set(sagas)

    def step(self, participant: str, step: str, result: str, seconds: float, saga_id: str) -> None:
        """A participant handled a step, which took ``seconds``."""
        self._steps.labels(*self._base, participant, step, result).inc()
        self._step_time.labels(*self._base, participant, step).observe(seconds, {"saga_id": saga_id})

    def compensation(self, participant: str, step: str) -> None:
        """A compensation was committed for the first time."""
        self._compensations.labels(*self._base, participant, step).inc()

    def duplicate(self, step: str, *, suppressed: bool) -> None:
        """A step that was already recorded was delivered again."""
        self._delivered.labels(*self._base, step).inc()
        if suppressed:
            self._suppressed.labels(*self._base, step).inc()

    def tried(self, layer: str, attempts: int = 1, retries: int = 0) -> None:
        """``attempts`` tries were made in a layer, ``retries`` of them beyond the first."""
        self._attempts.labels(*self._base, layer).inc(attempts)
        self._retries.labels(*self._base, layer).inc(retries)

    def queue(self, name: str, state: str, messages: int) -> None:
        """A queue holds this many messages that are ``visible``, ``in_flight`` or ``delayed``."""
        self._queue.labels(*self._base, name, state).set(messages)

    def dead_letters(self, queue: str, messages: int) -> None:
        """A queue's dead-letter queue holds this many messages."""
        self._dead.labels(*self._base, queue).set(messages)

    def overdue(self, sagas: int) -> None:
        """The sweeper has found this many sagas overdue."""
        self._overdue.labels(*self._base).set(sagas)

    def repaired(self) -> None:
        """The sweeper has asked for a saga again."""
        self._repaired.labels(*self._base).inc()

    def expired(self) -> None:
        """The sweeper has given a saga up."""
        self._expired.labels(*self._base).inc()

    def fault(self, name: str) -> None:
        """A fault struck."""
        self._faults.labels(*self._base, name).inc()

    def fault_window(self, name: str, is_active: Callable[[], bool]) -> None:
        """Ask, whenever somebody looks, whether it is a fault's time."""
        self._active.labels(*self._base, name).set_function(is_active)

    def breaker(self, participant: str, state: str, *, was: str | None = None) -> None:
        """A participant's circuit breaker is ``closed``, ``half_open`` or ``open``."""
        self._breaker.labels(*self._base, participant).set(BREAKER_STATES.index(state))
        if was is not None:
            self._breaker_changes.labels(*self._base, participant, state).inc()

    def breaker_refused(self, participant: str) -> None:
        """A step was not begun."""
        self._breaker_refused.labels(*self._base, participant).inc()

    def retry_held_back(self, participant: str) -> None:
        """A retry's turn was put off."""
        self._held_back.labels(*self._base, participant).inc()

    def shed(self, participant: str) -> None:
        """A step came too late to be begun."""
        self._shed.labels(*self._base, participant).inc()

    def aws_call(self, service: str, operation: str) -> None:
        """An AWS call was made."""
        self._calls.labels(*self._base, service, operation).inc()

    def aws_error(self, service: str, operation: str, error: str) -> None:
        """An AWS call failed for good."""
        self._errors.labels(*self._base, service, operation, error).inc()
