"""What all tests share: golden files, which ``pytest --update-golden`` writes anew, and the one real LocalStack."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from harness.backends import localstack_env

Golden = Callable[[Path, str], None]

# How long an example takes is the machine's matter, and several tests run at a time.
hypothesis.settings.register_profile("sagastorm", deadline=None)
hypothesis.settings.load_profile("sagastorm")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell makes what it runs in the background ignore Ctrl-C, and then so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option for every golden file; look at the diff before you commit it."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """``golden(path, text)`` asserts that ``text`` is what the file holds."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; --update-golden writes it anew"

    return compare


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment variables that lead to LocalStack: the one that they name already, or one started for the session."""
    names = ("LOCALSTACK_HOST", "AWS_ENDPOINT_URL_DYNAMODB")
    if os.environ.get(names[0]):
        yield {name: os.environ[name] for name in names if name in os.environ}
        return
    if missing := localstack_env.missing():
        pytest.skip("; ".join(missing))
    with localstack_env.running(tmp_path_factory.mktemp("localstack")) as environ:
        yield environ
