"""Past runs over HTTP: what is served, what is refused, and that nothing is written."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from functools import partial
from html import unescape
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.ablation.cells import Cell
from harness.ablation.table import Outcome, Table
from harness.run.under_way import under_way
from harness.serve.app import SAVED_PAGE, Folders, PastRuns
from harness.serve.server import LOOPBACK_NAMES
from tests.serve.saved import save

SOON_S = 30.0
"""For a thread to have its turn; what takes longer has failed."""
Client = TestClient[web.Request, web.Application]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one`` and ``two`` are alike, ``bare`` has no report yet, ``broken`` has no records."""
    folder = tmp_path_factory.mktemp("served") / "runs"
    folder.mkdir()
    save(folder, "one")
    save(folder, "two")
    save(folder, "bare", reported=False)
    broken = save(folder, "broken")
    (broken / "history.sqlite").write_bytes(b"nothing of the kind")
    (broken / "report.html").unlink()
    (folder.parent / "secret").mkdir()
    (folder.parent / "secret" / "report.html").write_text("secret")
    return folder


@pytest.fixture
async def client(runs: Path) -> AsyncIterator[Client]:
    app = PastRuns(Folders(runs, runs.parent / "ablations"), LOOPBACK_NAMES).app()
    async with TestClient(TestServer(app)) as client:
        yield client


def files(runs: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [runs, *runs.rglob("*")]}


async def text(client: Client, path: str, status: int = 200) -> str:
    async with client.get(path) as response:
        assert response.status == status, await response.text()
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        return await response.text()


async def test_the_list_names_every_run_and_runs_no_script_but_its_own(client: Client) -> None:
    page = await text(client, "/")
    for name in ("one", "two", "bare", "broken"):
        assert f'value="{name}"' in page
    async with client.get("/") as response:
        assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"]
    assert "<style" not in page
    assert "<script>" not in page
    for asset in ("style.css", "comparison.css", "runs.css", "runs.js"):
        assert f"/assets/{asset}" in page
        assert await text(client, f"/assets/{asset}")


async def test_a_report_is_served_as_it_stands_under_a_policy_that_leaves_it_what_it_needs(
    client: Client, runs: Path
) -> None:
    page = await text(client, "/runs/one")
    assert page == (runs / "one" / "report.html").read_text(encoding="utf-8")
    (own,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    needed = dict(rule.split(" ", 1) for rule in unescape(own).split("; "))
    given = dict(rule.split(" ", 1) for rule in SAVED_PAGE.split("; "))
    assert given["script-src"] == "'unsafe-inline'"  # which scripts in it may run is the page's own matter
    for rule in needed.keys() - {"script-src"}:
        assert given[rule] == needed[rule]


async def test_a_missing_report_is_made_from_the_records_and_nothing_is_written(client: Client, runs: Path) -> None:
    before = files(runs)
    page = await text(client, "/runs/bare")
    assert "chart-data" in page
    assert files(runs) == before


async def test_runs_and_blocks_are_compared_and_nothing_is_written(client: Client, runs: Path) -> None:
    before = files(runs)
    page = await text(client, "/compare?pick=one&pick=two:2&pick=bare")
    assert "like for like" in page
    assert 'href="/compare?pick=two%3A2&amp;pick=one&amp;pick=bare"' in page
    assert files(runs) == before


async def test_what_is_read_for_a_reader_who_has_gone_keeps_others_waiting_and_what_is_not_yet_read_does_not(
    runs: Path,
) -> None:
    past, begun, go_on = PastRuns(Folders(runs, runs)), threading.Event(), threading.Event()
    read: list[str] = []

    def slow(name: str) -> str:
        read.append(name)
        begun.set()
        assert go_on.wait(SOON_S)
        return name

    first, second, third = (asyncio.ensure_future(past._in_turn(partial(slow, name))) for name in "abc")
    assert await asyncio.to_thread(begun.wait, SOON_S)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    begun.clear()
    assert not await asyncio.to_thread(begun.wait, 0.3)
    go_on.set()
    assert await third == "c"
    assert read == ["a", "c"]


async def test_a_comparison_that_cannot_be_made_says_all_that_is_wrong(client: Client) -> None:
    page = await text(client, "/compare?pick=none&pick=one:0", 400)
    assert "none" in page
    assert "one:0" in page
    assert "2 to 8 runs or blocks" in await text(client, "/compare", 400)


@pytest.mark.parametrize(
    "path",
    [
        "/runs/..%2fsecret", "/runs/one%2f..%2f..%2fsecret", "/runs/none", "/runs/%0a",
        "/runs/one/run.json", "/assets/..%2frun.py", "/assets/report.html", "/ablations/..%2fsecret", "/ablations/%0a",
    ],
)  # fmt: skip
async def test_what_the_listing_does_not_name_is_not_there(client: Client, path: str) -> None:
    page = await text(client, path, 404)
    assert ">secret<" not in page


@pytest.mark.parametrize(
    "path", ["/runs/../secret", "/runs/..", "/runs/%2e%2e", "/runs/%2e%2e%2fsecret", "//secret", "/runs/"]
)
async def test_paths_that_a_browser_would_never_send_lead_nowhere_else(client: Client, path: str) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 200"))
    assert b"secret</" not in answer
    assert not answer.endswith(b"secret")


async def test_what_cannot_be_read_is_told_without_where_it_lies(client: Client, runs: Path) -> None:
    for path in ("/runs/broken", "/compare?pick=one&pick=broken"):
        page = await text(client, path, 422)
        assert "history.sqlite cannot be read" in page
        assert "/tmp" not in page
        assert str(runs) not in page


async def test_a_run_under_way_is_not_read(client: Client, runs: Path) -> None:
    with under_way(runs / "bare"):
        for path in ("/runs/bare", "/compare?pick=one&pick=bare"):
            assert "under way" in await text(client, path, 422)
        assert await text(client, "/runs/one")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost:80@evil.example", "[", "", "10.0.0.1"]
)
async def test_a_name_that_is_not_ours_is_refused(client: Client, host: str) -> None:
    async with client.get("/", headers={"Host": host}) as response:
        assert response.status == 421
        assert "one" not in (await response.text()).split()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8090", "127.0.0.1:1", "[::1]:8090"])
async def test_our_own_names_are_answered_at_any_port(client: Client, host: str) -> None:
    async with client.get("/", headers={"Host": host}) as response:
        assert response.status == 200


async def test_a_server_that_others_reach_answers_to_every_name(runs: Path) -> None:
    async with (
        TestClient(TestServer(PastRuns(Folders(runs, runs)).app())) as client,
        client.get("/", headers={"Host": "bench.example"}) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/runs/one", "/compare"])
async def test_only_reading_is_allowed(client: Client, method: str, path: str) -> None:
    async with client.request(method, path) as response:
        assert response.status == 405


async def test_a_mistake_of_ours_is_told_without_its_traceback(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("inner matters")

    monkeypatch.setattr("harness.serve.app.list_runs", broken)
    assert "inner matters" not in await text(client, "/", 500)
    assert "inner matters" in caplog.text


async def test_the_table_of_an_ablation_is_shown(client: Client, runs: Path) -> None:
    folder = runs.parent / "ablations" / "many" / "small"
    folder.mkdir(parents=True)
    (folder / "ablation.json").write_text("{}")
    table = Table(
        ablation_id="small", saga="create-order", storm="retry-<storm>", seed=1, load="", rounds=1, backend="", commits=["abc"],
        machine="", command="sagastorm ablate", started_at="", topologies={"choreographed": []}, notes=["a note"],
        outcomes=[Outcome(cell=Cell(), round=0, verdict="fail", reason="it broke")],
    )  # fmt: skip
    assert "no table" in await text(client, "/ablations/many/small", 404)
    (folder / "table.json").write_bytes(msgspec.json.encode(table))
    page = await text(client, "/ablations/many/small")
    for told in ("retry-&lt;storm&gt;", "it broke", "a note", "sagastorm ablate"):
        assert told in page
    (folder / "table.json").write_text("{}")
    assert "many/small/table.json" in await text(client, "/ablations/many/small", 422)
