"""Which endpoint each service gets, what is refused, and when an endpoint that was there counts as dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from botocore import session as botocore_session
from botocore.configprovider import ConfiguredEndpointProvider
from localstack_client.config import get_service_endpoint

from harness.aws.services import SERVICES
from harness.backends.base import Endpoints
from harness.backends.endpoint import (
    REAL_AWS,
    SERVICE_VARIABLES,
    Endpoint,
    region_from,
    resolve_endpoints,
)
from harness.core.errors import EnvironmentFailure, UsageError

LOCALSTACK = "http://localhost:4566"


def localstack(service: str) -> str | None:
    return LOCALSTACK


def nothing(service: str) -> str | None:
    return None


def everywhere(url: str) -> dict[str, str]:
    return dict.fromkeys(SERVICES, url)


@pytest.mark.parametrize(
    ("explicit", "environ", "expected"),
    [
        (
            "http://a:1",
            {"AWS_ENDPOINT_URL_SQS": "http://b:2", "AWS_ENDPOINT_URL": "http://c:3"},
            everywhere("http://a:1"),
        ),
        (None, {"AWS_ENDPOINT_URL": "http://c:3"}, everywhere("http://c:3")),
        (
            None,
            {"AWS_ENDPOINT_URL_SQS": "http://b:2", "AWS_ENDPOINT_URL": "http://c:3"},
            everywhere("http://c:3") | {"sqs": "http://b:2"},
        ),
        (
            None,
            {
                "AWS_ENDPOINT_URL_DYNAMODB": "http://d:4",
                "AWS_ENDPOINT_URL_SFN": "http://e:5",
                "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://f:6",
            },
            {"sqs": LOCALSTACK, "dynamodb": "http://d:4", "stepfunctions": "http://e:5", "events": "http://f:6"},
        ),
        (None, {}, everywhere(LOCALSTACK)),
        (None, {"AWS_ENDPOINT_URL": "  "}, everywhere(LOCALSTACK)),
        ("http://127.0.0.1:4566/", {}, everywhere("http://127.0.0.1:4566")),
        ("http://[::1]:4566", {}, everywhere("http://[::1]:4566")),
        ("https://localhost.localstack.cloud:4566", {}, everywhere("https://localhost.localstack.cloud:4566")),
    ],
)
def test_each_service_takes_the_first_setting_that_names_it(
    explicit: str | None, environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert resolve_endpoints(explicit, environ, from_localstack_client=localstack) == expected


def test_localstack_client_knows_the_names_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ENDPOINT_URL", "USE_SSL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LOCALSTACK_HOST", "emulator:4567")
    assert resolve_endpoints(None, {}, from_localstack_client=get_service_endpoint) == everywhere(
        "http://emulator:4567"
    )


def test_a_service_that_nothing_resolves_is_an_error_and_never_real_aws() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoints(None, {"AWS_ENDPOINT_URL_SQS": "http://b:2"}, from_localstack_client=nothing)
    assert [problem.field for problem in caught.value.problems] == [
        "endpoint of dynamodb",
        "endpoint of stepfunctions",
        "endpoint of events",
    ]
    assert "AWS_ENDPOINT_URL_EVENTBRIDGE" in str(caught.value)


def test_a_localstack_host_that_cannot_be_parsed_is_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("LOCALSTACK_HOST", "emulator:port")
    with pytest.raises(UsageError) as caught:
        resolve_endpoints(None, {"LOCALSTACK_HOST": "emulator:port"})
    assert [(problem.field, problem.value) for problem in caught.value.problems] == [
        ("LOCALSTACK_HOST", "emulator:port")
    ]


@pytest.mark.parametrize("domain", REAL_AWS)
@pytest.mark.parametrize(
    "spelling", ["https://sqs.us-east-1.{}", "http://{}:4566", "https://SQS.{}.", "https://u:p@x.{}"]
)
def test_real_aws_is_refused_under_every_domain_and_spelling(domain: str, spelling: str) -> None:
    with pytest.raises(UsageError, match="real AWS is not supported yet"):
        resolve_endpoints(None, {"AWS_ENDPOINT_URL_SQS": spelling.format(domain)}, from_localstack_client=localstack)


def test_the_refused_domains_are_all_that_botocore_knows() -> None:
    partitions = botocore_session.get_session().get_data("partitions")["partitions"]
    suffixes = {p["outputs"][key] for p in partitions for key in ("dnsSuffix", "dualStackDnsSuffix")}
    not_refused = [name for name in suffixes if not any(f".{name}".endswith(f".{domain}") for domain in REAL_AWS)]
    assert not_refused == []


def test_a_name_that_only_contains_an_aws_domain_is_not_aws() -> None:
    url = "http://amazonaws.com.example:4566"
    assert resolve_endpoints(url, {}) == everywhere(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4566",
        "127.0.0.1",
        "ftp://127.0.0.1:4566",
        "http://",
        "http://:4566",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://two words:4566",
        "http://127.0.0.1:4566?x=1",
        "http://127.0.0.1:4566#x",
        "http://-a:1",
        "http://amazonaw\u017f.com",  # a long s, which name resolution would fold into an s
    ],
)
def test_a_malformed_url_is_refused_once_and_not_once_per_service(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoints(url, {})
    assert [(problem.field, problem.value) for problem in caught.value.problems] == [("--endpoint-url", url)]


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoints("http://user:hunter2@localhost:4566", {})
    assert "credentials" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    environ = {"AWS_ENDPOINT_URL_SQS": "nonsense", "AWS_ENDPOINT_URL_SFN": "https://states.us-east-1.amazonaws.com"}
    with pytest.raises(UsageError) as caught:
        resolve_endpoints(None, environ, from_localstack_client=nothing)
    assert [problem.field for problem in caught.value.problems] == [
        "AWS_ENDPOINT_URL_SQS",
        "endpoint of dynamodb",
        "AWS_ENDPOINT_URL_SFN",
        "endpoint of events",
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_the_variables_are_those_that_botocore_reads(service: str) -> None:
    provider = ConfiguredEndpointProvider(
        full_config={}, scoped_config={}, client_name=service, environ={SERVICE_VARIABLES[service]: "http://x:1"}
    )
    assert provider.provide() == "http://x:1"


def test_the_region_is_what_boto_would_read_from_the_environment() -> None:
    assert region_from({}) == "us-east-1"
    assert region_from({"AWS_DEFAULT_REGION": "eu-west-1"}) == "eu-west-1"
    assert region_from({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-2"}) == "eu-west-2"


# --- the backend, against small servers -----------------------------------------------------------------------------


@asynccontextmanager
async def emulator(pages: dict[str, object]) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """A server that answers the given paths with JSON. Yields its URL and a way to take it down."""

    async def answer(request: web.Request) -> web.Response:
        if request.path not in pages:
            raise web.HTTPNotFound
        return web.json_response(pages[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}", runner.cleanup
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("pages", "version"),
    [
        ({"/_localstack/health": {"version": "4.14.0"}}, "localstack 4.14.0"),
        (
            {"/_ministack/health": {"version": "1.5.33"}, "/_localstack/health": {"version": "1.5.33"}},
            "ministack 1.5.33",
        ),
        ({"/_localstack/health": ["4.14.0"]}, "unknown"),
        ({"/_localstack/health": {"version": 4}}, "unknown"),
        ({}, "unknown"),
    ],
)
async def test_the_version_is_what_the_health_page_says(pages: dict[str, object], version: str) -> None:
    async with emulator(pages) as (url, _):
        endpoints = await Endpoint(everywhere(url), region="eu-west-1").start()
    assert endpoints == Endpoints(
        urls=everywhere(url),
        region="eu-west-1",
        emulator=True,
        name="endpoint",
        product=version.split()[0],
        version=version,
        pid=None,
    )
    assert msgspec.json.decode(msgspec.json.encode(endpoints), type=Endpoints) == endpoints


async def test_services_at_different_addresses_have_versions_of_their_own() -> None:
    async with emulator({"/_localstack/health": {"version": "4.14.0"}}) as (url, _), emulator({}) as (other, _):
        endpoints = await Endpoint(everywhere(url) | {"dynamodb": other}).start()
    assert endpoints.version == "sqs,stepfunctions,events: localstack 4.14.0; dynamodb: unknown"


async def test_starting_on_an_address_where_nothing_listens_names_the_address_and_its_services() -> None:
    async with emulator({}) as (url, _), emulator({}) as (other, take_down):
        await take_down()
        with pytest.raises(EnvironmentFailure, match=rf"the endpoint {other} \(dynamodb\): "):
            await Endpoint(everywhere(url) | {"dynamodb": other}).start()


async def test_an_endpoint_that_stops_listening_has_died_after_three_looks() -> None:
    async with emulator({}) as (url, take_down):
        backend = Endpoint(everywhere(url), probe_interval_s=0.01)
        await backend.start()
        died = asyncio.create_task(backend.died())
        await asyncio.sleep(0.05)
        assert not died.done()
        await take_down()
        reason = await asyncio.wait_for(died, 10)
        await backend.stop()
    assert reason.startswith(f"the endpoint {url} (sqs, dynamodb, stepfunctions, events) stopped answering: ")
    assert reason.endswith(", 3 times in a row")
    assert "\n" not in reason


class Flaky(Endpoint):
    """Unreachable at the looks that ``script`` says; what comes after it is unreachable."""

    def __init__(self, script: str) -> None:
        super().__init__({"sqs": "http://127.0.0.1:1"}, probe_interval_s=0)
        self._script = iter(script)
        self.looks = 0

    async def _unreachable(self) -> dict[str, str]:
        self.looks += 1
        return {} if next(self._script, "x") == "." else {"the endpoint": "refused"}


async def test_an_endpoint_that_comes_back_within_three_looks_is_alive() -> None:
    backend = Flaky("xx.xx..xx.")
    assert await asyncio.wait_for(backend.died(), 10) == "the endpoint stopped answering: refused, 3 times in a row"
    assert backend.looks == len("xx.xx..xx.") + 3
