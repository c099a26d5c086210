from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.core.errors import UsageError
from harness.load.plan import EPOCH_FILE, LoadPlan, decode_plan, read_plan, refuse_second_load, write_plan

VALUES: dict[str, Any] = {
    "saga": "create-order",
    "topology": "orchestrated",
    "ingress_url": "http://127.0.0.1:8080",
    "audience": "run-1-0",
    "seed": 1,
    "rate_per_s": 25.0,
    "duration_s": 25.0,
    "surges": [(5.0, 10.0, 2.0)],
    "spool_dir": "spool",
    "targets_dir": "targets",
}


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    plan = LoadPlan(**(VALUES | {"surges": ((5.0, 10.0, 2.0),), "epoch_ns": 123}))
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_holds_no_key() -> None:
    assert not {name for name in LoadPlan.__struct_fields__ if "key" in name or "secret" in name or "token" in name}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("saga", ""),
        ("ingress_url", "127.0.0.1:8080"),
        ("ingress_url", "http://"),
        ("ingress_url", "http://127.0.0.1:no"),
        ("audience", "two\r\nlines"),
        ("rate_per_s", 0.0),
        ("duration_s", -1.0),
        ("shape", "bursty"),
        ("surges", [(5.0, 5.0, 2.0)]),
        ("surges", [(1.0, 2.0, -1.0)]),
        ("refusals", [(5.0, 5.0, 0.2, 0.0)]),
        ("refusals", [(1.0, 2.0, 0.2, 1.5)]),
        ("cannot_pay_share", 1.5),
        ("out_of_stock_share", -0.1),
        ("outcome_wait_s", -1.0),
        ("max_in_flight", 0),
        ("round", -1),
    ],
)
def test_a_value_that_makes_no_load_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(UsageError) as refusal:
        decode_plan(msgspec.json.encode(VALUES | {field: value}))
    assert [problem.field for problem in refusal.value.problems] == [field]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as refusal:
        decode_plan(msgspec.json.encode(VALUES | {"rate_per_s": 0.0, "shape": "bursty"}))
    assert [problem.field for problem in refusal.value.problems] == ["rate_per_s", "shape"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "truncated"),
        (msgspec.json.encode({"saga": "create-order"}), "missing required field"),
        (msgspec.json.encode(VALUES | {"rate": 3}), "unknown field `rate`"),
        (msgspec.json.encode(VALUES | {"seed": "one"}), "$.seed"),
    ],
)
def test_what_is_not_a_plan_is_refused_with_its_name_and_the_reason(content: bytes, says: str) -> None:
    with pytest.raises(UsageError, match="plan-7.json") as refusal:
        decode_plan(content, "plan-7.json")
    assert says in str(refusal.value)


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.json"):
        read_plan(tmp_path / "nowhere.json")


@pytest.mark.parametrize(("name", "epoch_ns"), [(EPOCH_FILE, None), ("load-0-17.jsonl", None), ("load-0-17.jsonl", 1)])
def test_a_plan_on_which_a_load_has_begun_takes_no_other(tmp_path: Path, name: str, epoch_ns: int | None) -> None:
    plan = LoadPlan(**(VALUES | {"spool_dir": str(tmp_path), "epoch_ns": epoch_ns}))
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match="a plan serves one load"):
        refuse_second_load(plan)


def test_a_plan_on_which_no_load_has_begun_takes_one(tmp_path: Path) -> None:
    refuse_second_load(LoadPlan(**(VALUES | {"spool_dir": str(tmp_path / "not-there-yet")})))
    (tmp_path / "worker-17.jsonl").touch()
    refuse_second_load(LoadPlan(**(VALUES | {"spool_dir": str(tmp_path)})))
