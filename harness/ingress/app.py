"""The front door: starts sagas for callers with a signed identity, and tells them how each ended.

``POST /sagas/<saga>`` answers 202 with ``Location``; ``GET /sagas/<id>?wait=<seconds>`` holds until the saga has
ended or the time is up. An ``Idempotency-Key`` decides the saga id, so the same key by the same caller names one saga
(IETF draft "The Idempotency-Key HTTP Header Field"; another body under the same key: 422).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Awaitable, Callable
from uuid import NAMESPACE_URL, uuid4, uuid5

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from harness.aws.gateway import TRANSIENT
from harness.aws.pending import PendingSagas
from harness.core import identity
from harness.core.envelope import Envelope, new_traceparent
from harness.core.saga import Saga
from harness.core.subject import SUBJECTS, Subject
from harness.ingress.sagas import Entry, Sagas
from harness.topologies.base import Connection

MAX_WAIT_S = 30.0
MAX_BODY_BYTES = 64 * 1024
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


class Refusal(Exception):
    """An answer other than the one hoped for, with the field that is to blame."""

    def __init__(self, status: int, error: str, field: str | None = None) -> None:
        self.status = status
        self.body = {"error": error, "field": field}
        super().__init__(error)


class Ingress:
    """The HTTP handlers of one saga in one topology."""

    def __init__(
        self,
        saga: Saga,
        connection: Connection,
        sagas: Sagas,
        *,
        key: str,
        audience: str,
        registry: CollectorRegistry,
        pending: PendingSagas | None = None,
    ) -> None:
        """``pending``: where each saga is registered before it is started, if there is a sweeper to look there."""
        self._saga = saga
        self._connection = connection
        self._sagas = sagas
        self._key = key
        self._audience = audience
        self._registry = registry
        self._pending = pending
        self._decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(saga.request)

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.post("/sagas/{saga}", _answering(self._post)),
                web.get("/sagas/{saga_id}", _answering(self._get)),
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._healthz),
            ]
        )
        return app

    async def _post(self, request: web.Request) -> web.Response:
        if request.match_info["saga"] != self._saga.name:
            raise Refusal(404, f"no such saga here; this ingress serves {self._saga.name}", "saga")
        token, subject = self._caller(request)
        body = await request.read()
        self._check(body, subject)
        arrival, scheduled_s = _schedule(request)
        saga_id = self._saga_id(request, subject)
        fingerprint = hashlib.blake2b(body, digest_size=16).digest()
        entry = self._sagas.admit(saga_id, fingerprint)
        if entry is None:
            raise Refusal(503, "too many sagas under way")
        if entry.fingerprint != fingerprint:
            raise Refusal(422, "this key was used for another request", "Idempotency-Key")
        envelope = Envelope(
            saga=self._saga.name,
            saga_id=saga_id,
            arrival=arrival,
            scheduled_s=scheduled_s,
            traceparent=_traceparent(request),
            identity=token,
            request=msgspec.Raw(body),
        )
        try:
            await self._start(entry, envelope)
        except Refusal:
            if "Idempotency-Key" not in request.headers:
                self._sagas.forget(saga_id)  # nothing leads back to an id that was drawn for one request
            raise
        return web.json_response({"saga_id": saga_id}, status=202, headers={"Location": f"/sagas/{saga_id}"})

    async def _start(self, entry: Entry, envelope: Envelope) -> None:
        """Once, even when the same request comes again while it is being started."""
        async with entry.starting:
            if entry.started or entry.outcome:
                return
            subject = Subject(envelope.saga_id, envelope.arrival, envelope.scheduled_s, "ingress", "start", "0.1")
            SUBJECTS.set((subject,))
            try:
                if self._pending:
                    # First: what was started and is not known of could end up a zombie. What is known of and was not
                    # started, the sweeper will start; whoever asked for it has then had no answer, or was told so.
                    await self._pending.register(envelope, time.monotonic_ns())
                await self._connection.start(envelope)
            except TRANSIENT as error:
                log.warning("%s: not known to have started: %s", envelope.saga_id, error)
                raise Refusal(503, f"the saga is not known to have started; ask again: {error}") from error
            entry.started = True

    async def _get(self, request: web.Request) -> web.Response:
        saga_id = request.match_info["saga_id"]
        entry = self._sagas.get(saga_id)
        if entry is None:
            raise Refusal(404, "no such saga", "id")
        wait_s = _number(request.query.get("wait", "0"), "wait", 0, MAX_WAIT_S)
        if wait_s and entry.outcome is None:
            try:
                async with asyncio.timeout(wait_s):
                    await entry.ended.wait()
            except TimeoutError:
                pass  # "pending" says so
        status = entry.outcome or "pending"
        return web.json_response({"saga_id": saga_id, "status": str(status), "reason": entry.reason})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "sagas_under_way": self._sagas.under_way})

    def _caller(self, request: web.Request) -> tuple[str, str]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal(401, "a bearer token is needed", "Authorization")
        try:
            return token, identity.verify(self._key, token, self._audience)
        except identity.InvalidIdentity as error:
            raise Refusal(401, f"the token is not valid: {error}", "Authorization") from error

    def _check(self, body: bytes, subject: str) -> None:
        try:
            order = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            text, _, path = str(error).rpartition(" - at `")
            raise Refusal(400, text or str(error), path.rstrip("`") if text else "$") from error
        except msgspec.DecodeError as error:
            raise Refusal(400, f"the body must be JSON: {error}", "$") from error
        if self._saga.owner and self._saga.owner(order) != subject:
            raise Refusal(403, "the request is somebody else's", "Authorization")

    def _saga_id(self, request: web.Request, subject: str) -> str:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return str(uuid4())
        if not 1 <= len(key) <= 255:
            raise Refusal(400, "1 to 255 characters", "Idempotency-Key")
        return str(uuid5(NAMESPACE_URL, f"{self._audience}\x1f{subject}\x1f{key}"))


def _answering(handler: Handler) -> Handler:
    """Turns a :class:`Refusal` into its answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            headers = {"Retry-After": "1"} if refusal.status == 503 else None
            return web.json_response(refusal.body, status=refusal.status, headers=headers)

    return answer


def _schedule(request: web.Request) -> tuple[int, float]:
    """Number and due time of the arrival, where the request comes from a schedule."""
    arrival = request.headers.get("X-Sagastorm-Arrival")
    scheduled_s = request.headers.get("X-Sagastorm-Scheduled-S", "0")
    number = -1 if arrival is None else int(_number(arrival, "X-Sagastorm-Arrival", 0, 2**53))
    return number, _number(scheduled_s, "X-Sagastorm-Scheduled-S", 0, 1e9)


def _traceparent(request: web.Request) -> str:
    """A new span of the caller's trace, or of a new trace where the caller has none."""
    given = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return new_traceparent(given.group(1) if given else None)


def _number(text: str, field: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise Refusal(400, f"a number from {low:g} to {high:g}", field)
    return value
