"""From flags, environment and ``sagastorm.toml`` to checked settings, with everything that is wrong told at once.

A flag beats the variable ``SAGASTORM_<NAME>``, which beats the key in the table ``[run]`` of ``sagastorm.toml`` in the
working directory, which beats the default.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chaos import storm as storms
from harness import registry
from harness.backends.endpoint import SERVICE_VARIABLES
from harness.core import mitigations
from harness.core.errors import Problem, UsageError
from harness.core.mitigations import Mitigations
from harness.run import scenarios
from harness.settings import RunSettings

CONFIG_FILE = "sagastorm.toml"
DEFAULTS = RunSettings()
SCALED = ("rate_per_s", "duration_s")
"""What a backend without a rate of its own decides, where nobody else does."""


class Invalid(ValueError):
    """The text is not valid; the message says what would be."""


@dataclass(frozen=True)
class Option:
    """One setting: its name to the user, the field it becomes, and how its text is read."""

    name: str
    field: str
    read: Callable[[str], Any]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "SAGASTORM_" + self.name.upper().replace("-", "_")


def _number(low: float, high: float, *, above: bool = False) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (low < value <= high if above else low <= value <= high):
            raise Invalid(
                f"a number {'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
            )
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise Invalid(f"a whole number from {low} to {high}")
        return value

    return read


def _one_of(*valid: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in valid:
            raise Invalid(f"one of: {', '.join(valid)}")
        return text

    return read


def _known(kind: str) -> Callable[[str], str]:
    return lambda text: _one_of(*registry.names(kind))(text)


def _topologies(text: str) -> tuple[str, ...]:
    if text == "both":
        return DEFAULTS.topologies
    valid = registry.names("topology")
    names = tuple(part.strip() for part in text.split(","))
    if not set(names) <= set(valid) or len(set(names)) != len(names):
        raise Invalid(f"both, or a comma-separated list of: {', '.join(valid)}")
    return names


def _interleave(text: str) -> str:
    letters = text.upper()
    if not 1 <= len(letters) <= 64 or not letters.isascii() or not letters.isalpha():
        raise Invalid("1 to 64 letters, one a block: A is the first topology, B the second; for example ABBA")
    return letters


def _mitigations(text: str) -> Mitigations:
    """``backoff=none,sweeper=off``: those named are changed, the others protect as well as they can."""
    known = mitigations.values()
    chosen: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in known:
            raise Invalid(f"name=value, …, with names of: {', '.join(known)}")
        if value not in known[name]:
            raise Invalid(f"{name}= one of: {', '.join(known[name])}")
        chosen[name.replace("-", "_")] = value
    return msgspec.convert(chosen, Mitigations)


OPTIONS = (
    Option("saga", "saga", _known("saga")),
    Option("topology", "topologies", _topologies),
    Option("interleave", "interleave", _interleave),
    Option("storm", "storm", str),
    Option("scenario", "scenario", str),
    Option("rate", "rate_per_s", _number(0, 10_000, above=True)),
    Option("arrivals", "arrivals", _one_of("poisson", "even")),
    Option("duration", "duration_s", _number(1, 86_400)),
    Option("seed", "seed", _whole(0, 2**53)),
    Option("workers", "workers", _whole(1, 64)),
    Option("load-processes", "load_processes", _whole(1, 64)),
    Option("max-in-flight", "max_in_flight", _whole(1, 100_000)),
    Option("drain-limit", "drain_limit_s", _number(1, 3_600)),
    Option("mitigations", "mitigations", _mitigations),
    Option("cannot-pay-share", "cannot_pay_share", _number(0, 0.5)),
    Option("out-of-stock-share", "out_of_stock_share", _number(0, 0.25)),
)


BACKEND = Option("backend", "backend", _known("backend"))
"""Read apart from the others: what it means without being named depends on the addresses that are."""


def settings(flags: Mapping[str, str | None], environ: Mapping[str, str], folder: Path) -> RunSettings:
    """Settings from all sources. Raises :class:`~harness.core.errors.UsageError` with every problem found."""
    file, problems = _file(folder / CONFIG_FILE)
    values: dict[str, Any] = {}
    for option in OPTIONS:
        source, text = _given(option, flags, environ, file)
        if text is None:
            continue
        try:
            values[option.field] = option.read(text)
        except Invalid as invalid:
            problems.append(Problem(source, text, str(invalid)))
    backend, endpoints, backend_problems = _backend(flags, environ, file, DEFAULTS.backend)
    problems += backend_problems
    made = _consistent(RunSettings(**values, backend=backend, endpoints=endpoints), values, problems)
    made = _at_rate(made, values)
    problems += _unusable(made)
    if problems:
        raise UsageError(problems)
    return made


def said(flags: Mapping[str, str | None], environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What anybody has said of each setting, by its name and as text. What is nobody's choice is not in it."""
    file, _ = _file(folder / CONFIG_FILE)
    texts = ((option.name, _given(option, flags, environ, file)[1]) for option in OPTIONS)
    return {name: text for name, text in texts if text is not None}


def running_backend(
    flags: Mapping[str, str | None], environ: Mapping[str, str], folder: Path
) -> tuple[str, dict[str, str] | None]:
    """The backend that a run would be made on, and where it is (``None``: nowhere, it goes with each run).

    For what is done to a backend between runs; where nobody names one, that is LocalStack at its usual place.
    Raises :class:`~harness.core.errors.UsageError` with every problem found.
    """
    file, problems = _file(folder / CONFIG_FILE)
    name, urls, more = _backend(flags, environ, file, "localstack")
    if problems or more:
        raise UsageError([*problems, *more])
    return name, urls


def _given(
    option: Option, flags: Mapping[str, str | None], environ: Mapping[str, str], file: Mapping[str, str]
) -> tuple[str, str | None]:
    """Who says so, and what."""
    if (text := flags.get(option.name)) is not None:
        return f"--{option.name}", text
    if text := environ.get(option.variable):
        return option.variable, text
    return f"{CONFIG_FILE}: {option.name}", file.get(option.name)


def _file(path: Path) -> tuple[dict[str, str], list[Problem]]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [Problem(CONFIG_FILE, str(path), f"a file that can be read: {error.strerror}")]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [Problem(CONFIG_FILE, str(path), f"it must be TOML: {error}")]
    table = data.get("run", {})
    known = {option.name for option in (*OPTIONS, BACKEND)} | {"endpoint-url"}
    if not isinstance(table, dict):
        return {}, [Problem(f"{CONFIG_FILE}: run", table, "a table: [run]")]
    unknown = [
        Problem(f"{CONFIG_FILE}: {key}", value, "settings stand in the table [run]")
        for key, value in data.items()
        if key != "run"
    ]
    unknown += [
        Problem(f"{CONFIG_FILE}: {key}", value, f"a key that is one of: {', '.join(sorted(known))}")
        for key, value in table.items()
        if key not in known
    ]
    return {key: str(value) for key, value in table.items() if key in known}, unknown


def _backend(
    flags: Mapping[str, str | None], environ: Mapping[str, str], file: Mapping[str, str], default: str
) -> tuple[str, dict[str, str] | None, list[Problem]]:
    """Which backend, and where it is. An address that anybody named means that emulator, unless a backend is named."""
    variables = (*SERVICE_VARIABLES.values(), "AWS_ENDPOINT_URL")
    in_environment = any(environ.get(variable) for variable in variables)
    explicit_url = flags.get("endpoint-url") or (None if in_environment else file.get("endpoint-url"))
    source, name = _given(BACKEND, flags, environ, file)
    if name is None and environ.get("LOCALSTACK_HOST") and not explicit_url and not environ.get("AWS_ENDPOINT_URL"):
        name = "localstack"  # a service or two of which may stand elsewhere
    elif name is None:
        name = "endpoint" if explicit_url or in_environment else default
    try:
        BACKEND.read(name)
        return name, registry.backend(name).resolve(explicit_url, environ), []
    except Invalid as invalid:
        return default, None, [Problem(source, name, str(invalid))]
    except UsageError as error:
        return name, None, list(error.problems)


def _consistent(made: RunSettings, given: Mapping[str, Any], problems: list[Problem]) -> RunSettings:
    """What follows from settings that were given for those that were not; what contradicts is a problem."""
    changes: dict[str, Any] = {}
    if "interleave" not in given:
        letters = "".join(chr(ord("A") + index) for index in range(len(made.topologies)))
        changes["interleave"] = letters + letters[::-1]
    elif unknown := sorted(set(made.interleave) - {chr(ord("A") + i) for i in range(len(made.topologies))}):
        problems.append(
            Problem(
                "interleave", made.interleave, f"letters for {len(made.topologies)} topologies, not {''.join(unknown)}"
            )
        )
    if "scenario" not in given:
        changes["scenario"] = scenarios.for_saga(made.saga)
    return msgspec.structs.replace(made, **changes)


def _at_rate(made: RunSettings, given: Mapping[str, Any]) -> RunSettings:
    """The backend's own rate, or none yet where it has none; then the load is at least as long as it says here."""
    rate_per_s = registry.backend(made.backend).rate_per_s
    if rate_per_s is None:
        return msgspec.structs.replace(made, scaled=tuple(field for field in SCALED if field not in given))
    return msgspec.structs.replace(made, rate_per_s=given.get("rate_per_s", rate_per_s))


def _unusable(made: RunSettings) -> list[Problem]:
    """What is wrong with the files that the settings name."""
    problems: list[Problem] = []
    for look in (
        lambda: storms.load(made.storm, registry.saga(made.saga), made.duration_s, made.rate_per_s),
        lambda: scenarios.locate(made.scenario),
    ):
        try:
            look()
        except UsageError as error:
            problems += error.problems
    return problems


def from_process(flags: Mapping[str, str | None]) -> RunSettings:
    """Settings for this process: its flags, its environment, its working directory."""
    return settings(flags, os.environ, Path.cwd())
