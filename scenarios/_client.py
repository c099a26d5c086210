"""What a client says to the ingress: start a saga, once, however often it takes to say so; then ask how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import gevent
import msgspec

from harness.core.identity import issue
from harness.core.saga import Workload
from harness.core.seeded import uniform
from harness.load.arrivals import round_seed
from harness.load.plan import LoadPlan
from scenarios._ingress import Answer, Ingress, NoAnswer

POST_ATTEMPTS = 5
POLL_S = 20
"""How long the ingress is asked to hold a poll."""
_ANSWER_SLACK_S = 10.0
_BACKOFF_S = 0.1
_BACKOFF_LIMIT_S = 3.0
_SHORTEST_POLL_S = 0.2
"""An ingress that answers ``pending`` at once is asked again no sooner, or the generator would do nothing else."""
_IDENTITY_MARGIN_S = 900.0
_ACCEPTED = (200, 201, 202)


class Prepared(NamedTuple):
    """Everything that can be worked out before an arrival is due."""

    post: bytes
    authorization: str


class Accepted(NamedTuple):
    """The saga was started; ``target`` is where to ask for its outcome."""

    saga_id: str
    target: str


class Refused(NamedTuple):
    """It was not (``rejected``), or that is not known (``error``)."""

    status: Literal["rejected", "error"]
    reason: str


class Told(msgspec.Struct, frozen=True):
    """What the ingress tells of a saga."""

    status: Literal["pending", "completed", "compensated"]
    reason: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: str


Report = Callable[[float, Exception | None], None]
"""Told of each POST that was sent: how long its answer took, in milliseconds, and what was wrong with it."""


class Client:
    """Speaks for every customer of one process."""

    def __init__(self, plan: LoadPlan, workload: Workload, key: str, report: Report) -> None:
        self._plan = plan
        self._workload = workload
        self._key = key
        self._report = report
        self._seed = round_seed(plan.seed, plan.round)
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        self._told: Callable[[bytes], Told] = msgspec.json.Decoder(Told).decode
        self._identities: dict[str, str] = {}
        self._ingress = Ingress(plan.ingress_url, POLL_S + _ANSWER_SLACK_S)
        self._post_head = (
            f"POST {self._ingress.path}/sagas/{quote(plan.saga, safe='')} HTTP/1.1\r\n"
            f"Host: {self._ingress.host_header}\r\n"
            "User-Agent: sagastorm\r\n"
            "Content-Type: application/json\r\n"
        )

    def prepare(self, arrival: int, due_s: float) -> Prepared:
        """The order and the identity of an arrival: a pure function of the seed, but for the token's time."""
        subject = self._workload.subject(arrival)
        body = self._encode(self._workload.request(arrival))
        authorization = self._authorization(subject)
        head = (
            f"{self._post_head}"
            f"Content-Length: {len(body)}\r\n"
            f"Authorization: {authorization}\r\n"
            f"Idempotency-Key: {self._plan.audience}-{self._plan.round}-{arrival}\r\n"
            f"X-Sagastorm-Arrival: {arrival}\r\n"
            f"X-Sagastorm-Scheduled-S: {due_s:.6f}\r\n\r\n"
        )
        return Prepared(head.encode() + body, authorization)

    def start(self, arrival: int, prepared: Prepared) -> Accepted | Refused:
        """POST the order. Where the answer is lost it is sent again: the Idempotency-Key makes that safe."""
        problem, attempt = "", 0
        while True:
            began_s = time.monotonic()
            pause_s: float | None = None
            try:
                answer = self._ingress.exchange("POST", prepared.post)
            except NoAnswer as error:
                problem = str(error)
            else:
                if answer.status in _ACCEPTED and answer.location:
                    self._report((time.monotonic() - began_s) * 1e3, None)
                    return _accepted(answer.location)
                problem = _reason(answer)
                pause_s = answer.retry_after_s
                if 400 <= answer.status < 500:
                    self._report((time.monotonic() - began_s) * 1e3, RuntimeError(problem))
                    # After a try that got no answer this is no proof that nothing was started.
                    return Refused("error" if attempt else "rejected", problem)
            self._report((time.monotonic() - began_s) * 1e3, RuntimeError(problem))
            attempt += 1
            if attempt == POST_ATTEMPTS:
                return Refused("error", problem)
            gevent.sleep(self._backoff_s(arrival, attempt) if pause_s is None else min(pause_s, _BACKOFF_LIMIT_S))

    def outcome(self, arrival: int, accepted: Accepted, prepared: Prepared, left_s: Callable[[], float]) -> Told | None:
        """Ask until the saga has ended; none where no time is ``left_s``."""
        failures = 0
        separator = "&" if "?" in accepted.target else "?"
        while (left := left_s()) > 0:
            began_s = time.monotonic()
            told = self._poll(f"{accepted.target}{separator}wait={max(1, min(POLL_S, int(left)))}", prepared)
            if told is None:
                failures += 1
                gevent.sleep(self._backoff_s(arrival, failures))
            elif told.status != "pending":
                return told
            else:
                failures = 0
                gevent.sleep(max(0.0, began_s + _SHORTEST_POLL_S - time.monotonic()))
        return None

    def close(self) -> None:
        """Close the connections."""
        self._ingress.close()

    def _poll(self, target: str, prepared: Prepared) -> Told | None:
        request = (
            f"GET {target} HTTP/1.1\r\n"
            f"Host: {self._ingress.host_header}\r\n"
            f"User-Agent: sagastorm\r\n"
            f"Authorization: {prepared.authorization}\r\n\r\n"
        )
        try:
            answer = self._ingress.exchange("GET", request.encode())
            return self._told(answer.body) if answer.status == 200 else None
        except (NoAnswer, msgspec.DecodeError):
            return None

    def _authorization(self, subject: str) -> str:
        known = self._identities.get(subject)
        if known is None:
            lifetime_s = self._plan.duration_s + self._plan.outcome_wait_s + _IDENTITY_MARGIN_S
            known = f"Bearer {issue(self._key, subject, self._plan.audience, lifetime_s)}"
            # At most one per arrival, so the schedule bounds it.
            self._identities[subject] = known
        return known

    def _backoff_s(self, arrival: int, attempt: int) -> float:
        jitter = 0.5 + uniform(self._seed, "client-backoff", arrival, attempt)
        return min(_BACKOFF_LIMIT_S, _BACKOFF_S * 2.0 ** min(attempt, 10)) * jitter


def _accepted(location: str) -> Accepted:
    """Where the ingress is known by another name from outside, Location may be absolute: only its path is used."""
    parts = urlsplit(location)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return Accepted(parts.path.rstrip("/").rpartition("/")[2], target)


def _reason(answer: Answer) -> str:
    if answer.status in _ACCEPTED:
        return f"{answer.status} without a Location"
    try:
        text = msgspec.json.decode(answer.body, type=_Refusal).error
    except msgspec.DecodeError:
        text = answer.body[:200].decode(errors="replace")
    return f"{answer.status} {text}".strip()
