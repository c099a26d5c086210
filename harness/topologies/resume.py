"""Going on with an execution that broke off: another one enters the state in which the first was, with the same data.

What AWS calls RedriveExecution, which no emulator has; and unlike that it can tell an ending again that nobody heard.

From the start would be wrong. An execution that has given up on a step undoes it, without knowing whether it was done;
had it been done, and were it then asked for anew, its record would answer that it was, and the saga would go ahead on a
step that is undone. Only the history knows that the saga had turned back.
"""

from __future__ import annotations

import json
from typing import Any

from harness.aws.gateway import Gateway

RESUME = "Resume where it broke off"
"""The state that is added; no state made from a step has a space in its name."""
PAGE = 100
PAGES = 250
"""Of one history, at most: it ends at 25,000 events."""


def resumable(definition: dict[str, Any]) -> dict[str, Any]:
    """The same machine, entered in the state that ``$.resume`` of its input names; where it names none, at the start.

    Who had come to an end comes again to what leads there: what was to be told at the end is told again.
    """
    states: dict[str, dict[str, Any]] = definition["States"]
    leads_to = {state["Next"]: name for name, state in states.items() if "Next" in state}
    ends = {name: leads_to[name] for name, state in states.items() if state["Type"] in ("Succeed", "Fail")}
    rules = [{"Variable": "$.resume", "StringEquals": name, "Next": ends.get(name, name)} for name in states]
    resume = {"Type": "Choice", "Choices": rules, "Default": definition["StartAt"]}
    return definition | {"StartAt": RESUME, "States": {RESUME: resume} | states}


def resumption(state: str, data: dict[str, Any], repairs: int) -> dict[str, Any]:
    """The input with which a :func:`resumable` machine goes on in ``state``, which was entered with ``data``."""
    where = data.get("resume", "") if state in ("", RESUME) else state
    return data | {"resume": where, "envelope": data["envelope"] | {"repairs": repairs}}


async def last_state(gateway: Gateway, execution_arn: str) -> tuple[str, dict[str, Any]]:
    """The state that an execution entered last, and the data it entered it with; no name where it entered none."""
    more: dict[str, Any] = {}
    for _ in range(PAGES):
        page = await gateway.call(
            "stepfunctions",
            "GetExecutionHistory",
            executionArn=execution_arn,
            reverseOrder=True,
            maxResults=PAGE,
            **more,
        )
        for event in page["events"]:
            if entered := event.get("stateEnteredEventDetails"):
                return entered["name"], json.loads(entered["input"])
            if started := event.get("executionStartedEventDetails"):
                return "", json.loads(started["input"])
        more = {"nextToken": page["nextToken"]}
    raise RuntimeError(f"{execution_arn}: no beginning within {PAGES} pages of its history")
