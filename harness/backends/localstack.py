"""The LocalStack backend: one that already runs, in Docker or beside us, found as LocalStack's own clients find it.

Some services may stand elsewhere, as DynamoDB Local does where ``AWS_ENDPOINT_URL_DYNAMODB`` names it; of those it is
only asked that they answer. Starting waits for what is still starting, and says who answered.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
import psutil

from harness.aws.services import LISTINGS, listing_headers
from harness.backends.base import DEFAULT_REGION, Endpoints
from harness.backends.endpoint import (
    HEALTH_TIMEOUT_S,
    Endpoint,
    by_address,
    region_from,
    resolve_endpoints,
    version_at,
    why_unreachable,
)
from harness.core.errors import EnvironmentFailure

HOW_TO_START: Final = "start LocalStack: make localstack, or docker compose up localstack"

_SERVING: Final = frozenset({"available", "running"})
_LOOK_S: Final = 0.2
_DOCKER_TIMEOUT_S: Final = 3.0
_ITS_COMMAND: Final = frozenset({"localstack.runtime.main", "localstack_launcher.py"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class _Answer(msgspec.Struct, frozen=True):
    """Who answers at one address: LocalStack with these facts, or something else."""

    version: str
    is_localstack: bool


class _NotYet(Exception):
    """It may still come; the message says what there was to see so far."""


class LocalStack:
    """LocalStack, reached over ``resolved`` (service to URL).

    ``start_timeout_s`` bounds the wait for one that is starting, ``listen_timeout_s`` that for one of which there is
    nothing to see: nobody listens.
    """

    name = "localstack"

    def __init__(
        self,
        resolved: Mapping[str, str],
        *,
        region: str = DEFAULT_REGION,
        start_timeout_s: float = 60.0,
        listen_timeout_s: float = 5.0,
        probe_interval_s: float = 1.0,
    ) -> None:
        self._urls = dict(resolved)
        self._region = region
        self._start_timeout_s = start_timeout_s
        self._listen_timeout_s = listen_timeout_s
        self._endpoint = Endpoint(resolved, region=region, probe_interval_s=probe_interval_s)

    async def start(self) -> Endpoints:
        """Wait until it serves all that is needed. Raises ``EnvironmentFailure`` with all that is wrong, at once."""
        addresses = by_address(self._urls)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HEALTH_TIMEOUT_S)) as session:
            waits = (self._wait(session, url, services) for url, services in addresses.items())
            results = await asyncio.gather(*waits, return_exceptions=True)
        problems = [str(result) for result in results if isinstance(result, EnvironmentFailure)]
        if problems:
            raise EnvironmentFailure("\n".join(problems))
        answers = {url: _unwrapped(result) for url, result in zip(addresses, results, strict=True)}
        its_urls = [url for url, answer in answers.items() if answer.is_localstack]
        if not its_urls:
            found = "; ".join(f"{url}: {answer.version}" for url, answer in answers.items())
            raise EnvironmentFailure(
                f"what answers is not LocalStack ({found}); --backend endpoint uses any emulator as it is, "
                f"or {HOW_TO_START}"
            )
        return Endpoints(
            urls=dict(self._urls),
            region=self._region,
            emulator=True,
            name=self.name,
            product="localstack",
            version=_version(answers, addresses),
            pid=await asyncio.to_thread(_pid_at, its_urls[0]) if len(its_urls) == 1 else None,
        )

    async def stop(self) -> None:
        """Nothing to do: it was not ours to start."""

    async def died(self) -> str:
        """As of any endpoint: one of the addresses has stopped answering."""
        return await self._endpoint.died()

    async def _wait(self, session: aiohttp.ClientSession, url: str, services: Sequence[str]) -> _Answer:
        started_s = time.monotonic()
        while True:
            refused = await why_unreachable(url)
            try:
                if refused is None:
                    return await _look(session, url, services)
                seen = f"nothing answers at {url} ({', '.join(services)}): {refused}; {HOW_TO_START}"
            except _NotYet as not_yet:
                seen = f"{url} ({', '.join(services)}) is not ready: {not_yet}"
            waited_s = time.monotonic() - started_s
            if waited_s >= (self._start_timeout_s if refused is None else self._listen_timeout_s):
                raise EnvironmentFailure(f"{seen} (waited {waited_s:.0f} s)")
            await asyncio.sleep(_LOOK_S)


class LocalStackKind:
    """``--backend localstack``."""

    rate_per_s: float | None = None

    def resolve(self, endpoint_url: str | None, environ: Mapping[str, str]) -> dict[str, str]:
        """As of any endpoint; where nothing is set, LocalStack is at ``localhost:4566``."""
        return resolve_endpoints(endpoint_url, environ)

    def backend(self, urls: Mapping[str, str] | None, log_path: Path) -> LocalStack:
        """The LocalStack at these addresses."""
        assert urls is not None
        return LocalStack(urls, region=region_from(os.environ))


KIND: Final = LocalStackKind()


def _unwrapped(result: _Answer | BaseException) -> _Answer:
    if isinstance(result, BaseException):
        raise result
    return result


def _version(answers: Mapping[str, _Answer], addresses: Mapping[str, Sequence[str]]) -> str:
    """LocalStack first, and what stands beside it with the services that it has."""
    its_urls = [url for url, answer in answers.items() if answer.is_localstack]
    parts = [answers[its_urls[0]].version] if len(its_urls) == 1 else []
    named = [url for url in answers if len(its_urls) > 1 or url not in its_urls]
    return "; ".join([*parts, *(f"{','.join(addresses[url])}: {answers[url].version}" for url in named)])


# --- one look at one address ----------------------------------------------------------------------------------------


async def _look(session: aiohttp.ClientSession, url: str, services: Sequence[str]) -> _Answer:
    """Raises ``_NotYet``, or ``EnvironmentFailure`` where it is no use to wait."""
    version = await version_at(session, url)  # of MiniStack, which answers for LocalStack, too
    health = None if version.startswith("ministack ") else await _page(session, url + "/_localstack/health")
    states = health.get("services") if health is not None else None
    if health is None or not isinstance(states, dict):
        await _call(session, url, services)
        return _Answer(version if version != "unknown" else await _nameless(session, url), False)
    absent = {service: states.get(service, "missing") for service in services if states.get(service) not in _SERVING}
    if absent:
        words = ", ".join(f"{service} ({state})" for service, state in absent.items())
        if "starting" in absent.values():
            raise _NotYet(words)
        raise EnvironmentFailure(
            f"LocalStack at {url} does not serve {words}; start it with SERVICES naming them, "
            "or set AWS_ENDPOINT_URL_<SERVICE> to where they are"
        )
    return _Answer(await _description(session, url, health), True)


async def _page(session: aiohttp.ClientSession, url: str) -> dict[str, Any] | None:
    """A page of LocalStack's; ``None`` where there is no such page. Raises ``_NotYet``."""
    try:
        async with session.get(url, ssl=False, allow_redirects=False) as response:
            if response.status >= 500:
                raise _NotYet(f"it answers with status {response.status}")
            content = await response.json(content_type=None) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError) as error:  # Docker listens before LocalStack does, and hangs up
        raise _NotYet(str(error) or type(error).__name__) from error
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


async def _call(session: aiohttp.ClientSession, url: str, services: Sequence[str]) -> None:
    """One real call to each service of an address that is not LocalStack's. Raises as ``_look`` does."""
    for service in services:
        try:
            async with session.post(url, data=b"{}", headers=listing_headers(service), ssl=False) as response:
                if response.status >= 500:
                    raise _NotYet(f"{service} answers with status {response.status}")
                if response.status != 200:
                    raise EnvironmentFailure(
                        f"{url} is not LocalStack, and does not serve {service}: "
                        f"{LISTINGS[service]} is answered with status {response.status}"
                    )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _NotYet(f"{service}: {error or type(error).__name__}") from error


async def _nameless(session: aiohttp.ClientSession, url: str) -> str:
    """DynamoDB Local has no page that names it. It is a Jetty that answers whatever comes unsigned with its own error."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(url, ssl=False, allow_redirects=False) as response:
            said = await response.text(errors="replace")
            if response.headers.get("Server", "").startswith("Jetty") and "com.amazonaws.dynamodb" in said:
                return "DynamoDB Local"
    return "unknown"


async def _description(session: aiohttp.ClientSession, url: str, health: Mapping[str, Any]) -> str:
    """Such as ``localstack 4.14.0 community (docker, localstack/localstack:4.14.0)``, as far as it is known."""
    words = ["localstack", str(health.get("version", "of no known version"))]
    edition = health.get("edition")
    if isinstance(edition, str) and edition != "unknown":
        words.append(edition)
    info = await _page(session, url + "/_localstack/info") or {}
    match info.get("is_docker"):
        case True:
            image = await _image_at(url)
            words.append(f"(docker, {image})" if image else "(docker)")
        case False:
            words.append("(host)")
    return " ".join(words)


# --- what this machine knows of it ----------------------------------------------------------------------------------


async def _image_at(url: str) -> str | None:
    """The image of the container whose port this is: LocalStack itself does not know, Docker may."""
    port = _loopback_port(url)
    if port is None:
        return None
    command = ("docker", "ps", "--filter", f"publish={port}", "--format", "{{.Image}}")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _DOCKER_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    images = output.decode(errors="replace").split()
    return images[0] if len(images) == 1 else None


def _pid_at(url: str) -> int | None:
    """The process that listens there, if it is LocalStack by its own command line: Docker's proxy is not."""
    port = _loopback_port(url)
    if port is None:
        return None
    try:
        listeners = {
            connection.pid
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
        }
        its_own = [pid for pid in listeners if _is_localstack(psutil.Process(pid).cmdline())]
    except psutil.Error:  # macOS shows them to root alone
        return None
    return its_own[0] if len(its_own) == 1 else None


def _is_localstack(command: Sequence[str]) -> bool:
    return not _ITS_COMMAND.isdisjoint(PurePath(argument).name for argument in command)


def _loopback_port(url: str) -> int | None:
    parts = urlsplit(url)
    return (parts.port or (443 if parts.scheme == "https" else 80)) if parts.hostname in _LOOPBACK else None
