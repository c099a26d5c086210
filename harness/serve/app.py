"""The HTTP side of past runs. It answers GET only, writes nothing, and serves nothing that the listing does not name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from harness.ablation.table import Table
from harness.core.errors import SagastormError, UsageError
from harness.report.comparison_page import render_comparison
from harness.report.comparison_sides import parse_picks, side_by_side
from harness.report.html import render_page
from harness.report.templates import HERE as REPORT_FILES
from harness.report.write import PAGE
from harness.serve import pages
from harness.serve.listing import (
    TABLE,
    Listed,
    State,
    ablation_folders,
    list_ablations,
    list_runs,
    look,
    run_names,
)
from harness.serve.reading import Reader

OWN_PAGE = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SAVED_PAGE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Of pages that are complete in themselves: what they hold runs, and nothing is loaded or sent. What the page's own
policy forbids beyond that stays forbidden."""
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
ASSETS: Final = {
    "style.css": (REPORT_FILES, "text/css"),
    "comparison.css": (REPORT_FILES, "text/css"),
    "runs.css": (pages.HERE, "text/css"),
    "runs.js": (pages.HERE, "text/javascript"),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folders:
    """Where runs and ablations are."""

    runs: Path
    ablations: Path


class PastRuns:
    """The handlers. ``names``: by which the server may be called; every name, where there is none.

    A page that any site may open in a browser must not become readable by it: a name that is looked up anew and then
    leads here (DNS rebinding) is not one of ours, and is refused.
    """

    def __init__(self, folders: Folders, names: Collection[str] = ()) -> None:
        self._folders = folders
        self._names = frozenset(names)
        # Reading histories takes processor and memory: one after another, while the list goes on answering. A lock would
        # not do: who goes away gives it back, and what was being read for him is read on.
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading")
        self._reader = Reader()

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._guarded])
        app.add_routes(
            [
                web.get("/", self._list),
                web.get("/runs/{name}", self._report),
                web.get("/compare", self._compare),
                web.get("/ablations/{name:.+}", self._ablation),
                web.get("/assets/{name}", self._asset),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not self._called_by_name(request):
                text = "This server answers to its own names only, such as 127.0.0.1 and localhost."
                response: web.StreamResponse = web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=text)
            else:
                response = await handler(request)
        except web.HTTPException as error:
            response = _message(HTTPStatus(error.status), error.reason, [])
        except UsageError as error:
            lines = [str(problem) for problem in error.problems]
            response = _message(HTTPStatus.BAD_REQUEST, "This cannot be compared", lines)
        except SagastormError as error:
            response = _message(HTTPStatus.UNPROCESSABLE_ENTITY, "This cannot be read", [str(error)])
        except Exception:
            log.exception("%s", request.path_qs)
            line = "What happened is on the terminal in which sagastorm serve runs."
            response = _message(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a mistake in sagastorm", [line])
        response.headers.update(HEADERS)
        response.headers.setdefault("Content-Security-Policy", OWN_PAGE)
        return response

    def _called_by_name(self, request: web.Request) -> bool:
        if not self._names:
            return True
        given = request.headers.getall("Host", [])
        return len(given) == 1 and _host(given[0]) in self._names

    async def _list(self, _: web.Request) -> web.Response:
        return _html(await asyncio.to_thread(self._runs_page))

    def _runs_page(self) -> str:
        listed, left_out = list_runs(self._folders.runs)
        return pages.runs_page(listed, left_out, list_ablations(self._folders.ablations), str(self._folders.runs))

    async def _report(self, request: web.Request) -> web.Response:
        folder = self._folder(request.match_info["name"])
        try:
            return _saved(await asyncio.to_thread((folder / PAGE).read_text, encoding="utf-8"))
        except FileNotFoundError:
            pass
        _settled(look(folder))
        return _saved(await self._in_turn(lambda: render_page(self._reader.report(folder))))

    async def _compare(self, request: web.Request) -> web.Response:
        texts = request.query.getall("pick", [])
        return _saved(await self._in_turn(lambda: self._comparison(texts)))

    async def _in_turn(self, read: Callable[[], str]) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._reading, read)

    def _comparison(self, texts: list[str]) -> str:
        runs = self._folders.runs
        picks = parse_picks(texts, run_names(runs))
        folders = {pick.run: runs / pick.run for pick in picks}
        for folder in folders.values():
            _settled(look(folder))
        reports = {name: self._reader.report(folder) for name, folder in folders.items()}
        return render_comparison(side_by_side(picks, reports), served=True)

    async def _ablation(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        folder = ablation_folders(self._folders.ablations).get(name)
        if folder is None or not (folder / TABLE).is_file():
            raise web.HTTPNotFound(reason="There is no table of such an ablation")
        try:
            table = msgspec.json.decode((folder / TABLE).read_bytes(), type=Table)
        except msgspec.DecodeError as error:
            raise SagastormError(f"{name}/{TABLE}: {error}") from error
        return _html(pages.ablation_page(name, table))

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in ASSETS:
            raise web.HTTPNotFound(reason="There is no such file")
        folder, kind = ASSETS[name]
        return web.Response(text=(folder / name).read_text(encoding="utf-8"), content_type=kind, charset="utf-8")

    def _folder(self, name: str) -> Path:
        # A name is looked for among those that are there, and never made a path of before.
        if name not in run_names(self._folders.runs):
            raise web.HTTPNotFound(reason="There is no such run")
        return self._folders.runs / name


def _settled(listed: Listed) -> None:
    """Raises :class:`~harness.core.errors.SagastormError` where there is nothing to read, or not yet."""
    if listed.state is State.UNDER_WAY:
        raise SagastormError(f"{listed.name} is under way: it can be read when it has ended.")
    if listed.state is State.UNREADABLE:
        raise SagastormError(f"{listed.name}: {listed.note}")


def _host(given: str) -> str | None:
    try:
        return urlsplit(f"//{given}").hostname
    except ValueError:
        return None


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8")


def _saved(text: str) -> web.Response:
    response = _html(text)
    response.headers["Content-Security-Policy"] = SAVED_PAGE
    return response


def _message(status: HTTPStatus, title: str, lines: list[str]) -> web.Response:
    response = _html(pages.message_page(title, lines))
    response.set_status(status)
    return response
