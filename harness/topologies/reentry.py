"""A state machine that tries its callback tasks again without ``Retry``: it catches, waits, and enters the state anew.

For backends on which ``Retry`` of a ``.waitForTaskToken`` task does not do what AWS documents: where all tries share
one token, a late answer to the first ends the second; where they share an outcome, one that failed fails for ever. A
state that is entered anew gets a new token everywhere. How long it waits is in its input, ``$.waits_s``: whoever starts
an execution has drawn it, by the function that messages wait by, which knows more kinds of jitter than ``Retry`` does.

A saga in which nothing fails pays one state transition for it, one that is compensated two, and each retry four or
five. The states between two tries are the same for all tasks: LocalStack parses the definition anew for every
execution, and with these states written out for each task a saga took half as long again there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.topologies.base import FOREVER
from harness.topologies.policy import WAITS_AHEAD

State = dict[str, Any]

CALLBACK = ".waitForTaskToken"
"""How the resource of a callback task ends."""
COUNT = "Count tries"
WAIT = "Wait to try"
"""All states that are added have a space in their names, which no state made from a step has."""
_NONE_YET = {"retry": 0, "wait": 0}
"""``$.tries``: the retries of the task under way, and which wait the next one has. Leaving a task resets it."""
_THEN = [*range(1, WAITS_AHEAD), WAITS_AHEAD // 2]
"""Which wait comes after which; behind the last, the later half begins again."""
_GIVE_UP, _BACK_OFF, _TRY_AGAIN = "Give up or not", "Back off", "Try again"
_BACKOFF = ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds", "JitterStrategy")


def reentered(definition: dict[str, Any]) -> dict[str, Any]:
    """The same machine with every ``Retry`` of a callback task written out; other tasks keep theirs.

    Its input must have ``waits_s``, the seconds before each of the first ``WAITS_AHEAD`` retries of a task.

    Raises ``ValueError`` for tasks whose ``Retry`` and ``Catch`` it cannot write out without changing what they mean.
    """
    tasks = {name: state for name, state in definition["States"].items() if _is_retried_callback(state)}
    if not tasks:
        return definition
    if problems := [*_refused(definition["States"]), *_not_understood(tasks)]:
        raise ValueError(f"tries that cannot be written out: {'; '.join(problems)}")
    states = {COUNT: _reset(definition["StartAt"])} | definition["States"]
    limited = {name: task for name, task in tasks.items() if "Catch" in task}
    for name, task in tasks.items():
        states[name] = _entered_anew(name, task)
        states[_failed(name)] = {
            "Type": "Pass",
            "Result": name,
            "ResultPath": "$.trying",
            "Next": _GIVE_UP if name in limited else _BACK_OFF,
        }
    for task in limited.values():
        states |= {_on_to(catcher["Next"]): _reset(catcher["Next"]) for catcher in task["Catch"]}
    if limited:
        states[_GIVE_UP] = _give_up(limited)
    states[_BACK_OFF] = _back_off()
    states[WAIT] = {"Type": "Wait", "SecondsPath": "$.tries.wait_s", "Next": _TRY_AGAIN}
    states[_TRY_AGAIN] = _try_again(list(tasks))
    written_out = definition | {"StartAt": COUNT, "States": states}
    if "Comment" in definition:  # what a Retry could not say is said now
        written_out["Comment"] = definition["Comment"].partition(";")[0]
    return written_out


def _is_retried_callback(state: Mapping[str, Any]) -> bool:
    return str(state.get("Resource", "")).endswith(CALLBACK) and "Retry" in state


def _refused(states: Mapping[str, State]) -> Iterator[str]:
    for name, state in states.items():
        if state["Type"] in ("Parallel", "Map") and CALLBACK in json.dumps(state):
            yield f"{name} has callback tasks of its own"
        if " " in name:
            yield f"{name} might have the name of a state that is added"


def _not_understood(tasks: Mapping[str, State]) -> Iterator[str]:
    """What the orchestrated topology never writes, and another might."""
    for name, task in tasks.items():
        *definite, retrier = task["Retry"]
        *caught, last = task.get("Catch") or [None]
        if retrier["ErrorEquals"] != ["States.ALL"] or any(one.get("MaxAttempts") != 0 for one in definite):
            yield f"{name}: the last retrier must be for States.ALL, those before it for what is never tried again"
        elif _errors(definite) != _errors(caught):
            yield f"{name}: what is never tried again must have catchers of its own, and nothing else may"
        elif last is None and retrier.get("MaxAttempts") != FOREVER:
            yield f"{name} gives up, and nothing catches that"
        elif last is not None and (last["ErrorEquals"] != ["States.ALL"] or last.get("ResultPath", "$") == "$"):
            yield f"{name}: the last catcher must be for States.ALL, and must leave the input as it was"
        if task.get("ResultPath", "$") is not None:
            yield f"{name} keeps its result"
    retriers = [task["Retry"][-1] for task in tasks.values()]
    if len({tuple(retrier.get(part) for part in _BACKOFF) for retrier in retriers}) > 1:
        yield "the tasks do not all wait alike"


def _errors(rules: Sequence[State]) -> list[str]:
    return sorted(error for rule in rules for error in rule["ErrorEquals"])


def _failed(name: str) -> str:
    return f"{name} failed"


def _on_to(target: str) -> str:
    return f"On to {target}"


def _entered_anew(name: str, task: State) -> State:
    *caught, last = task.get("Catch") or [None]
    again = {
        "ErrorEquals": ["States.ALL"],
        # Of a task that never gives up nobody asks why it failed, and an earlier failure must not be written over.
        "ResultPath": last["ResultPath"] if last else None,
        "Next": _failed(name),
    }
    counted: State = json.loads(json.dumps(task).replace("$$.State.RetryCount", "$.tries.retry"))
    del counted["Retry"]
    return counted | {
        "ResultSelector": _NONE_YET,
        "ResultPath": "$.tries",
        "Catch": [*(catcher | {"Next": _on_to(catcher["Next"])} for catcher in caught), again],
    }


def _reset(following: str) -> State:
    return {"Type": "Pass", "Result": _NONE_YET, "ResultPath": "$.tries", "Next": following}


def _give_up(limited: Mapping[str, State]) -> State:
    rules = [
        {
            "And": [
                {"Variable": "$.trying", "StringEquals": name},
                {"Variable": "$.tries.retry", "NumericGreaterThanEquals": task["Retry"][-1].get("MaxAttempts", 3)},
            ],
            "Next": _on_to(task["Catch"][-1]["Next"]),
        }
        for name, task in limited.items()
    ]
    return {"Type": "Choice", "Choices": rules, "Default": _BACK_OFF}


def _try_again(names: Sequence[str]) -> State:
    rules = [{"Variable": "$.trying", "StringEquals": name, "Next": name} for name in names]
    return {"Type": "Choice", "Choices": rules}


def _back_off() -> State:
    then = f"States.Array({', '.join(map(str, _THEN))})"
    return {
        "Type": "Pass",
        "Parameters": {
            "retry.$": "States.MathAdd($.tries.retry, 1)",
            "wait.$": f"States.ArrayGetItem({then}, $.tries.wait)",
            "wait_s.$": "States.ArrayGetItem($.waits_s, $.tries.wait)",
        },
        "ResultPath": "$.tries",
        "Next": WAIT,
    }
