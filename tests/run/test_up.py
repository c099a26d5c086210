"""What whoever started ``sagastorm up`` says on its standard input, and what comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.deployment import Control
from harness.run import up
from harness.run.block import SystemUnderTest
from harness.run.run import turns
from tests.run.test_turns import run_of

SOON_S = 30.0
"""For a thread to have its turn; what takes longer has failed."""


class Starter:
    """The other end of the input, and the run at this one."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()
        self.run = SimpleNamespace(no_more=False)

    def says(self, text: bytes) -> None:
        os.write(self._write_end, text)

    def is_gone(self) -> None:
        os.close(self._write_end)


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    starter = Starter()
    monkeypatch.setattr(up, "STANDARD_INPUT", starter.read_end)
    yield starter
    os.close(starter.read_end)


def test_over_ends_the_load_of_this_block_and_of_no_other(starter: Starter) -> None:
    said = up._Input(starter.run)
    first = said.next_over()
    starter.says(b"ov")
    starter.says(b"er\n")
    assert first.wait(SOON_S)
    second = said.next_over()
    assert (second.is_set(), starter.run.no_more) == (False, False)
    starter.is_gone()
    assert second.wait(SOON_S) and starter.run.no_more


@pytest.mark.parametrize("how", ["end", "gone"])
def test_the_end_is_that_of_this_block_and_of_all_that_would_follow(starter: Starter, how: str) -> None:
    said = up._Input(starter.run)
    now = said.next_over()
    if how == "end":
        starter.says(b"nonsense\nend\n")
    else:
        starter.is_gone()
    assert now.wait(SOON_S)
    assert starter.run.no_more
    assert said.next_over().is_set()
    if how == "end":
        starter.is_gone()


@pytest.mark.parametrize(("began_s_ago", "whole"), [(None, False), (0.0, False), (60.0, True)])
async def test_a_load_that_never_began_or_was_over_before_its_time_is_not_whole(
    began_s_ago: float | None, whole: bool
) -> None:
    run = run_of(duration_s=60.0)
    nobody: Any = None
    system = SystemUnderTest(turns(run)[0], nobody, nobody, run.teller, run.live)
    if began_s_ago is not None:
        system._control = Control(epoch_ns=time.monotonic_ns() - int(began_s_ago * 1e9))
    assert system.load_was_whole is whole
