"""Storms: TOML files that say which faults strike, where, how often and when."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from chaos.injector import Injector, Port
from harness import registry
from harness.core.errors import Problem, UsageError
from harness.core.saga import Saga

CALLS = (
    "dynamodb:TransactWriteItems", "events:PutEvents", "sqs:DeleteMessageBatch", "stepfunctions:SendTaskFailure",
    "stepfunctions:SendTaskSuccess",
)  # fmt: skip
"""The AWS calls that workers make on behalf of sagas."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a storm, its window resolved to seconds from the start of the load.

    Targets narrow it: to a participant, to a step (or compensation), to one AWS call. ``probability`` is that of each
    attempt, drawn from the seed.
    """

    name: str
    kind: str
    probability: float
    start_s: float
    end_s: float
    participant: str | None = None
    step: str | None = None
    call: str | None = None
    options: dict[str, Any] = {}

    def injector(self, workers: int) -> Injector:
        """The fault's code, with its options."""
        kind = registry.lookup("fault", self.kind)
        injector: Injector = kind(msgspec.convert(self.options, kind.Options), workers)
        return injector


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """A named schedule of faults. ``calm`` has none."""

    name: str
    description: str
    faults: tuple[Fault, ...]

    def check(self) -> None:
        """Refuse a storm that was saved by a version, or with a plug-in, that is not here.

        Raises :class:`~harness.core.errors.UsageError`.
        """
        for fault in self.faults:
            try:
                fault.injector(workers=1)
            except msgspec.ValidationError as error:
                raise UsageError([Problem(f"storm {self.name}: {fault.name}", fault.options, str(error))]) from None

    def surges(self) -> list[tuple[float, float, float]]:
        """(start_s, end_s, factor) of every surge of arrivals."""
        return [
            (fault.start_s, fault.end_s, float(fault.options["factor"]))
            for fault in self.faults
            if registry.lookup("fault", fault.kind).port is Port.ARRIVALS
        ]


def shipped() -> list[str]:
    """Names of the storms that come with sagastorm."""
    return sorted(path.name.removesuffix(".toml") for path in files("chaos").joinpath("storms").iterdir())


def resolved(data: Mapping[str, Any]) -> Storm:
    """A storm from its resolved form, as ``run.json`` keeps it.

    Raises :class:`~harness.core.errors.UsageError` for what is none.
    """
    try:
        return msgspec.convert(data, type=Storm)
    except msgspec.ValidationError as error:
        raise UsageError([Problem("storm", dict(data), f"a storm as a run saves it: {error}")]) from None


def load(name: str, saga: Saga, duration_s: float) -> Storm:
    """Read a storm, by name or as the path of a file, for a saga and a length of load.

    Raises :class:`~harness.core.errors.UsageError` with everything that is wrong with it.
    """
    if name in shipped():
        content = files("chaos").joinpath("storms", f"{name}.toml").read_bytes()
    elif name.endswith(".toml") and Path(name).is_file():
        content = Path(name).read_bytes()
    else:
        raise UsageError([Problem("storm", name, f"one of: {', '.join(shipped())}; or the path of a .toml file")])
    try:
        data = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError([Problem("storm", name, f"the file must be TOML: {error}")]) from None
    return _Reading(name, saga, duration_s).storm(data)


class _Reading:
    """One pass over a storm file that gathers every problem before it complains."""

    def __init__(self, name: str, saga: Saga, duration_s: float) -> None:
        self._name = name
        self._saga = saga
        self._duration_s = duration_s
        self._problems: list[Problem] = []

    def storm(self, data: dict[str, Any]) -> Storm:
        for unknown in sorted(set(data) - {"description", "fault"}):
            self._problem(unknown, data[unknown], "a storm has: description, fault")
        entries = data.get("fault", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._problem("fault", entries, "written as [[fault]] tables")
            entries = []
        names = [entry.get("name") for entry in entries]
        for twice in sorted({str(name) for name in names if names.count(name) > 1}):
            self._problem("fault.name", twice, "every fault needs a name of its own")
        faults = tuple(self._fault(f"fault[{index}]", entry) for index, entry in enumerate(entries))
        if self._problems:
            raise UsageError(self._problems)
        return Storm(name=Path(self._name).stem, description=str(data.get("description", "")), faults=faults)

    def _fault(self, at: str, entry: dict[str, Any]) -> Fault:
        known = {"name", "kind", "probability", "start", "duration", "participant", "step", "call"}
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            self._problem(f"{at}.name", name, "a short text that names the fault in reports")
        wrong_before = len(self._problems)
        start_s = self._time(f"{at}.start", entry.get("start", 0))
        length_s = self._time(f"{at}.duration", entry.get("duration", "100%"))
        if len(self._problems) == wrong_before and min(start_s + length_s, self._duration_s) <= start_s:
            window = f"{entry.get('start', 0)} for {entry.get('duration', '100%')}"
            self._problem(f"{at}.duration", window, f"a window with time in it, within {self._duration_s:g} s of load")
        self._one_of(f"{at}.participant", entry.get("participant"), self._saga.participants)
        self._one_of(f"{at}.step", entry.get("step"), tuple(self._saga.works()))
        options = {key: value for key, value in entry.items() if key not in known}
        kind = self._kind(at, entry.get("kind"), options)
        call = entry.get("call")
        if kind is not None and kind.port is Port.TRANSPORT:
            self._one_of(f"{at}.call", call or "", CALLS)
        elif call is not None:
            self._problem(f"{at}.call", call, f"only where a fault strikes AWS calls; {entry.get('kind')} does not")
        return Fault(
            name=str(name),
            kind=str(entry.get("kind")),
            probability=self._probability(at, entry.get("probability", 1)),
            start_s=start_s,
            end_s=min(start_s + length_s, self._duration_s),
            participant=entry.get("participant"),
            step=entry.get("step"),
            call=call,
            options=options,
        )

    def _kind(self, at: str, name: object, options: dict[str, Any]) -> Any:
        kinds = registry.names("fault")
        if name not in kinds:
            self._problem(f"{at}.kind", name, f"one of: {', '.join(kinds)}")
            return None
        kind = registry.lookup("fault", str(name))
        try:
            msgspec.convert(options, kind.Options)
        except msgspec.ValidationError as error:
            self._problem(f"{at} ({name})", options, f"options must fit: {error}")
        return kind

    def _probability(self, at: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self._problem(f"{at}.probability", value, "a number from 0 to 1")
        return 0.0

    def _time(self, field: str, value: object) -> float:
        """Seconds, or a share of the load's length such as ``"20%"``."""
        if isinstance(value, str) and value.endswith("%"):
            try:
                share = float(value[:-1]) / 100
            except ValueError:
                share = math.nan
            if 0 <= share <= 1:
                return share * self._duration_s
        elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= self._duration_s:
            return float(value)
        self._problem(field, value, f'seconds from 0 to {self._duration_s:g}, or a share of the load such as "20%"')
        return 0.0

    def _one_of(self, field: str, value: object, valid: tuple[str, ...]) -> None:
        if value is not None and value not in valid:
            self._problem(field, value, f"one of: {', '.join(valid)}")

    def _problem(self, field: str, value: object, valid: str) -> None:
        self._problems.append(Problem(f"storm {self._name}: {field}", value, valid))
