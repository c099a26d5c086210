"""LocalStack is waited for while it starts, refused where it is something else, and says who it is."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from harness.aws.services import SERVICES
from harness.backends.base import Endpoints
from harness.backends.localstack import KIND, LocalStack, _is_localstack
from harness.core.errors import EnvironmentFailure

Answer = Callable[[web.Request], web.StreamResponse]
RUNNING = dict.fromkeys(SERVICES, "running")
HOST_INFO = {"version": "4.14.0", "edition": "unknown", "is_docker": False}


def everywhere(url: str) -> dict[str, str]:
    return dict.fromkeys(SERVICES, url)


@asynccontextmanager
async def server(answer: Answer, port: int = 0) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, its_port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{its_port}"
    finally:
        await runner.cleanup()


class Fake:
    """LocalStack's two pages. ``states`` is one look after another; the last one stays."""

    def __init__(
        self, *states: object, info: object = HOST_INFO, edition: object = "unknown", version: str = "4.14.0"
    ) -> None:
        self._states = list(states)
        self._info = info
        self._edition = edition
        self._version = version
        self.looks = 0

    def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/_localstack/info":
            return web.json_response(self._info)
        if request.path != "/_localstack/health":
            return web.Response(status=404)
        # Each look asks twice: who are you, and how are you.
        states = self._states[min(self.looks // 2, len(self._states) - 1)]
        self.looks += 1
        if isinstance(states, int):
            return web.Response(status=states)
        return web.json_response({"services": states, "edition": self._edition, "version": self._version})


def dynamodb_local(request: web.Request) -> web.StreamResponse:
    """As version 3.3.1 answers: only to what looks signed."""
    if "Credential=" in request.headers.get("Authorization", ""):
        return web.json_response({"TableNames": []})
    error = {"__type": "com.amazonaws.dynamodb.v20120810#MissingAuthenticationToken"}
    return web.json_response(error, status=400, headers={"Server": "Jetty(12.1.11)"})


def ministack(request: web.Request) -> web.StreamResponse:
    if request.path.endswith("/health"):
        return web.json_response({"version": "1.5.33", "services": RUNNING})
    return web.json_response({})


def anything(request: web.Request) -> web.StreamResponse:
    return web.json_response({}, status=200 if request.method == "POST" else 404)


async def start(urls: dict[str, str], start_timeout_s: float = 10.0, listen_timeout_s: float = 10.0) -> Endpoints:
    backend = LocalStack(urls, start_timeout_s=start_timeout_s, listen_timeout_s=listen_timeout_s)
    return await backend.start()


@pytest.mark.parametrize(
    ("info", "edition", "version"),
    [
        (HOST_INFO, "unknown", "localstack 4.14.0 (host)"),
        (HOST_INFO, "community", "localstack 4.14.0 community (host)"),
        ({}, None, "localstack 4.14.0"),
        (["nonsense"], "pro", "localstack 4.14.0 pro"),
    ],
)
async def test_one_that_serves_all_says_who_it_is(info: object, edition: object, version: str) -> None:
    async with server(Fake(RUNNING, info=info, edition=edition)) as url:
        endpoints = await start(everywhere(url))
    assert endpoints == Endpoints(
        urls=everywhere(url),
        region="us-east-1",
        emulator=True,
        name="localstack",
        product="localstack",
        version=version,
        pid=None,  # this process listens there, and is not LocalStack
    )


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo localstack/localstack:4.14.0", "localstack 4.14.0 (docker, localstack/localstack:4.14.0)"),
        ("echo one; echo two", "localstack 4.14.0 (docker)"),
        ("exit 1", "localstack 4.14.0 (docker)"),
    ],
)
async def test_in_docker_the_image_is_named_where_docker_knows_it(
    script: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    async with server(Fake(RUNNING, info={"is_docker": True})) as url:
        assert (await start(everywhere(url))).version == version


async def test_without_docker_the_image_is_not_guessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with server(Fake(RUNNING, info={"is_docker": True})) as url:
        assert (await start(everywhere(url))).version == "localstack 4.14.0 (docker)"


async def test_services_that_are_starting_and_a_front_that_is_not_ready_are_waited_for() -> None:
    fake = Fake(503, RUNNING | {"sqs": "starting"}, RUNNING | {"sqs": "available"})
    async with server(fake) as url:
        endpoints = await start(everywhere(url))
    assert endpoints.product == "localstack"
    assert fake.looks == 6


async def test_one_that_begins_to_listen_a_little_later_is_waited_for() -> None:
    async with server(anything) as url:
        pass
    starting = asyncio.create_task(start(everywhere(url)))
    await asyncio.sleep(0.05)
    assert not starting.done()
    async with server(Fake(RUNNING), port=int(url.rpartition(":")[2])):
        assert (await starting).product == "localstack"


async def test_one_that_never_gets_ready_is_given_up_with_what_it_waits_for() -> None:
    async with server(Fake(RUNNING | {"events": "starting"})) as url:
        with pytest.raises(EnvironmentFailure, match=r"is not ready: events \(starting\) \(waited"):
            await start(everywhere(url), start_timeout_s=0)


async def test_where_nobody_listens_it_says_how_to_start_one() -> None:
    async with server(anything) as url:
        pass
    with pytest.raises(EnvironmentFailure, match=rf"nothing answers at {url} .*make localstack, or docker compose up"):
        await start(everywhere(url), start_timeout_s=600, listen_timeout_s=0)


async def test_all_services_that_are_missing_anywhere_are_named_at_once() -> None:
    other = Fake({"dynamodb": "disabled"})
    async with server(Fake({"sqs": "error", "events": "running"})) as url, server(other) as beside:
        with pytest.raises(EnvironmentFailure) as caught:
            await start(everywhere(url) | {"dynamodb": beside})
    hint = "; start it with SERVICES naming them, or set AWS_ENDPOINT_URL_<SERVICE> to where they are"
    assert str(caught.value).splitlines() == [
        f"LocalStack at {url} does not serve sqs (error), stepfunctions (missing){hint}",
        f"LocalStack at {beside} does not serve dynamodb (disabled){hint}",
    ]


async def test_dynamodb_local_beside_it_is_recognised_and_localstack_need_not_have_dynamodb() -> None:
    states = RUNNING | {"dynamodb": "disabled"}
    async with server(Fake(states)) as url, server(dynamodb_local) as beside:
        endpoints = await start(everywhere(url) | {"dynamodb": beside})
    assert endpoints.version == "localstack 4.14.0 (host); dynamodb: DynamoDB Local"
    assert endpoints.product == "localstack"


@pytest.mark.parametrize(("other", "version"), [(ministack, "ministack 1.5.33"), (anything, "unknown")])
async def test_whatever_else_stands_beside_it_is_named(other: Answer, version: str) -> None:
    async with server(Fake(RUNNING)) as url, server(other) as beside:
        endpoints = await start(everywhere(url) | {"dynamodb": beside})
    assert endpoints.version == f"localstack 4.14.0 (host); dynamodb: {version}"


async def test_two_localstacks_are_told_apart_by_their_services() -> None:
    async with server(Fake(RUNNING)) as url, server(Fake(RUNNING, version="4.13.0")) as other:
        endpoints = await start(everywhere(url) | {"events": other})
    assert endpoints.version == (
        "sqs,dynamodb,stepfunctions: localstack 4.14.0 (host); events: localstack 4.13.0 (host)"
    )


async def test_ministack_is_refused_though_it_answers_for_localstack() -> None:
    async with server(ministack) as url:
        with pytest.raises(EnvironmentFailure, match=r"not LocalStack .*ministack 1\.5\.33.*--backend endpoint"):
            await start(everywhere(url))


async def test_something_else_that_does_not_serve_aws_either_is_refused_without_waiting() -> None:
    async with server(lambda request: web.Response(status=404)) as url:
        with pytest.raises(EnvironmentFailure, match=r"is not LocalStack, and does not serve sqs: .* status 404"):
            await start(everywhere(url), start_timeout_s=600)


async def test_one_that_stops_listening_has_died() -> None:
    async with server(Fake(RUNNING)) as url:
        backend = LocalStack(everywhere(url), probe_interval_s=0.01)
        await backend.start()
        died = asyncio.create_task(backend.died())
    assert "stopped answering" in await asyncio.wait_for(died, 10)
    await backend.stop()


@pytest.mark.parametrize(
    ("command", "is_it"),
    [
        (["/opt/v/bin/python", "-m", "localstack.runtime.main"], True),
        (["/v/bin/python", "-I", "/x/localstack_launcher.py", "localstack", "/s"], True),
        (["/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", "4566"], False),
        (["ssh", "-L", "4566:localstack:4566"], False),
        ([], False),
    ],
)
def test_only_its_own_command_line_makes_a_process_localstack(command: list[str], is_it: bool) -> None:
    assert _is_localstack(command) is is_it


def test_unset_it_is_where_localstack_client_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("LOCALSTACK_HOST", "emulator:4567")
    urls = KIND.resolve(None, {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000"})
    assert urls == everywhere("http://emulator:4567") | {"dynamodb": "http://127.0.0.1:8000"}
    assert KIND.rate_per_s is None
