"""What `sagastorm clean` takes away, what it leaves alone, and what it says."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.aws.services import SERVICES
from harness.backends.base import Endpoints
from harness.cli import main as command_line
from harness.core.errors import EXIT_USAGE, EnvironmentFailure, UsageError
from harness.run import clean as module
from harness.run.clean import clean, left
from harness.run.locust import locust_load
from harness.run.progress import PlainTeller
from harness.run.redrive import prefix_of, prefixes_of
from harness.run.run import Run, execute, prepare
from harness.run.under_way import is_under_way, under_way
from harness.settings import RunSettings
from tests.aws.test_namespaces import FakeAws
from tests.fake_gateway import FakeGateway, aws_error

OLD = "20260101-000000-ab12"
NONE_SUCH = "20260101-000000-ef56"
NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def young() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-cd34"


def by_name(*names: str) -> dict[str, str]:
    return {name: prefix_of(name) for name in names}


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


async def test_a_run_of_the_last_hour_that_has_no_folder_here_is_left_alone_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"ss-{young()}-0-a"
    aws = FakeAws([name, f"ss-{OLD}-0-a"])
    said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch)
    assert "(left alone: its run may be under way elsewhere)" in said
    assert "1 of 2 left alone: their runs started within the hour" in said
    assert aws.left() == {name}


async def test_runs_that_are_named_go_however_young_they_are_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = young()
    aws = FakeAws([f"ss-{run_id}-0-a", f"ss-{run_id}-1-a", f"ss-{OLD}-0-a"])
    said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch, named=by_name(run_id, NONE_SUCH))
    assert f"  {NONE_SUCH} has left nothing here." in said.splitlines()
    assert "(left alone: not named)" in said
    assert said.endswith("2 removed.")
    assert aws.left() == {f"ss-{OLD}-0-a"}


@pytest.mark.parametrize("name", ["{}", "ss-{}-0", "runs/{}", "runs/{}/"])
async def test_a_run_is_named_by_its_id_its_folder_or_the_namespace_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run_id = young()
    aws = FakeAws([f"ss-{run_id}-0-a", f"ss-{OLD}-0-a"])
    await cleaned(aws.gateway(), tmp_path, monkeypatch, named=by_name(name.format(run_id)))
    assert aws.left() == {f"ss-{OLD}-0-a"}


async def test_of_a_block_that_is_named_the_others_of_its_run_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = FakeAws([f"ss-{OLD}-1-a", f"ss-{OLD}-10-a"])
    await cleaned(aws.gateway(), tmp_path, monkeypatch, named=by_name(f"ss-{OLD}-1"))
    assert aws.left() == {f"ss-{OLD}-10-a"}


async def test_a_young_run_whose_folder_is_here_and_held_by_nobody_goes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = young()
    (tmp_path / run_id).mkdir()
    aws = FakeAws([f"ss-{run_id}-0-a"])
    said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch)
    assert said.endswith("1 removed.")
    assert aws.left() == set()


@pytest.mark.parametrize("name", [None, OLD, f"ss-{OLD}-0"])
async def test_a_run_that_is_under_way_is_left_alone_however_old_and_even_if_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    (tmp_path / OLD).mkdir()
    aws = FakeAws([f"ss-{OLD}-0-a"])
    with under_way(tmp_path / OLD):
        said, _ = await cleaned(aws.gateway(), tmp_path, monkeypatch, named=by_name(name) if name else {})
    assert said.endswith("(left alone: its run is under way)")
    assert aws.left() == {f"ss-{OLD}-0-a"}


async def test_a_run_that_is_under_way_in_another_folder_is_left_alone_if_it_is_named_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere" / OLD
    elsewhere.mkdir(parents=True)
    aws = FakeAws([f"ss-{OLD}-0-a"])
    with under_way(elsewhere):
        await cleaned(aws.gateway(), tmp_path / "runs", monkeypatch, named=by_name(str(elsewhere)))
    assert aws.left() == {f"ss-{OLD}-0-a"}


def test_a_run_is_under_way_until_its_process_is_killed_and_leaves_nothing_in_its_folder(tmp_path: Path) -> None:
    hold = "import sys; from pathlib import Path; from harness.run.under_way import under_way\n"
    hold += "with under_way(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        held = is_under_way(tmp_path)
        holder.kill()
    assert held
    assert not is_under_way(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_run_is_under_way_while_it_is_executed_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare(RunSettings(), tmp_path, PlainTeller(Console(file=io.StringIO())), "sagastorm run")
    seen: list[bool] = []

    async def measured(run: Run) -> None:
        seen.append(is_under_way(run.folder))
        raise EnvironmentFailure("enough was seen")

    monkeypatch.setattr("harness.run.run._measure", measured)
    await execute(run, locust_load)
    assert seen == [True]
    assert not is_under_way(run.folder)


def test_all_names_that_are_neither_a_runs_nor_a_blocks_are_told_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        prefixes_of(["orders", OLD, "."])
    assert [problem.value for problem in refused.value.problems] == ["orders", "."]


@pytest.mark.parametrize("name", ["orders", f"ss-{OLD}", "."])
def test_what_names_neither_a_run_nor_a_block_is_bad_input_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    nobody = ("--endpoint-url", "http://127.0.0.1:1")
    monkeypatch.setattr("sys.argv", ["sagastorm", "clean", OLD, name, *nobody])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == EXIT_USAGE
    assert f"'{name}' is not valid" in capsys.readouterr().err


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
