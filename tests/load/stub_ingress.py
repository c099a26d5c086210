"""An ingress that starts no saga: it keeps the front door's contract, so that the load generator can be tested alone.

Runs as a process of its own, ``python tests/load/stub_ingress.py '<JSON of Behaviour>'``: prints ``{"port": ...}`` and
serves until its standard input ends. ``GET /seen`` tells what came in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from harness.core.identity import InvalidIdentity, verify

COMPENSATED_EVERY = 5


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How the stub treats the load. Times in seconds, from the first request where they are points in time."""

    audience: str = "test"
    latency_s: float = 0.05
    """From the acceptance of a saga to its end."""
    stall: tuple[float, float] | None = None
    """(start, length): nothing is answered meanwhile."""
    flaky: bool = False
    """Of every three keys, the first is answered 503, the next is accepted and then cut off, the third is served."""
    unavailable: bool = False
    """Every POST is answered 503."""
    reject: bool = False
    """Every POST is answered 403."""
    never: bool = False
    """No saga ever ends."""
    impatient: bool = False
    """A poll is answered ``pending`` after 50 ms, whatever it asked for."""


class Seen(msgspec.Struct):
    """What came in."""

    posts: int = 0
    polls: int = 0
    keys: list[str] = []
    """Idempotency keys in the order of their first POST; each started one saga."""
    arrivals: list[int] = []
    subjects: list[str] = []
    problems: list[str] = []


@dataclass
class Saga:
    """One saga that never was."""

    saga_id: str
    outcome: str
    reason: str | None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class StubIngress:
    """The handlers and what they remember."""

    def __init__(self, behaviour: Behaviour, key: str) -> None:
        self._behaviour = behaviour
        self._key = key
        self._first: float | None = None
        self._by_key: dict[str, Saga] = {}
        self._by_id: dict[str, Saga] = {}
        self.seen = Seen()

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application()
        application.router.add_post("/sagas/{saga}", self.start)
        application.router.add_get("/sagas/{saga_id}", self.outcome)
        application.router.add_get("/seen", self.tell)
        return application

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Accept an order; the same Idempotency-Key is the same saga."""
        self.seen.posts += 1
        await self._stall()
        body = await request.read()
        subject = self._check(request, body)
        if self._behaviour.reject:
            return web.json_response({"error": "not you", "field": None}, status=403)
        if self._behaviour.unavailable:
            return web.Response(status=503, headers={"Retry-After": "0"})
        key = request.headers["Idempotency-Key"]
        arrival = int(request.headers["X-Sagastorm-Arrival"])
        saga = self._by_key.get(key)
        mood = len(self._by_key) % 3 if self._behaviour.flaky else 2
        if saga is None:
            saga = self._new_saga(arrival)
            self._by_key[key] = saga
            self.seen.keys.append(key)
            self.seen.arrivals.append(arrival)
            self.seen.subjects.append(subject)
            if mood == 0:
                return web.Response(status=503, headers={"Retry-After": "0"})
            if mood == 1:
                assert request.transport is not None
                request.transport.abort()
        return web.json_response({"saga_id": saga.saga_id}, status=202, headers={"Location": f"/sagas/{saga.saga_id}"})

    async def outcome(self, request: web.Request) -> web.StreamResponse:
        """Hold a poll until the saga has ended or its patience has."""
        self.seen.polls += 1
        await self._stall()
        saga = self._by_id[request.match_info["saga_id"]]
        patience_s = 0.05 if self._behaviour.impatient else float(request.query["wait"])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(saga.ended.wait(), patience_s)
        ended = saga.ended.is_set()
        return web.json_response(
            {
                "saga_id": saga.saga_id,
                "status": saga.outcome if ended else "pending",
                "reason": saga.reason if ended else None,
            }
        )

    async def tell(self, _request: web.Request) -> web.Response:
        """Answer what came in so far."""
        return web.Response(body=msgspec.json.encode(self.seen), content_type="application/json")

    def _new_saga(self, arrival: int) -> Saga:
        compensated = arrival % COMPENSATED_EVERY == 0
        saga = Saga(
            saga_id=f"saga-{len(self._by_id)}",
            outcome="compensated" if compensated else "completed",
            reason="PaymentFailed" if compensated else None,
        )
        if not self._behaviour.never:
            asyncio.get_running_loop().call_later(self._behaviour.latency_s, saga.ended.set)
        self._by_id[saga.saga_id] = saga
        return saga

    def _check(self, request: web.Request, body: bytes) -> str:
        """The caller, where the request is all it should be; otherwise the problem is remembered."""
        try:
            scheme, _, token = request.headers["Authorization"].partition(" ")
            subject = verify(self._key, token, self._behaviour.audience)
            order = msgspec.json.decode(body)
            if scheme != "Bearer" or order.get("customer", subject) != subject:
                raise ValueError(f"{scheme} token of {subject} with the order {order}")
            if request.content_type != "application/json" or float(request.headers["X-Sagastorm-Scheduled-S"]) < 0:
                raise ValueError(f"headers {dict(request.headers)}")
        except (KeyError, ValueError, InvalidIdentity) as error:
            self.seen.problems.append(repr(error))
            return "?"
        return subject

    async def _stall(self) -> None:
        now = time.monotonic()
        self._first = self._first or now
        if self._behaviour.stall is not None:
            start_s, length_s = self._behaviour.stall
            if start_s <= now - self._first < start_s + length_s:
                await asyncio.sleep(self._first + start_s + length_s - now)


async def serve(behaviour: Behaviour, key: str) -> None:
    """Serve until standard input ends."""
    # A generator that is killed leaves polls behind; nothing here should wait for them.
    runner = web.AppRunner(StubIngress(behaviour, key).application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(msgspec.json.encode({"port": runner.addresses[0][1]}).decode(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    with contextlib.suppress(asyncio.CancelledError):
        await runner.cleanup()


if __name__ == "__main__":
    # Not uvloop: its timers count from when the loop last looked at the clock, so that a saga may end before its time.
    asyncio.run(serve(msgspec.json.decode(sys.argv[1], type=Behaviour), os.environ["SAGASTORM_JWT_KEY"]))
