"""What a fault of a storm can be narrowed to, and to which topologies it applies."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.storm import Fault, load
from harness import registry
from harness.core.errors import UsageError
from harness.sagas.create_order import SAGA
from harness.topologies.base import Connection, Deployed
from tests.fake_gateway import FakeGateway


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(f'[[fault]]\nname = "f"\n{text}', encoding="utf-8")
    return str(path)


def problems(folder: Path, text: str) -> dict[str, str]:
    """Field to what would be valid."""
    with pytest.raises(UsageError) as error:
        load(written(folder, text), SAGA, 100, 10)
    return {problem.field.rpartition(": ")[2]: problem.valid for problem in error.value.problems}


def test_share_of_sagas_is_kept_and_is_all_of_them_where_nothing_is_said(tmp_path: Path) -> None:
    [some] = load(written(tmp_path, 'kind = "message-lost"\nsagas = 0.1\nprobability = 0.5\n'), SAGA, 100, 10).faults
    [all_of_them] = load(written(tmp_path, 'kind = "message-lost"\n'), SAGA, 100, 10).faults
    assert (some.sagas, some.probability, all_of_them.sagas) == (0.1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ('kind = "message-lost"\nsagas = 0\n', {"fault[0].sagas": "a number above 0 and at most 1"}),
        (
            'kind = "participant-down"\nparticipant = "payment"\nsagas = 0.1\n',
            {
                "fault[0].sagas": "nothing: participant-down strikes a resource, whoever uses it; it can have a probability"
            },
        ),
        (
            'kind = "surge"\nfactor = 2\nstep = "charge"\nprobability = 0.5\n',
            {
                "fault[0].probability": "nothing: surge changes arrivals, all of those in its window",
                "fault[0].step": "nothing: surge changes arrivals, all of those in its window",
            },
        ),
        (
            'kind = "message-lost"\nparticipant = "payment"\nstep = "reserve"\n',
            {"fault[0].step": "a step of payment; reserve is one of inventory"},
        ),
        (
            'kind = "reply-lost"\ncall = "events:PutEvents"\n',
            {"fault[0].call": "only where a fault strikes AWS calls; reply-lost does not"},
        ),
        (
            'kind = "crash"\nat = "lunch"\nsagas = 2\nprobability = "often"\n',
            {
                "fault[0].probability": "a number from 0 to 1",
                "fault[0].sagas": "a number above 0 and at most 1",
                "fault[0] (crash)": "options must fit: Invalid enum value 'lunch' - at `$.at`",
            },
        ),
        (
            'kind = "aws-error"\nerror = "throttling"\napplied = true\ncall = "sqs:DeleteMessageBatch"\n',
            {"fault[0] (aws-error)": "options must fit: a request that was throttled was not applied"},
        ),
    ],
)
def test_target_or_option_that_contradicts_the_fault_is_refused(
    text: str, refused: dict[str, str], tmp_path: Path
) -> None:
    assert problems(tmp_path, text) == refused


def connection(topology: str) -> Connection:
    return registry.topology(topology).connect(FakeGateway(), SAGA, Deployed(queue_urls={}, bus="bus"))


@pytest.mark.parametrize(
    ("kind", "call", "applies_to"),
    [
        ("execution-aborted", None, {"orchestrated"}),
        ("reply-lost", None, {"orchestrated", "choreographed"}),
        ("applied-twice", "stepfunctions:SendTaskSuccess", {"orchestrated"}),
        ("applied-twice", "events:PutEvents", {"choreographed"}),
        ("applied-twice", "dynamodb:TransactWriteItems", {"orchestrated", "choreographed"}),
        ("applied-twice", "sqs:DeleteMessageBatch", {"orchestrated", "choreographed"}),
    ],
)
async def test_fault_applies_where_there_is_something_to_strike(
    kind: str, call: str | None, applies_to: set[str]
) -> None:
    fault = Fault(name="f", kind=kind, probability=1.0, start_s=0.0, end_s=1.0, call=call)
    topologies = registry.names("topology")
    assert {name for name in topologies if fault.applies_to(connection(name))} == applies_to
