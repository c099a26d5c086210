"""The endpoint backend: any emulator that already runs (LocalStack, MiniStack, DynamoDB Local beside them).

Where each service is, is resolved by ``resolve_endpoints``. Real AWS is refused, by name and never by accident: a
service that nothing names is looked for where localstack-client looks, localhost:4566, and where boto would quietly go to
AWS is an error here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import aiohttp
from localstack_client.config import get_service_endpoint

from harness.aws.services import SERVICES
from harness.backends.base import DEFAULT_REGION, Endpoints
from harness.core.errors import EnvironmentFailure, Problem, UsageError

SERVICE_VARIABLES: Final[Mapping[str, str]] = {
    "sqs": "AWS_ENDPOINT_URL_SQS",
    "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
    "stepfunctions": "AWS_ENDPOINT_URL_SFN",
    "events": "AWS_ENDPOINT_URL_EVENTBRIDGE",
}
"""botocore's names: the service id, in capitals. Step Functions is ``SFN`` there and events is ``EventBridge``."""

REAL_AWS: Final = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "amazonwebservices.com.cn",
    "amazonwebservices.eu",
    "api.aws",
    "on.aws",
    "api.aws.ic.gov",
    "api.aws.scloud",
    "api.aws.hci.ic.gov",
    "api.cloud-aws.adc-e.uk",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
)
"""Domains under which AWS answers, in all partitions that botocore 1.40 knows."""

FAILURES_TO_DIE: Final = 3
_CONNECT_TIMEOUT_S: Final = 1.0
HEALTH_TIMEOUT_S: Final = 2.0
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.IGNORECASE | re.ASCII)
_HEALTH: Final = (("ministack", "/_ministack/health"), ("localstack", "/_localstack/health"))
"""MiniStack first: it answers for LocalStack, too."""


def resolve_endpoints(
    explicit_url: str | None,
    environ: Mapping[str, str],
    *,
    from_localstack_client: Callable[[str], str | None] = get_service_endpoint,
) -> dict[str, str]:
    """The URL of each service: ``--endpoint-url``, else ``AWS_ENDPOINT_URL_<SERVICE>``, else ``AWS_ENDPOINT_URL``, else
    what localstack-client says (``LOCALSTACK_HOST`` and ``USE_SSL``, read by it from the process's own environment).

    Raises ``UsageError`` with every service that nothing resolves, and every URL that is malformed or real AWS.
    """
    resolved: dict[str, str] = {}
    problems: dict[tuple[str, str | None], Problem] = {}  # one URL for all four services is one problem, not four
    for service in SERVICES:
        setting, url = _resolve(service, explicit_url, environ, from_localstack_client)
        problem = _problem(service, setting, url)
        if problem is not None:
            problems.setdefault((problem.field, url), problem)
        elif url is not None:
            resolved[service] = url.rstrip("/")
    if problems:
        raise UsageError(tuple(problems.values()))
    return resolved


def region_from(environ: Mapping[str, str]) -> str:
    """The region as boto reads it, without its files: an emulator has every region."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def _resolve(
    service: str,
    explicit_url: str | None,
    environ: Mapping[str, str],
    from_localstack_client: Callable[[str], str | None],
) -> tuple[str, str | None]:
    """The setting that decides, and its value. A setting that is there but empty decides nothing."""
    if explicit_url is not None:
        return "--endpoint-url", explicit_url.strip()
    for variable in (SERVICE_VARIABLES[service], "AWS_ENDPOINT_URL"):
        value = environ.get(variable, "").strip()
        if value:
            return variable, value
    try:
        return "LOCALSTACK_HOST", from_localstack_client(service)
    except RuntimeError:  # localstack-client's answer to a port that is not a number
        return "LOCALSTACK_HOST", environ.get("LOCALSTACK_HOST", "")


def _problem(service: str, setting: str, url: str | None) -> Problem | None:
    if url is None:
        settings = f"--endpoint-url, {SERVICE_VARIABLES[service]}, AWS_ENDPOINT_URL or LOCALSTACK_HOST"
        return Problem(f"endpoint of {service}", None, f"set {settings}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return Problem(setting, url, "it must be a URL such as http://127.0.0.1:4566")
    host = (parts.hostname or "").rstrip(".")
    if any(host == domain or host.endswith(f".{domain}") for domain in REAL_AWS):
        return Problem(setting, url, "talking to real AWS is not supported yet; name an emulator")
    if parts.username is not None or parts.password is not None:
        return Problem(setting, _without_credentials(parts), "it must not carry credentials, which a run would record")
    well_formed = parts.scheme in ("http", "https") and _is_host(host) and port != 0
    if not well_formed or parts.query or parts.fragment or any(c.isspace() for c in url):
        return Problem(setting, url, "it must be a URL such as http://127.0.0.1:4566")
    return None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None
    return True


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()


class Endpoint:
    """Somebody else's emulator, reached over ``resolved`` (service to URL). Starting it checks that it is there.

    ``probe_interval_s`` is how often ``died`` looks: it connects to each address and sends nothing.
    """

    name = "endpoint"

    def __init__(
        self, resolved: Mapping[str, str], *, region: str = DEFAULT_REGION, probe_interval_s: float = 1.0
    ) -> None:
        self._urls = dict(resolved)
        self._region = region
        self._probe_interval_s = probe_interval_s

    async def start(self) -> Endpoints:
        """Raises ``EnvironmentFailure`` naming every address at which nothing listens."""
        reasons = await self._unreachable()
        if reasons:
            raise EnvironmentFailure("\n".join(f"{address}: {reason}" for address, reason in reasons.items()))
        version = await self._version()
        return Endpoints(
            urls=dict(self._urls),
            region=self._region,
            emulator=True,
            name=self.name,
            product=product_of(version),
            version=version,
            pid=None,
        )

    async def stop(self) -> None:
        """Nothing to do: it was not ours to start."""

    async def died(self) -> str:
        """Three connects in a row have failed at one address. A backend that hangs but listens has not died."""
        failures: dict[str, int] = {}
        while True:
            reasons = await self._unreachable()
            failures = {address: failures.get(address, 0) + 1 for address in reasons}
            for address, count in failures.items():
                if count >= FAILURES_TO_DIE:
                    return f"{address} stopped answering: {reasons[address]}, {count} times in a row"
            await asyncio.sleep(self._probe_interval_s)

    def _addresses(self) -> dict[str, str]:
        """URL to the words for it: services that share a URL are looked at once."""
        return {url: f"the endpoint {url} ({', '.join(services)})" for url, services in by_address(self._urls).items()}

    async def _unreachable(self) -> dict[str, str]:
        addresses = self._addresses()
        reasons = await asyncio.gather(*(why_unreachable(url) for url in addresses))
        return {address: reason for address, reason in zip(addresses.values(), reasons, strict=True) if reason}

    async def _version(self) -> str:
        addresses = by_address(self._urls)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HEALTH_TIMEOUT_S)) as session:
            versions = await asyncio.gather(*(version_at(session, url) for url in addresses))
        if len(set(versions)) == 1:
            return versions[0]
        return "; ".join(
            f"{','.join(services)}: {version}" for services, version in zip(addresses.values(), versions, strict=True)
        )


class EndpointKind:
    """``--backend endpoint``."""

    rate_per_s: float | None = None

    def resolve(self, endpoint_url: str | None, environ: Mapping[str, str]) -> dict[str, str]:
        """Every service must be found: see :func:`resolve_endpoints`."""
        return resolve_endpoints(endpoint_url, environ)

    def backend(self, urls: Mapping[str, str] | None, log_path: Path) -> Endpoint:
        """The emulator at these addresses."""
        assert urls is not None
        return Endpoint(urls, region=region_from(os.environ))


KIND: Final = EndpointKind()


def by_address(urls: Mapping[str, str]) -> dict[str, list[str]]:
    """URL to the services that share it."""
    addresses: dict[str, list[str]] = {}
    for service, url in urls.items():
        addresses.setdefault(url, []).append(service)
    return addresses


def product_of(version: str) -> str:
    """``localstack`` of ``localstack 4.14.0``; ``unknown`` where services of several products stand side by side.

    DynamoDB Local has no health page: beside one product that has one, it does not count.
    """
    products = {part.rpartition(": ")[2].split()[0] for part in version.split("; ")} - {"unknown"}
    return products.pop() if len(products) == 1 else "unknown"


async def why_unreachable(url: str) -> str | None:
    """Why a connection cannot be made, in words; ``None`` where something listens."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, port), _CONNECT_TIMEOUT_S)
    except TimeoutError:
        return f"no connection within {_CONNECT_TIMEOUT_S:g} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    return None


async def version_at(session: aiohttp.ClientSession, url: str) -> str:
    """Such as ``localstack 4.14.0``; ``unknown`` for whatever has no health page (DynamoDB Local has none)."""
    for product, path in _HEALTH:
        try:
            async with session.get(url + path, ssl=False, allow_redirects=False) as response:
                health: Any = await response.json(content_type=None) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            continue
        if isinstance(health, dict) and isinstance(health.get("version"), str):
            return f"{product} {health['version']}"
    return "unknown"
