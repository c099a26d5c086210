"""``docker-compose.yml`` as Compose reads it: merged, interpolated, defaults filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
IMAGE = "sagastorm:local"
"""Made from our Dockerfile."""
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


class Mount(NamedTuple):
    """A line of ``volumes``: the source is a path of ours or the name of a volume."""

    source: str
    target: str
    options: frozenset[str]

    @property
    def is_path(self) -> bool:
        """Whether it is a file or folder of ours."""
        return self.source.startswith(".")


class Port(NamedTuple):
    """A line of ``ports``."""

    address: str
    published: int
    target: int


def read_yaml(path: Path) -> Any:
    """As YAML 1.2, in which ``no`` is no boolean."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def interpolated(text: str, environ: Mapping[str, str]) -> str:
    """``${NAME}`` and ``${NAME:-default}``; anything else with a dollar sign is refused, as nothing else is used."""
    assert "$" not in _VARIABLE.sub("", text), f"not understood here: {text}"

    def value(match: re.Match[str]) -> str:
        return "$" if match["escaped"] else environ.get(match["name"]) or match["default"] or ""

    return _VARIABLE.sub(value, text)


def project(environ: Mapping[str, str]) -> dict[str, Any]:
    """The whole file, for a user with these variables."""
    found: dict[str, Any] = _deep(read_yaml(FILE), environ)
    for service in found["services"].values():
        # A variable without a value is passed on from the user's environment, or not at all.
        passed = {name: environ.get(name) if value is None else value for name, value in _environment(service)}
        service["environment"] = {name: value for name, value in passed.items() if value is not None}
    return found


def services(environ: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Its services, by name."""
    found: dict[str, dict[str, Any]] = project(environ or {})["services"]
    return found


def variables() -> set[str]:
    """What a user can set: the names that are interpolated, and those that are passed on."""
    file = read_yaml(FILE)
    text = FILE.read_text(encoding="utf-8")
    named = {match["name"] for match in _VARIABLE.finditer(text) if match["name"]}
    passed = {name for service in file["services"].values() for name, value in _environment(service) if value is None}
    return named | passed


def mounts(service: Mapping[str, Any]) -> list[Mount]:
    """Of one service."""
    lines = [line.split(":") for line in service.get("volumes", [])]
    return [Mount(line[0], line[1], frozenset(",".join(line[2:]).split(",")) - {""}) for line in lines]


def ports(service: Mapping[str, Any]) -> list[Port]:
    """Of one service. Raises ``ValueError`` where a line leaves the address out, which would publish to everybody."""
    lines = [line.split(":") for line in service.get("ports", [])]
    return [Port(address, int(published), int(target)) for address, published, target in lines]


def _environment(service: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    yield from service.get("environment", {}).items()


def _deep(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolated(value, environ)
    if isinstance(value, Mapping):
        return {key: _deep(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_deep(inner, environ) for inner in value]
    return value
