"""What is understood of Amazon States Language, by the examples in AWS's own documentation where there are some."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import asl

CONTEXT = {"Task": {"Token": "token-1"}, "State": {"RetryCount": 2}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$", {"n": 2, "deep": {"items": [10, 20]}}),
        ("$.deep.items[1]", 20),
        ("$$.Task.Token", "token-1"),
        ("States.Array(1, 'two', $.n)", [1, "two", 2]),
        ("States.ArrayGetItem($.deep.items, 0)", 10),
        ("States.ArrayLength($.deep.items)", 2),
        ("States.ArrayLength(States.ArrayRange(1, 9, 2))", 5),
        (r"States.Format('it\'s {} of {}', $.n, 'x')", "it's 2 of x"),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.MathAdd($$.State.RetryCount, -1)", 1),
        ("States.StringSplit('1a23bc4', 'abc')", ["1", "23", "4"]),
        ("States.StringToJson('0.25e1')", 2.5),
    ],
)
def test_expression_has_its_value(expression: str, value: Any) -> None:
    data = {"n": 2, "deep": {"items": [10, 20]}}
    assert asl.resolve({"list": [{"v.$": expression}], "as it is": expression}, data, CONTEXT) == {
        "list": [{"v": value}],
        "as it is": expression,
    }


@pytest.mark.parametrize("expression", ["States.UUID()", "$..n", "$.n and more", "n", "States.Array"])
def test_expression_that_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(NotImplementedError):
        asl.resolve({"v.$": expression}, {"n": 2}, CONTEXT)


def test_no_more_than_ten_functions_may_stand_in_one_field() -> None:
    nested = "States.MathAdd(1, " * 10 + "0" + ")" * 10
    assert asl.resolve({"v.$": nested}, {}, CONTEXT) == {"v": 10}
    with pytest.raises(ValueError, match="more than ten"):
        asl.resolve({"v.$": f"States.MathAdd(1, {nested})"}, {}, CONTEXT)


def test_path_that_leads_to_nothing_is_an_error() -> None:
    with pytest.raises(KeyError):
        asl.resolve({"v.$": "$.failure"}, {}, CONTEXT)


@pytest.mark.parametrize(
    ("path", "after"),
    [
        (None, {"a": {"b": 1}}),
        ("$", "new"),
        ("$.c", {"a": {"b": 1}, "c": "new"}),
        ("$.a.c", {"a": {"b": 1, "c": "new"}}),
    ],
)
def test_result_path_puts_a_value_beside_the_data(path: str | None, after: Any) -> None:
    data = {"a": {"b": 1}}
    assert asl.put(path, "new", data) == after
    assert data == {"a": {"b": 1}}


def test_choice_takes_the_first_rule_that_holds() -> None:
    state = {
        "Choices": [
            {"And": [{"Variable": "$.n", "NumericGreaterThanEquals": 2}, {"Variable": "$.s", "StringEquals": "x"}], "Next": "both"},
            {"Variable": "$.n", "NumericGreaterThanEquals": 2, "Next": "number"},
        ],
        "Default": "neither",
    }  # fmt: skip
    assert [asl.chosen(state, {"n": n, "s": s}) for n, s in ((2, "x"), (2, "y"), (1, "x"))] == [
        "both", "number", "neither",
    ]  # fmt: skip


def test_wait_before_a_retry_grows_up_to_its_limit_and_jitter_shortens_it() -> None:
    rule = {"IntervalSeconds": 1, "BackoffRate": 2.0, "MaxDelaySeconds": 3}
    assert [asl.backoff_s(rule, tries, 0.5) for tries in range(3)] == [1, 2, 3]
    assert asl.backoff_s(rule | {"JitterStrategy": "FULL"}, 1, 0.5) == 1


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"Type": "Parallel", "Next": "A"}, NotImplementedError),
        ({"Type": "Task", "HeartbeatSeconds": 1, "Next": "A"}, NotImplementedError),
        ({"Type": "Pass", "Next": "Nowhere"}, ValueError),
        ({"Type": "Task", "Catch": [{"Next": "Nowhere"}], "Next": "A"}, ValueError),
    ],
)
def test_machine_that_would_be_passed_over_is_refused(state: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        asl.check({"StartAt": "A", "States": {"A": state}})
