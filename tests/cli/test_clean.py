"""What `sagastorm clean` takes away, what it leaves alone, and what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.backends.base import SERVICES, Endpoints
from harness.core.errors import EnvironmentFailure
from harness.history import run_file
from harness.history.history import History
from harness.run import clean as module
from harness.run.clean import clean, left
from tests.aws.test_namespaces import FakeAws
from tests.fake_gateway import FakeGateway, aws_error
from tests.report import synthetic_run

OLD = "20260101-000000-ab12"
NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def young() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-cd34"


class SomebodyElses:
    """A backend that runs already."""

    name = "localstack"
    stopped = False

    async def start(self) -> Endpoints:
        return Endpoints(
            urls=dict.fromkeys(SERVICES, "http://127.0.0.1:1"),
            region="us-east-1",
            emulator=True,
            name=self.name,
            product="localstack",
            version="localstack 4.14.0",
            pid=None,
        )

    async def stop(self) -> None:
        self.stopped = True

    async def died(self) -> str:
        raise NotImplementedError


async def cleaned(
    gateway: FakeGateway, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> tuple[str, SomebodyElses]:
    @asynccontextmanager
    async def no_clients(*_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        yield {}

    monkeypatch.setattr(module, "open_clients", no_clients)
    monkeypatch.setattr(module, "Gateway", lambda *_: gateway)
    said: list[str] = []
    backend = SomebodyElses()
    try:
        await clean(backend, folder, said.append, **options)
    except EnvironmentFailure as error:
        said.append(f"4: {error}")
    return "\n".join(said), backend


async def test_what_old_runs_left_is_listed_one_line_a_block_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = FakeAws([f"ss-{OLD}-0-a", f"ss-{OLD}-0-b", f"ss-{OLD}-1-a", "orders"])
    said, backend = await cleaned(aws.gateway(), tmp_path, monkeypatch)
    head, first, second, last = said.splitlines()
    assert head == "localstack 4.14.0 at http://127.0.0.1:1"
    assert first.startswith(f"  ss-{OLD}-0  ")
    assert first.endswith(" old  2 x state machine, 2 x event bus, 2 x queue, 2 x table")
    assert second.startswith(f"  ss-{OLD}-1  ")
    assert last == "2 removed."
    assert aws.left() == {"orders"}
    assert backend.stopped


async def test_a_run_of_the_last_hour_is_left_alone_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"ss-{young()}-0-a"
    aws = FakeAws([name, f"ss-{OLD}-0-a"])
    said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch)
    assert "(left alone)" in said
    assert "1 of 2 left alone: their runs started within the hour and may be under way" in said
    assert aws.left() == {name}


async def test_runs_that_are_named_go_however_young_they_are_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = young()
    aws = FakeAws([f"ss-{run_id}-0-a", f"ss-{run_id}-1-a", f"ss-{OLD}-0-a"])
    said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch, run_ids=[run_id, "none-such"])
    assert "  none-such has left nothing here." in said.splitlines()
    assert said.endswith("2 removed.")
    assert aws.left() == {f"ss-{OLD}-0-a"}


@pytest.mark.parametrize(
    ("states", "goes"),
    [
        (["complete", "complete"], True),
        (["complete", "aborted"], True),
        (["complete", "loading"], False),
        (["complete"], False),
    ],
)
async def test_a_young_run_whose_own_record_says_that_it_has_ended_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: list[str], goes: bool
) -> None:
    run_id = young()
    spec = synthetic_run.Spec(interleave="AB")
    folder = synthetic_run.build(tmp_path / run_id, synthetic_run.Spec(interleave="AB"[: len(states)]))
    run_file.save(folder, synthetic_run.run(spec))
    with History(folder / "history.sqlite") as history:
        for block, state in zip(history.blocks(), states, strict=True):
            history.put_block(msgspec.structs.replace(block, state=state))
    aws = FakeAws([f"ss-{run_id}-1-a"])
    await cleaned(aws.gateway(), tmp_path, monkeypatch)
    assert (aws.left() == set()) is goes


@pytest.mark.parametrize("damage", ["no run file", "no history", "no database"])
async def test_a_young_run_whose_record_cannot_be_read_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    run_id = young()
    folder = synthetic_run.build(tmp_path / run_id, synthetic_run.Spec(interleave="AB"))
    if damage == "no database":
        (folder / "history.sqlite").write_bytes(b"not a database" * 100)
    else:
        (folder / ("run.json" if damage == "no run file" else "history.sqlite")).unlink()
    aws = FakeAws([f"ss-{run_id}-1-a"])
    await cleaned(aws.gateway(), tmp_path, monkeypatch)
    assert aws.left() != set()


async def test_a_dry_run_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = FakeAws([f"ss-{OLD}-0-a"])
    said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch, dry_run=True)
    assert f"ss-{OLD}-0" in said
    assert "Nothing was removed: --dry-run." in said
    assert aws.left() == {f"ss-{OLD}-0-a"}


async def test_where_nothing_is_left_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = await cleaned(FakeAws(["orders"]).gateway(), tmp_path, monkeypatch)
    assert said.endswith("No run has left anything here.")


async def test_what_could_not_be_removed_is_told_and_is_a_failure_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = FakeAws([f"ss-{OLD}-0-a"]).gateway(DeleteTable=aws_error("AccessDenied"))
    said, backend = await cleaned(gateway, tmp_path, monkeypatch)
    assert f"the table ss-{OLD}-0-a could not be removed: " in said
    assert said.splitlines()[-1].startswith("4: ")
    assert backend.stopped


async def test_a_listing_that_fails_is_a_failure_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = FakeAws().gateway(ListQueues=aws_error("AccessDenied"))
    said, backend = await cleaned(gateway, tmp_path, monkeypatch)
    assert said.startswith("4: what is left could not be listed: ")
    assert backend.stopped


@pytest.mark.parametrize(
    ("run_id", "told"),
    [
        ("20260101-122900-ab12", "1 min old"),
        ("20260101-090000-ab12", "3 h 30 min old"),
        ("20251225-120000-ab12", "7 days old"),
        ("20260101-123500-ab12", "0 min old"),
    ],
)
def test_ages_are_told_in_words(run_id: str, told: str) -> None:
    (one,) = left({f"ss-{run_id}-0": {"queue": 2}}, NOW)
    assert f"  {told}  2 x queue" in str(one)


def test_a_name_whose_digits_are_no_time_is_no_runs() -> None:
    assert left({"ss-99999999-999999-ab12-0": {"queue": 1}}, NOW) == []
