"""A small backend on the loopback interface, for the real SDK to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from harness.aws.services import SERVICES


class Backend:
    """Answers every request in the same way, and remembers the headers of each."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.headers: list[dict[str, str]] = []
        self._answer = answer

    async def answer(self, request: web.Request) -> web.Response:
        """To any operation of any service that speaks AWS JSON."""
        self.headers.append(dict(request.headers))
        return web.json_response(self._answer, content_type="application/x-amz-json-1.0")


@asynccontextmanager
async def serving(backend: Backend) -> AsyncIterator[dict[str, str]]:
    """Service name to URL: every service at one address."""
    app = web.Application()
    app.router.add_post("/{path:.*}", backend.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield dict.fromkeys(SERVICES, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
