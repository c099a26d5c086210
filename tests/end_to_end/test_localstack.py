"""Whole runs on the real LocalStack: the same promises as on the embedded emulator, at the rate that it carries."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.history import run_file
from tests.end_to_end.conftest import Sagastorm

pytestmark = [pytest.mark.localstack, pytest.mark.end_to_end]

Start = Callable[..., Sagastorm]
RUN_LIMIT_S = 900.0


def test_both_topologies_come_out_clean_under_the_default_storm(sagastorm: Start, localstack: dict[str, str]) -> None:
    """At a rate that it carries even on a busy machine, with a seed that has every fault strike in so short a load."""
    load = ("--rate", "1", "--duration", "60", "--seed", "20")
    command = sagastorm("run", "--interleave", "AB", *load, **localstack)
    assert command.judged_fit(command.wait(RUN_LIMIT_S)), command.output
    summary = command.summary

    assert summary["backend"]["name"] == "localstack"
    assert summary["backend"]["version"].startswith("localstack 4.14.0")
    assert summary["backend"]["callback_retry"] == "reenter"
    for topology in ("orchestrated", "choreographed"):
        figures = summary["topologies"][topology]
        assert figures["completed"] + figures["compensated"] == figures["accepted"] == figures["scheduled"] > 60
        assert figures["compensated"] > 0
        assert (figures["unresolved"], figures["dropped"], figures["anomalies"]) == (0, 0, {})
        assert all(fired > 0 for fired in figures["faults"].values()), figures["faults"]
        assert figures["duplicates"]["delivered"] == figures["duplicates"]["suppressed"] > 0


def test_a_rate_that_nobody_chose_is_at_most_half_of_what_the_backend_carries(
    sagastorm: Start, localstack: dict[str, str]
) -> None:
    command = sagastorm("run", "--storm", "calm", "--duration", "20", "--topology", "choreographed", **localstack)
    assert command.judged_fit(command.wait(RUN_LIMIT_S)), command.output
    run = run_file.load(command.folder)
    assert run.instrument is not None
    assert run.instrument.scaled == ("rate_per_s",)
    assert 1 <= run.settings.rate_per_s <= run.instrument.capacity_sagas_per_s["choreographed"] / 2


def test_a_run_that_was_killed_leaves_its_namespace_which_clean_finds_and_removes(
    sagastorm: Start, localstack: dict[str, str]
) -> None:
    killed = sagastorm("run", "--storm", "calm", "--rate", "2", "--duration", "20", "--interleave", "B", **localstack)
    killed.until(lambda: killed.sagas_ended(), "a saga had ended")
    run_id = killed.folder.name
    killed.process.kill()
    killed.process.wait()

    cleaned = sagastorm("clean", run_id, **localstack)
    assert cleaned.wait() == 0, cleaned.output
    assert f"ss-{run_id}-0" in cleaned.output
    again = sagastorm("clean", run_id, **localstack)
    assert again.wait() == 0, again.output
    assert f"{run_id} has left nothing here." in again.output
