"""A machine that can be entered anywhere, and where an execution had come to, by its history."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from harness.sagas.create_order import SAGA
from harness.topologies.reentry import reentered
from harness.topologies.resume import RESUME, last_state, resumable, resumption
from tests.fake_gateway import FakeGateway
from tests.topologies.test_orchestrated import VALIDATOR
from tests.world.drivers import state_machine

FORMS = {"retry": state_machine(SAGA), "reenter": reentered(state_machine(SAGA))}
DATA = {"envelope": {"saga_id": "saga-7", "repairs": 0}, "failure": {"Error": "Refused"}}


def led_to(machine: dict[str, Any], data: dict[str, Any]) -> str:
    """The state that the added choice leads to."""
    choice = machine["States"][machine["StartAt"]]
    rules = [rule["Next"] for rule in choice["Choices"] if rule["StringEquals"] == data["resume"]]
    return str(rules[0] if rules else choice["Default"])


@pytest.mark.parametrize("form", FORMS)
def test_every_state_can_be_entered_with_what_it_was_entered_with_before(form: str) -> None:
    machine = resumable(FORMS[form])
    ends = {"Completed": "PublishCompleted", "Compensated": "PublishCompensated"}
    for name, state in FORMS[form]["States"].items():
        data = resumption(name, DATA, 2)
        assert led_to(machine, data) == ends.get(name, name)
        assert machine["States"][name] == state
        assert data == DATA | {"resume": name, "envelope": {"saga_id": "saga-7", "repairs": 2}}


@pytest.mark.parametrize("form", FORMS)
def test_execution_that_entered_nothing_goes_on_at_the_start(form: str) -> None:
    assert led_to(resumable(FORMS[form]), resumption("", DATA, 1)) == FORMS[form]["StartAt"]


@pytest.mark.parametrize("entered_last", ["", RESUME])
def test_execution_that_broke_off_before_it_had_resumed_resumes_where_that_one_would_have(entered_last: str) -> None:
    assert resumption(entered_last, DATA | {"resume": "Refund"}, 2)["resume"] == "Refund"


@pytest.mark.skipif(not VALIDATOR.exists() or shutil.which("node") is None, reason="asl-validator is not installed")
@pytest.mark.parametrize("form", FORMS)
def test_machine_that_can_be_resumed_is_valid(form: str, tmp_path: Any) -> None:
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(resumable(FORMS[form])))
    checked = subprocess.run(
        [VALIDATOR, "--json-path", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def entered(name: str) -> dict[str, Any]:
    return {"stateEnteredEventDetails": {"name": name, "input": json.dumps({"in": name})}}


async def test_last_state_is_found_beyond_the_tries_that_came_after_it() -> None:
    tries = {"events": [{"type": "TaskTimedOut"}, {"type": "TaskScheduled"}], "nextToken": "more"}
    gateway = FakeGateway(GetExecutionHistory=[tries, {"events": [entered("Refund"), entered("Charge")]}])
    assert await last_state(gateway, "arn") == ("Refund", {"in": "Refund"})
    first, second = gateway.asked("GetExecutionHistory")
    assert first["reverseOrder"] is True
    assert "nextToken" not in first
    assert (second["nextToken"], second["executionArn"]) == ("more", "arn")


async def test_execution_that_entered_no_state_has_its_input() -> None:
    started = {"executionStartedEventDetails": {"input": json.dumps(DATA)}}
    gateway = FakeGateway(GetExecutionHistory={"events": [{"type": "ExecutionAborted"}, started]})
    assert await last_state(gateway, "arn") == ("", DATA)
