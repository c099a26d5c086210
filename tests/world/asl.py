"""As much of Amazon States Language as sagas compile to: paths, payload templates, intrinsic functions, choices, rules.

What is not understood here is refused with ``NotImplementedError``, so that no compiler can say something new and have
it passed over. https://states-language.net/spec.html; intrinsic functions: AWS Step Functions Developer Guide.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

State = Mapping[str, Any]

TIMEOUT = "States.Timeout"
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:\\.|[^'\\])*')|(?P<number>-?\d+)|(?P<name>States\.\w+)|(?P<path>\$[\w.$\[\]-]*))"
)
_PATH_PART = re.compile(r"\.([\w-]+)|\[(\d+)\]")
_KNOWN = {
    "Task": {"Resource", "Parameters", "TimeoutSeconds", "ResultSelector", "ResultPath", "Retry", "Catch", "Next"},
    "Pass": {"Parameters", "Result", "ResultPath", "Next"},
    "Choice": {"Choices", "Default"},
    "Wait": {"Seconds", "SecondsPath", "Next"},
    "Succeed": set(),
    "Fail": {"Error", "Cause"},
}


def check(machine: State) -> None:
    """Every state says only what is understood here, and leads to states that are there."""
    states = machine["States"]
    for name, state in states.items():
        if strange := state.keys() - _KNOWN.get(state["Type"], set()) - {"Type", "Comment"}:
            raise NotImplementedError(f"{name}, a {state['Type']} state: {sorted(strange)}")
        ways = [state, *state.get("Choices", ()), *state.get("Catch", ())]
        following = [way[key] for way in ways for key in ("Next", "Default") if key in way]
        if missing := set(following) - states.keys():
            raise ValueError(f"{name} leads to {sorted(missing)}, which are not there")


def at(path: str, data: Any) -> Any:
    """What a reference path leads to. Raises ``LookupError`` where it leads to nothing, which fails an execution."""
    place = 1
    while place < len(path):
        part = _PATH_PART.match(path, place)
        if part is None:
            raise NotImplementedError(path)
        data = data[part[1]] if part[1] is not None else data[int(part[2])]
        place = part.end()
    return data


def put(path: str | None, value: Any, data: Any) -> Any:
    """``ResultPath``: the data with the value at that place; ``None`` discards the value, ``$`` the data."""
    if path is None or path == "$":
        return data if path is None else value
    name, _, rest = path.removeprefix("$.").partition(".")
    return {**data, name: put(f"$.{rest}", value, data.get(name, {})) if rest else value}


def resolve(template: Any, data: Any, context: Any) -> Any:
    """A payload template, filled in."""
    if isinstance(template, Mapping):
        return {
            key.removesuffix(".$"): _Expression(value, data, context).value()
            if key.endswith(".$")
            else resolve(value, data, context)
            for key, value in template.items()
        }
    if isinstance(template, list):
        return [resolve(item, data, context) for item in template]
    return template


def chosen(state: State, data: Any) -> str:
    """The state that a Choice leads to. Raises ``KeyError`` where there is none, which fails an execution."""
    return str(next((rule["Next"] for rule in state["Choices"] if _holds(rule, data)), None) or state["Default"])


def catcher(state: State, error: str) -> State | None:
    """The catcher that counts."""
    return next((rule for rule in state.get("Catch", ()) if _matches(rule, error)), None)


def retrier(state: State, error: str) -> tuple[int, State] | None:
    """The retrier that counts, and which one it is: each counts its own tries."""
    return next(((index, rule) for index, rule in enumerate(state.get("Retry", ())) if _matches(rule, error)), None)


def backoff_s(rule: State, tries: int, jitter: float) -> float:
    """Seconds to wait after so many retries by this rule."""
    wait_s = rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2.0) ** tries
    wait_s = float(min(rule.get("MaxDelaySeconds", wait_s), wait_s))
    return wait_s * jitter if rule.get("JitterStrategy") == "FULL" else wait_s


def _matches(rule: State, error: str) -> bool:
    return error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]


def _holds(choice: State, data: Any) -> bool:
    if "And" in choice:
        return all(_holds(each, data) for each in choice["And"])
    value = at(choice["Variable"], data)
    match choice:
        case {"NumericGreaterThanEquals": limit}:
            return bool(value >= limit)
        case {"NumericGreaterThan": limit}:
            return bool(value > limit)
        case {"NumericLessThan": limit}:
            return bool(value < limit)
        case {"NumericLessThanEquals": limit}:
            return bool(value <= limit)
        case {"NumericEquals": number}:
            return bool(value == number)
        case {"StringEquals": text}:
            return bool(value == text)
        case {"BooleanEquals": truth}:
            return value is truth
    raise NotImplementedError(f"choice {choice}")


class _Expression:
    """A path, or calls of intrinsic functions, which may stand in each other."""

    def __init__(self, text: str, data: Any, context: Any) -> None:
        if text.count("States.") > 10:
            raise ValueError(f"more than ten intrinsic functions in one field: {text}")
        self._text = text
        self._place = 0
        self._data = data
        self._context = context

    def value(self) -> Any:
        value = self._next()
        if self._text[self._place :].strip():
            raise NotImplementedError(self._text)
        return value

    def _next(self) -> Any:
        token = _TOKEN.match(self._text, self._place)
        if token is None:
            raise NotImplementedError(self._text)
        self._place = token.end()
        if token["text"] is not None:
            return re.sub(r"\\(.)", r"\1", token["text"][1:-1])
        if token["number"] is not None:
            return int(token["number"])
        if (path := token["path"]) is not None:
            return at(path[1:], self._context) if path.startswith("$$") else at(path, self._data)
        return self._call(token["name"].removeprefix("States."))

    def _call(self, name: str) -> Any:
        function = _INTRINSIC.get(name)
        if function is None or not self._eat("("):
            raise NotImplementedError(self._text)
        arguments: list[Any] = []
        while not self._eat(")"):
            arguments.append(self._next())
            self._eat(",")
        return function(*arguments)

    def _eat(self, mark: str) -> bool:
        rest = self._text[self._place :].lstrip()
        if rest.startswith(mark):
            self._place = len(self._text) - len(rest) + 1
            return True
        return False


def _format(template: str, *values: Any) -> str:
    parts = template.split("{}")
    if len(parts) != len(values) + 1:
        raise ValueError(f"{template!r} has no place for each of {values}")
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return "".join(part + text for part, text in zip(parts, [*texts, ""], strict=True))


def _range(first: int, last: float, step: int) -> Sequence[int]:
    found = range(first, round(last) + 1, step)  # AWS rounds what is no integer
    if len(found) > 1000:
        raise ValueError("an array range has at most 1000 items")
    return found


_INTRINSIC: Mapping[str, Callable[..., Any]] = {
    "Array": lambda *items: list(items),
    "ArrayGetItem": lambda items, index: items[index],
    "ArrayLength": len,
    "ArrayRange": _range,
    "Format": _format,
    "Hash": lambda text, algorithm: hashlib.new(algorithm.replace("-", "").lower(), str(text).encode()).hexdigest(),
    "MathAdd": lambda left, right: left + right,
    "StringSplit": lambda text, marks: [part for part in re.split(f"[{re.escape(marks)}]", text) if part],
    "StringToJson": json.loads,
}
