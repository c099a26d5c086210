"""Nearly every kind of fault in one storm, in both topologies, on the real emulator: nothing is lost, nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import registry
from harness.history.history import History
from tests.end_to_end.conftest import Sagastorm, sagastorm  # noqa: F401 - a fixture

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

FAULTS = {
    "throttled": 'kind = "aws-error"\nerror = "throttling"\ncall = "dynamodb:TransactWriteItems"\nprobability = 0.05',
    "applied-all-the-same": (
        'kind = "aws-error"\nerror = "internal"\napplied = true\ncall = "dynamodb:TransactWriteItems"\n'
        'step = "charge"\nprobability = 0.1'
    ),
    "slow": (
        'kind = "latency"\ndistribution = "pareto"\np50_ms = 20\np99_ms = 200\n'
        'call = "sqs:DeleteMessageBatch"\nprobability = 0.3'
    ),
    "reset": (
        'kind = "connection-reset"\nwhen = "after-sending"\ncall = "dynamodb:TransactWriteItems"\n'
        'step = "reserve"\nprobability = 0.1'
    ),
    "callback-twice": 'kind = "applied-twice"\ncall = "stepfunctions:SendTaskSuccess"\nstep = "charge"\nsagas = 0.15',
    "event-twice": 'kind = "applied-twice"\ncall = "events:PutEvents"\nstep = "charge"\nsagas = 0.15',
    "delayed": 'kind = "message-delayed"\ndelay_s = 1\nstep = "approve"\nprobability = 0.1',
    "reordered": 'kind = "message-reordered"\novertaken_by = 2\nat_most_s = 1\nstep = "charge"\nprobability = 0.2',
    "poisoned": 'kind = "poison"\nform = "unknown-version"\nstep = "create"\nprobability = 0.03',
    "poisoned-large": 'kind = "poison"\nform = "too-large"\nstep = "charge"\nprobability = 0.05',
    "killed": 'kind = "crash"\nat = "after-commit"\nstep = "charge"\nprobability = 0.03',
    "stopped": 'kind = "pause"\nlength_s = 0.5\nprobability = 0.3',
    "gone": 'kind = "participant-down"\nparticipant = "order"\nprobability = 0.3',
    "fails-twice": 'kind = "fail-first"\ntimes = 2\nstep = "confirm"\nsagas = 0.2',
    "late": 'kind = "reply-late"\ndelay_s = 1\nstep = "reserve"\nprobability = 0.2',
    "duplicate": 'kind = "duplicate-delivery"\ndelay_s = 0\nstep = "reserve"\nprobability = 0.1',
    "lost-request": (
        'kind = "timeout"\nlost = "request"\ncall = "dynamodb:TransactWriteItems"\nstep = "create"\nprobability = 0.05'
    ),
    "refused": 'kind = "refusals"\ncannot_pay_share = 0.4\nout_of_stock_share = 0.1\nstart = "50%"',
    "rush": 'kind = "surge"\nfactor = 1.5\nstart = "50%"',
}
LEFT_OUT = {
    "execution-aborted": "nobody goes on with the saga: it takes a sweeper",
    "message-lost": "the same, where nobody orchestrates",
    "reply-lost": "the same",
    "overload": "no kind of trouble that a participant being gone is not",
}
ONLY_IN = {"callback-twice": "orchestrated", "event-twice": "choreographed"}


def test_every_kind_of_fault_is_here_or_left_out_for_a_reason() -> None:
    kinds = {text.partition('"')[2].partition('"')[0] for text in FAULTS.values()}
    assert kinds | LEFT_OUT.keys() == set(registry.names("fault"))


def test_nearly_all_faults_at_once_leave_nothing_wrong_in_either_topology(
    sagastorm: Callable[..., Sagastorm],  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    storm = "".join(f'[[fault]]\nname = "{name}"\n{text}\n' for name, text in FAULTS.items())
    (tmp_path / "all.toml").write_text(storm, encoding="utf-8")
    command = sagastorm("run", "--storm", "all.toml", "--rate", "8", "--duration", "8", "--interleave", "AB")
    command.wait()
    assert "Traceback" not in command.output, command.output
    for topology, figures in command.summary["topologies"].items():
        assert (figures["anomalies"], figures["unresolved"], figures["dropped"]) == ({}, 0, 0), command.output
        fired = figures["faults"]
        assert {name for name in fired if fired[name] is None} == {
            name for name, only in ONLY_IN.items() if only != topology
        }
        assert {name for name in fired if fired[name] == 0} == set(), fired

    with History(command.folder / "history.sqlite", read_only=True) as history:
        blocks = history.blocks()
        assert len({block.load_digest for block in blocks}) == 1
        for block in blocks:
            rows = history.faults(block.block)
            kills = [(row.saga_id, row.step, row.attempt) for row in rows if row.fault == "killed"]
            assert len(kills) == len(set(kills)), "no attempt kills twice"
            deaths = [event.what for event in history.events(block.block) if "was killed by SIGKILL" in event.what]
            assert len(deaths) == len(kills)
            poisoned = sum(row.fault.startswith("poisoned") for row in rows)
            # A worker may have been killed with the poison in its hand.
            assert 0 < block.dead_letters <= poisoned
