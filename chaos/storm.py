"""Storms: TOML files that say which faults strike, where, how often and when."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from chaos.injector import Injector, Particular, Port, Scheduling
from chaos.rate import rates
from harness import registry
from harness.core.errors import Problem, UsageError
from harness.core.saga import Saga
from harness.load.plan import LoadPlan
from harness.topologies.base import Connection, Replying

CALLS = (
    "dynamodb:TransactWriteItems", "events:PutEvents", "sqs:DeleteMessageBatch", "stepfunctions:SendTaskFailure",
    "stepfunctions:SendTaskSuccess",
)  # fmt: skip
"""The AWS calls that workers make on behalf of sagas."""
EVERYWHERE = frozenset({"dynamodb:TransactWriteItems", "sqs:DeleteMessageBatch"})
"""Those of them that workers make in every topology; with the others they reply."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a storm, its window resolved to seconds from the start of the load and its rates to numbers.

    Targets narrow it: to a participant, to a step (or compensation), to one AWS call, to a share of sagas. A saga is
    among that share with all of its attempts or with none; ``probability`` is that of each attempt. Both are drawn from
    the seed.
    """

    name: str
    kind: str
    probability: float
    start_s: float
    end_s: float
    participant: str | None = None
    step: str | None = None
    call: str | None = None
    sagas: float = 1.0
    options: dict[str, Any] = {}

    def injector(self, workers: int) -> Injector:
        """The fault's code, with its options."""
        kind = registry.lookup("fault", self.kind)
        injector: Injector = kind(msgspec.convert(self.options, kind.Options), workers)
        return injector

    def applies_to(self, connection: Connection) -> bool:
        """Whether there is anything in this topology that it could strike."""
        injector = self.injector(workers=1)
        if isinstance(injector, Particular) and not injector.applies_to(connection):
            return False
        if self.call is None or self.call in EVERYWHERE or not isinstance(connection, Replying):
            return True
        return self.call in connection.reply_calls


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

    def planned(self, plan: LoadPlan) -> LoadPlan:
        """The plan of a load with this storm's arrivals in it."""
        for fault in self.faults:
            injector = fault.injector(workers=1)
            if isinstance(injector, Scheduling):
                plan = injector.plan(plan, fault.start_s, fault.end_s)
        return plan


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


def load(name: str, saga: Saga, duration_s: float, rate_per_s: float) -> Storm:
    """Read a storm, by name or as the path of a file, for a saga, a length of load and its rate.

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
    return _Reading(name, saga, duration_s, rate_per_s).storm(data)


class _Reading:
    """One pass over a storm file that gathers every problem before it complains."""

    def __init__(self, name: str, saga: Saga, duration_s: float, rate_per_s: float) -> None:
        self._name = name
        self._saga = saga
        self._duration_s = duration_s
        self._rate_per_s = rate_per_s
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
        known = {"name", "kind", "probability", "sagas", "start", "duration", "participant", "step", "call"}
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            self._problem(f"{at}.name", name, "a short text that names the fault in reports")
        wrong_before = len(self._problems)
        start_s = self._time(f"{at}.start", entry.get("start", 0))
        length_s = self._time(f"{at}.duration", entry.get("duration", "100%"))
        if len(self._problems) == wrong_before and min(start_s + length_s, self._duration_s) <= start_s:
            window = f"{entry.get('start', 0)} for {entry.get('duration', '100%')}"
            self._problem(f"{at}.duration", window, f"a window with time in it, within {self._duration_s:g} s of load")
        options = {key: value for key, value in entry.items() if key not in known}
        kind = self._kind(at, entry.get("kind"), options)
        self._targets(at, entry, kind)
        return Fault(
            name=str(name),
            kind=str(entry.get("kind")),
            probability=self._probability(f"{at}.probability", entry.get("probability", 1)),
            start_s=start_s,
            end_s=min(start_s + length_s, self._duration_s),
            participant=entry.get("participant"),
            step=entry.get("step"),
            call=entry.get("call"),
            sagas=self._share(f"{at}.sagas", entry.get("sagas", 1), above_0=True),
            options=options,
        )

    def _targets(self, at: str, entry: dict[str, Any], kind: Any) -> None:
        """Refuse targets that this kind of fault cannot have, and those that exclude each other."""
        participant, step = entry.get("participant"), entry.get("step")
        self._one_of(f"{at}.participant", participant, self._saga.participants)
        self._one_of(f"{at}.step", step, tuple(self._saga.works()))
        work = self._saga.works().get(step) if isinstance(step, str) else None
        if work and participant in self._saga.participants and work.participant != participant:
            self._problem(f"{at}.step", step, f"a step of {participant}; {step} is one of {work.participant}")
        if kind is not None and kind.port is Port.TRANSPORT:
            self._one_of(f"{at}.call", entry.get("call", ""), CALLS)
        elif "call" in entry:
            valid = f"only where a fault strikes AWS calls; {entry['kind']} does not"
            self._problem(f"{at}.call", entry["call"], valid)
        if kind is None:
            return
        if kind.port is Port.ARRIVALS:
            for target in sorted({"participant", "step", "sagas", "probability"} & entry.keys()):
                valid = f"nothing: {entry['kind']} changes arrivals, all of those in its window"
                self._problem(f"{at}.{target}", entry[target], valid)
        elif not kind.by_arrival and "sagas" in entry:
            valid = f"nothing: {entry['kind']} strikes a resource, whoever uses it; it can have a probability"
            self._problem(f"{at}.sagas", entry["sagas"], valid)

    def _kind(self, at: str, name: object, options: dict[str, Any]) -> Any:
        kinds = registry.names("fault")
        if name not in kinds:
            self._problem(f"{at}.kind", name, f"one of: {', '.join(kinds)}")
            return None
        kind = registry.lookup("fault", str(name))
        if not self._resolve_rates(at, kind, options):
            return kind
        try:
            msgspec.convert(options, kind.Options)
        except msgspec.ValidationError as error:
            self._problem(f"{at} ({name})", options, f"options must fit: {error}")
        return kind

    def _resolve_rates(self, at: str, kind: Any, options: dict[str, Any]) -> bool:
        """Put numbers in the place of shares of the offered rate, where the fault allows them; whether that worked."""
        wrong_before = len(self._problems)
        for name in rates(kind.Options) & {name for name, value in options.items() if isinstance(value, str)}:
            percent = _percent(options[name])
            if percent > 0:
                options[name] = self._rate_per_s * percent / 100
            else:
                valid = 'a number above 0, or a share of the offered rate such as "80%"'
                self._problem(f"{at}.{name}", options[name], valid)
        return len(self._problems) == wrong_before

    def _probability(self, field: str, value: object) -> float:
        """A share of attempts; or so many of the sagas of each second, such as ``"0.5/s"``, at most all of them."""
        if isinstance(value, str) and value.endswith("/s"):
            per_s = _number_before("/s", value)
            if per_s > 0:
                return min(1.0, per_s / self._rate_per_s)
            self._problem(field, value, 'so many a second, such as "0.5/s"')
            return 0.0
        return self._share(field, value)

    def _share(self, field: str, value: object, *, above_0: bool = False) -> float:
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 <= value <= 1
            and (value or not above_0)
        ):
            return float(value)
        self._problem(field, value, "a number above 0 and at most 1" if above_0 else "a number from 0 to 1")
        return 0.0

    def _time(self, field: str, value: object) -> float:
        """Seconds, or a share of the load's length such as ``"20%"``."""
        if isinstance(value, str):
            share = _percent(value) / 100
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


def _percent(text: str) -> float:
    """80 for ``"80%"``; not a number for anything else."""
    return _number_before("%", text)


def _number_before(unit: str, text: str) -> float:
    try:
        number = float(text.removesuffix(unit)) if text.endswith(unit) else math.nan
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
