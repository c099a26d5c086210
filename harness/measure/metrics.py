"""The Prometheus metrics of every process, declared once.

Retries, duplicates, AWS calls, CPU and queue depths in the report come from these series, sampled once a second; what
it says of sagas comes from the clients' own records, which are exact, and must agree with the counts here. Labels have few values; saga ids belong in records, never here.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMPLETION_BUCKETS_S = (
    0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0,
)  # fmt: skip
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

        self._arrivals = counter("sagastorm_arrivals_total", "Scheduled arrivals by what became of them", "status")
        self._completion = Histogram(
            "sagastorm_saga_completion_seconds",
            "Time from the scheduled start of a saga to its end, as its client sees it",
            (*base, "outcome"),
            buckets=COMPLETION_BUCKETS_S,
            registry=registry,
        )
        self._in_flight = gauge("sagastorm_sagas_in_flight", "Sagas accepted and not known to have ended")
        self._steps = counter(
            "sagastorm_step_attempts_total", "Step handlings by result", "participant", "step", "result"
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
        self._repaired = counter(
            "sagastorm_sweeper_repairs_total", "Pending sagas that the sweeper has asked for again"
        )
        self._expired = counter("sagastorm_sweeper_expired_total", "Pending sagas that the sweeper has given up")
        for swept in (self._repaired, self._expired):
            swept.labels(*self._base)  # shows 0 from now on: that nothing was repaired is known, not missing
        self._faults = counter("sagastorm_faults_injected_total", "Strikes by fault", "fault")
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
        self._calls = counter("sagastorm_aws_calls_total", "AWS calls, retries not counted", "service", "operation")
        self._errors = counter(
            "sagastorm_aws_errors_total", "AWS calls that failed after retries", "service", "operation", "error"
        )

    def arrival(self, status: str) -> None:
        """An arrival was ``accepted``, ``dropped``, ``rejected`` or met an ``error``."""
        self._arrivals.labels(*self._base, status).inc()

    def completed(self, outcome: str, seconds: float) -> None:
        """A saga ended, ``seconds`` after its scheduled start."""
        self._completion.labels(*self._base, outcome).observe(seconds)

    def in_flight(self, sagas: int) -> None:
        """This many sagas are under way."""
        self._in_flight.labels(*self._base).set(sagas)

    def step(self, participant: str, step: str, result: str) -> None:
        """A participant handled a step."""
        self._steps.labels(*self._base, participant, step, result).inc()

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
        if retries:
            self._retries.labels(*self._base, layer).inc(retries)

    def queue(self, name: str, state: str, messages: int) -> None:
        """A queue holds this many messages that are ``visible``, ``in_flight`` or ``delayed``."""
        self._queue.labels(*self._base, name, state).set(messages)

    def repaired(self) -> None:
        """The sweeper has asked for a saga again."""
        self._repaired.labels(*self._base).inc()

    def expired(self) -> None:
        """The sweeper has given a saga up."""
        self._expired.labels(*self._base).inc()

    def fault(self, name: str) -> None:
        """A fault struck."""
        self._faults.labels(*self._base, name).inc()

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

    def aws_call(self, service: str, operation: str) -> None:
        """An AWS call was made."""
        self._calls.labels(*self._base, service, operation).inc()

    def aws_error(self, service: str, operation: str, error: str) -> None:
        """An AWS call failed for good."""
        self._errors.labels(*self._base, service, operation, error).inc()
