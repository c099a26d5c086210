"""``sagastorm serve`` and ``sagastorm compare --html``, from the command line to the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import msgspec
import pytest

from harness.cli import main as command_line
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_PASS, EXIT_USAGE
from harness.history import run_file
from harness.serve.app import Folders
from harness.serve.server import is_loopback, serve
from tests.serve.saved import save


def sagastorm(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the command."""
    monkeypatch.setattr("sys.argv", ["sagastorm", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one`` and ``two`` are alike, ``three`` says that it has another seed."""
    folder = tmp_path_factory.mktemp("runs")
    settings = run_file.load(save(folder, "one")).settings
    save(folder, "two")
    save(folder, "three", settings=msgspec.structs.replace(settings, seed=8))
    return folder


def test_everything_wrong_with_the_input_is_told_before_anything_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "serve", "--runs", tmp_path / "none", "--port", "70000", "--host", "") == EXIT_USAGE
    told = capsys.readouterr().err
    assert told.startswith("sagastorm: 3 problems with the input")
    for field in ("--runs", "--port: '70000'", "--host"):
        assert field in told


def test_a_port_that_is_taken_is_one_clear_error(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert sagastorm(monkeypatch, "serve", "--runs", runs, "--port", port) == EXIT_ENVIRONMENT
    told = capsys.readouterr().err
    assert told == f"sagastorm: port {port} of 127.0.0.1 is taken; --port takes another, and 0 any that is free\n"


def test_an_address_that_is_not_of_this_machine_is_one_clear_error(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sagastorm(monkeypatch, "serve", "--runs", runs, "--host", "192.0.2.1", "--port", "0") == EXIT_ENVIRONMENT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sagastorm: cannot listen on 192.0.2.1, port 0: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_on_a_free_port_until_it_is_told_to_stop(runs: Path, number: signal.Signals) -> None:
    announced: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(serve(Folders(runs, runs), "127.0.0.1", 0, announced.put_nowait))
    address = await announced.get()
    port = int(address.removeprefix("http://127.0.0.1:").removesuffix("/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await reader.read()
    writer.close()
    await writer.wait_closed()
    os.kill(os.getpid(), number)
    await serving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("bench", False),
    ],
)
def test_only_loopback_addresses_are_out_of_reach_of_others(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


def test_runs_and_blocks_are_compared_in_one_file(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert sagastorm(monkeypatch, "compare", "one:2", runs / "two", "--html", page, "--runs", runs) == EXIT_PASS
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert "block 2: choreographed" in text
    assert 'href="/' not in text
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("one", "three"), "seed of three: 8 is not valid; one has 7; --allow seed"),
        (("one",), "2 to 8 runs or blocks"),
        (("one", "two:0"), "'two:0' is not valid"),
        (("one", "two:7"), "'two:7' is not valid; 2 blocks were run"),
        (("one", "none"), "none: no run there"),
        (("one", "two", "--allow", "colour"), "--allow: 'colour'"),
    ],
    ids=["differ", "too few", "block 0", "no such block", "no such run", "unknown field"],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    page = tmp_path / "page.html"
    assert sagastorm(monkeypatch, "compare", *arguments, "--html", page, "--runs", runs) == EXIT_USAGE
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_difference_that_is_allowed_is_told_on_the_page(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    given = ("compare", "one", "three", "--allow", "seed", "--html", page, "--runs", runs)
    assert sagastorm(monkeypatch, *given) == EXIT_PASS
    assert "They differ in more than code and time: seed." in page.read_text(encoding="utf-8")


def test_a_page_needs_a_folder_that_is_there(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "none" / "page.html"
    assert sagastorm(monkeypatch, "compare", "one", "two", "--html", page, "--runs", runs) == EXIT_USAGE
    assert sagastorm(monkeypatch, "compare", "one", "two", "--html", tmp_path, "--runs", runs) == EXIT_USAGE
