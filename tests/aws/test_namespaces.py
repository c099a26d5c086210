"""What runs left on a backend: found by name, on every page, and removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from harness.aws import namespaces
from harness.aws.namespaces import find, remove
from harness.core.errors import Indefinite
from tests.fake_gateway import Answer, FakeGateway, Parameters, aws_error

OLD = "ss-20261101-090000-ab12"
PAGE = 2


class FakeAws:
    """Holds names, hands them out two a page, and forgets those that are deleted."""

    def __init__(self, names: Iterable[str] = (), running: int = 0) -> None:
        self.machines = {f"arn:{name}": [f"arn:{name}:{n}" for n in range(running)] for name in names}
        self.rules = {name: {"order": ["t1", "t2", "t3"]} for name in names}
        self.queues = {f"http://queue/{name}" for name in names}
        self.tables = set(names)
        self.stopped: list[str] = []

    def gateway(self, **others: Answer) -> FakeGateway:
        """``others`` replace answers."""
        answers: dict[str, Any] = {
            "ListStateMachines": lambda asked: self._page(
                [{"name": arn.removeprefix("arn:"), "stateMachineArn": arn} for arn in self.machines],
                asked, "stateMachines", "nextToken",
            ),
            "ListExecutions": lambda asked: self._page(
                [{"executionArn": arn} for arn in self.machines[asked["stateMachineArn"]]],
                asked, "executions", "nextToken",
            ),
            "StopExecution": self._stop,
            "DeleteStateMachine": self._delete_machine,
            "ListEventBuses": lambda asked: self._page(
                [{"Name": name} for name in self.rules if name.startswith(asked["NamePrefix"])],
                asked, "EventBuses", "NextToken",
            ),
            "ListRules": lambda asked: self._page(
                [{"Name": rule} for rule in self.rules[asked["EventBusName"]]], asked, "Rules", "NextToken"
            ),
            "ListTargetsByRule": lambda asked: self._page(
                [{"Id": one} for one in self.rules[asked["EventBusName"]][asked["Rule"]]],
                asked, "Targets", "NextToken",
            ),
            "RemoveTargets": self._remove_targets,
            "DeleteRule": self._delete_rule,
            "DeleteEventBus": self._delete_bus,
            "ListQueues": lambda asked: self._page(sorted(self.queues), asked, "QueueUrls", "NextToken"),
            "DeleteQueue": lambda asked: self._discard(self.queues, asked["QueueUrl"], "QueueDoesNotExist"),
            "ListTables": lambda asked: self._page(
                sorted(self.tables), asked, "TableNames", "LastEvaluatedTableName", "ExclusiveStartTableName"
            ),
            "DeleteTable": lambda asked: self._discard(self.tables, asked["TableName"], "ResourceNotFoundException"),
        }  # fmt: skip
        return FakeGateway(**(answers | others))

    def left(self) -> set[str]:
        """Every name that is still there."""
        machines = {arn.removeprefix("arn:") for arn in self.machines}
        return machines | set(self.rules) | {url.rpartition("/")[2] for url in self.queues} | self.tables

    def _page(self, items: list[Any], asked: Parameters, key: str, given: str, taken: str | None = None) -> Any:
        start = int(asked.get(taken or given, 0))
        page = {key: items[start : start + PAGE]}
        return page | ({given: str(start + PAGE)} if start + PAGE < len(items) else {})

    def _discard(self, held: set[str], name: str, code: str) -> Any:
        if name not in held:
            return aws_error(code)
        held.discard(name)
        return {}

    def _stop(self, asked: Parameters) -> Any:
        self.stopped.append(asked["executionArn"])
        return {}

    def _delete_machine(self, asked: Parameters) -> Any:
        arn = asked["stateMachineArn"]
        assert set(self.machines[arn]) <= set(self.stopped), "executions must have been stopped before"
        del self.machines[arn]
        return {}

    def _remove_targets(self, asked: Parameters) -> Any:
        targets = self.rules[asked["EventBusName"]][asked["Rule"]]
        targets[:] = [one for one in targets if one not in asked["Ids"]]
        return {}

    def _delete_rule(self, asked: Parameters) -> Any:
        # As AWS: a rule with targets and a bus with rules cannot be deleted.
        if self.rules[asked["EventBusName"]].pop(asked["Name"]):
            return aws_error("ValidationException")
        return {}

    def _delete_bus(self, asked: Parameters) -> Any:
        return aws_error("ValidationException") if self.rules.pop(asked["Name"]) else {}


async def test_everything_of_a_namespace_is_found_on_every_page_and_counted_by_kind() -> None:
    aws = FakeAws([f"{OLD}-0-{name}" for name in ("a", "b", "probe", "probe-40", "e")] + [f"{OLD}-1-a"])
    assert await find(aws.gateway()) == {
        f"{OLD}-0": {"state machine": 5, "event bus": 5, "queue": 5, "table": 5},
        f"{OLD}-1": {"state machine": 1, "event bus": 1, "queue": 1, "table": 1},
    }


@pytest.mark.parametrize("name", ["orders", "ss-orders-0-x", f"{OLD}-x", f"x-{OLD}-0-a", "ss-20261101-090000-AB12-0-a"])
async def test_what_no_run_made_is_not_found(name: str) -> None:
    assert await find(FakeAws([name]).gateway()) == {}


async def test_a_namespace_goes_with_running_executions_rules_and_targets_and_nothing_else_does() -> None:
    aws = FakeAws([f"{OLD}-1-{name}" for name in "abc"] + [f"{OLD}-10-a", f"{OLD}-1", "orders"], running=5)
    assert await remove(aws.gateway(), [f"{OLD}-1"]) == []
    assert aws.left() == {f"{OLD}-10-a", f"{OLD}-1", "orders"}
    assert len(aws.stopped) == len(set(aws.stopped)) == 15


async def test_a_backend_that_holds_nothing_is_looked_at_once() -> None:
    gateway = FakeAws().gateway()
    assert await remove(gateway, [f"{OLD}-0"]) == []
    assert len(gateway.calls) == len(namespaces.KINDS)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("DeleteQueue", "AWS.SimpleQueueService.NonExistentQueue"),
        ("DeleteQueue", "QueueDoesNotExist"),
        ("DeleteTable", "ResourceNotFoundException"),
        ("DeleteEventBus", "ResourceNotFoundException"),
        ("ListRules", "ResourceNotFoundException"),
        ("DeleteStateMachine", "StateMachineDoesNotExist"),
        ("ListExecutions", "StateMachineDoesNotExist"),
        ("StopExecution", "ExecutionDoesNotExist"),
    ],
)
async def test_what_is_gone_already_is_no_error(operation: str, code: str) -> None:
    aws = FakeAws([f"{OLD}-0-a"], running=1)
    aws.stopped = ["arn:" + f"{OLD}-0-a:0"]
    assert await remove(aws.gateway(**{operation: aws_error(code)}), [f"{OLD}-0"]) == []


async def test_what_cannot_be_removed_is_named_and_all_the_rest_goes() -> None:
    aws = FakeAws([f"{OLD}-0-a", f"{OLD}-0-b"])

    def denied(asked: Parameters) -> Any:
        if asked["QueueUrl"].endswith("a"):
            return aws_error("AccessDenied")
        return aws._discard(aws.queues, asked["QueueUrl"], "QueueDoesNotExist")

    problems = await remove(aws.gateway(DeleteQueue=denied), [f"{OLD}-0"])
    assert [problem.partition(": ")[0] for problem in problems] == [f"the queue {OLD}-0-a could not be removed"]
    assert aws.left() == {f"{OLD}-0-a"}
    assert aws.tables == set()


async def test_a_failure_that_passes_is_no_problem() -> None:
    aws = FakeAws([f"{OLD}-0-a"])
    answers = [Indefinite("no answer")] + [{}] * namespaces.PASSES
    assert await remove(aws.gateway(DeleteTable=answers), [f"{OLD}-0"]) == []


async def test_a_queue_whose_creation_was_given_up_and_took_effect_late_goes_too() -> None:
    aws = FakeAws([f"{OLD}-0-a"])

    def late(asked: Parameters) -> Any:
        aws.queues.add(f"http://queue/{OLD}-0-late")
        return aws._discard(aws.tables, asked["TableName"], "ResourceNotFoundException")

    assert await remove(aws.gateway(DeleteTable=late), [f"{OLD}-0"]) == []
    assert aws.left() == set()


async def test_a_kind_that_cannot_be_listed_is_told_and_the_others_go() -> None:
    aws = FakeAws([f"{OLD}-0-a"])
    problems = await remove(aws.gateway(ListTables=aws_error("AccessDenied")), [f"{OLD}-0"])
    assert [problem.partition(": ")[0] for problem in problems] == ["the tables could not be listed"]
    assert (aws.machines, aws.rules, aws.queues) == ({}, {}, set())


async def test_a_backend_that_has_gone_is_asked_once_and_not_again() -> None:
    gone = Indefinite("no answer")
    gateway = FakeGateway(ListStateMachines=gone, ListEventBuses=gone, ListQueues=gone, ListTables=gone)
    assert len(await remove(gateway, [f"{OLD}-0"])) == len(gateway.calls) == len(namespaces.KINDS)


async def test_a_listing_without_an_end_is_followed_so_far_and_no_further() -> None:
    gateway = FakeAws().gateway(ListTables={"TableNames": [], "LastEvaluatedTableName": "x"})
    await find(gateway)
    assert len(gateway.asked("ListTables")) == namespaces.PAGES
