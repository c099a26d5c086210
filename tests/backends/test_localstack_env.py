"""LocalStack without Docker: what it needs is told at once, and what is started is found, and leaves with its parent."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from harness.aws.services import SERVICES
from harness.backends import localstack_env
from harness.backends.localstack import KIND
from harness.backends.localstack_servers import HOST, Servers, free_port
from harness.core.errors import EXIT_ENVIRONMENT, EnvironmentFailure

ANSWERS_NOTHING = "import sys; print('so far', flush=True); sys.stdin.read()"


@pytest.fixture
def searched_anew() -> Iterator[None]:
    localstack_env._python.cache_clear()
    localstack_env._java_home.cache_clear()
    yield
    localstack_env._python.cache_clear()
    localstack_env._java_home.cache_clear()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched_anew: None) -> Path:
    """A machine with nothing on it but what a test puts into the returned folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def program(folder: Path, name: str, prints: str, status: int = 0) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\nexit {status}\n".replace("cat ", "/bin/cat "))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def java(release: str) -> str:
    return f"Property settings:\n    java.home = /opt/java\n    java.specification.version = {release}\n"


def test_all_that_is_missing_is_named_at_once(bare: Path) -> None:
    words = localstack_env.missing()
    assert [word.split()[0] for word in words] == ["Python", "Java", "npm"]
    with pytest.raises(EnvironmentFailure) as caught:
        localstack_env.ensure(lambda line: None)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.exit_code == EXIT_ENVIRONMENT


@pytest.mark.parametrize("place", ["bin/python3.13", "bin/python3", "bin/python", ".pyenv/versions/3.13.1/bin/python"])
def test_the_right_python_is_found_by_what_it_says_wherever_it_stands(bare: Path, place: str) -> None:
    program(bare.parent, place, "3.13.1 x86_64 /opt/python3.13")
    python = localstack_env._python()
    assert python is not None
    assert python.path == "/opt/python3.13"
    assert python.built_with == "CPython 3.13 x86_64"


def test_uv_is_asked_for_one_that_it_manages(bare: Path) -> None:
    program(bare, "uv", str(bare / "managed"))
    program(bare, "managed", "3.13.9 arm64 /managed/python")
    python = localstack_env._python()
    assert python is not None
    assert python.path == "/managed/python"


@pytest.mark.parametrize(
    ("prints", "status"), [("3.12.9 x86_64 /p", 0), ("3.14.0 x86_64 /p", 0), ("3.13.1 x86_64 /p", 127)]
)
def test_another_release_or_a_shim_that_fails_is_no_python(bare: Path, prints: str, status: int) -> None:
    program(bare, "python3.13", prints, status)
    assert localstack_env._python() is None


@pytest.mark.parametrize(("release", "home"), [("17", "/opt/java"), ("21", "/opt/java"), ("11", None), ("1.8", None)])
def test_java_must_be_new_enough(bare: Path, release: str, home: str | None) -> None:
    program(bare, "java", java(release))
    assert localstack_env._java_home() == home


def test_java_home_comes_before_the_path(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare, "java", java("11"))
    program(bare.parent / "jdk" / "bin", "java", java("17"))
    monkeypatch.setenv("JAVA_HOME", str(bare.parent / "jdk"))
    assert localstack_env._java_home() == "/opt/java"


def test_with_all_three_there_nothing_is_missing(bare: Path) -> None:
    program(bare, "python3.13", "3.13.1 x86_64 /opt/python3.13")
    program(bare, "java", java("17"))
    assert [word.split()[0] for word in localstack_env.missing()] == ["npm"]
    program(bare, "npm", "")
    assert localstack_env.missing() == []


# --- the processes, with a stand-in -----------------------------------------------------------------------------------


def start(servers: Servers, code: str, port: int) -> None:
    servers.start("localstack", [sys.executable, "-c", code], {}, port)


def test_a_port_that_is_taken_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken, Servers(tmp_path) as servers:
        port = taken.getsockname()[1]
        assert free_port(port) != port
        with pytest.raises(EnvironmentFailure, match=f"{HOST}:{port} is taken"):
            start(servers, ANSWERS_NOTHING, port)
        assert list(tmp_path.iterdir()) == []


def test_one_that_ends_while_it_starts_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        start(servers, "print('no such setting'); raise SystemExit(3)", free_port())
        with pytest.raises(EnvironmentFailure, match=r"(?s)localstack exited with status 3; .*no such setting"):
            servers.wait_until_ready(30)
        assert "exited with status 3" in servers.died()


def test_one_that_does_not_answer_in_time_is_given_up_and_stopped(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        start(servers, ANSWERS_NOTHING, free_port())
        (process,) = (each for each in psutil.Process().children() if ANSWERS_NOTHING in each.cmdline())
        with pytest.raises(EnvironmentFailure, match="was not ready within 0 s"):
            servers.wait_until_ready(0)
    assert not process.is_running()
    assert not servers.scratch.exists()


class Health(BaseHTTPRequestHandler):
    """LocalStack's health page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"services": dict.fromkeys(SERVICES, "running")}).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged."""


def test_another_localstack_that_took_the_port_meanwhile_is_not_taken_for_ours(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        port = free_port()
        start(servers, ANSWERS_NOTHING, port)
        with HTTPServer((HOST, port), Health) as other:
            threading.Thread(target=other.serve_forever, daemon=True).start()
            with pytest.raises(EnvironmentFailure, match=f"{HOST}:{port} is taken"):
                servers.wait_until_ready(30)
            other.shutdown()


# --- the real ones ------------------------------------------------------------------------------------------------


@pytest.fixture
def needs_all() -> None:
    if words := localstack_env.missing():
        pytest.skip("no LocalStack without " + "; ".join(words))


@pytest.mark.localstack
async def test_the_real_ones_answer_on_loopback_alone_and_are_gone_afterwards(
    needs_all: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    others = psutil.Process().children(recursive=True)  # one of the whole session may be among them
    with localstack_env.running(tmp_path) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        backend = KIND.backend(KIND.resolve(None, environ), tmp_path / "log")
        endpoints = await backend.start()
        children = [each for each in psutil.Process().children(recursive=True) if each not in others]
        listening = {
            each.laddr.ip.removeprefix("::ffff:")
            for child in children
            for each in child.net_connections(kind="inet")
            if each.status == psutil.CONN_LISTEN
        }
    assert endpoints.version == "localstack 4.14.0 (host); dynamodb: DynamoDB Local"
    assert endpoints.pid in [child.pid for child in children]
    assert listening == {HOST}
    assert not any(child.is_running() for child in children)


@pytest.mark.localstack
def test_the_real_ones_go_with_a_parent_that_was_killed(needs_all: None, tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib, psutil\n"
        "from harness.backends import localstack_env\n"
        "with localstack_env.running(pathlib.Path(sys.argv[1])):\n"
        "    print(*[child.pid for child in psutil.Process().children()], flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert len(gone) == 2
    assert alive == []
