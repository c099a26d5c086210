"""Faults on AWS calls meet the real SDK: it must be recognised which call a request is, and which try of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.injector import Port
from chaos.storm import CALLS
from harness.aws.clients import open_clients
from harness.core.subject import SUBJECTS
from tests.aws.loopback import Backend, serving
from tests.chaos.scripted import Rig, ScriptedFault, ScriptedInjector, subject

PARAMETERS = {
    "dynamodb:TransactWriteItems": {"TransactItems": []},
    "events:PutEvents": {"Entries": []},
    "sqs:DeleteMessageBatch": {"QueueUrl": "http://127.0.0.1/queue", "Entries": []},
    "stepfunctions:SendTaskFailure": {"taskToken": "t"},
    "stepfunctions:SendTaskSuccess": {"taskToken": "t", "output": "{}"},
}


@pytest.mark.parametrize("call", CALLS)
async def test_call_that_a_storm_may_name_is_recognised_on_its_way(call: str, tmp_path: Path) -> None:
    service, _, operation = call.partition(":")
    injector = ScriptedInjector(Port.TRANSPORT)
    backend = Backend({})
    with Rig(tmp_path, ScriptedFault(injector, call=call)) as rig:
        async with (
            serving(backend) as urls,
            open_clients(urls, "us-east-1", emulator=True, wrap_transport=rig.engine.wrap_transport) as clients,
        ):
            methods = {api: name for name, api in clients[service].meta.method_to_api_mapping.items()}
            SUBJECTS.set((subject(),))
            await getattr(clients[service], methods[operation])(**PARAMETERS[call])
    assert len(backend.headers) == 1
    assert [(row.detail, row.attempt) for row in rig.struck()] == [(call, "0.1.1")]
