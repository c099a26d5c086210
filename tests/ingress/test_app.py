"""The front door: who is let in, what is started, and how a caller hears of the end."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import jwt
import pytest

from harness.aws.pending import PendingSagas
from harness.core.errors import Indefinite
from harness.core.identity import issue
from harness.core.saga import Outcome
from harness.ingress.sagas import Sagas
from tests.fake_gateway import FakeGateway, Parameters, aws_error
from tests.ingress.front_door import ORDER, FakeConnection, counting_registry, front_door
from tests.samples import AUDIENCE, KEY, as_json

LINE = ORDER["lines"][0]
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_order_is_accepted_and_its_location_named() -> None:
    async with front_door() as door:
        response = await door.post()
        saga_id = (await response.json())["saga_id"]
        assert (response.status, response.headers["Location"]) == (202, f"/sagas/{saga_id}")
        [envelope] = door.connection.started
    assert (envelope.saga, envelope.saga_id) == ("create-order", saga_id)
    assert as_json(envelope.request) == ORDER
    assert jwt.decode(envelope.identity, KEY, ["HS256"], audience=AUDIENCE)["sub"] == "ann"


async def test_every_request_without_a_key_is_a_saga_of_its_own() -> None:
    async with front_door() as door:
        ids = {(await (await door.post()).json())["saga_id"] for _ in range(3)}
        assert {envelope.saga_id for envelope in door.connection.started} == ids
        assert len(ids) == 3


@pytest.mark.parametrize(
    ("order", "field"),
    [
        pytest.param(b"{", "$", id="no JSON"),
        pytest.param(b"\xff\xfe", "$", id="no text"),
        pytest.param([], "$", id="no object"),
        pytest.param({}, "$", id="nothing in it"),
        pytest.param(ORDER | {"customer": 7}, "$.customer", id="a field of another type"),
        pytest.param(ORDER | {"coupon": "x"}, "$", id="an unknown field"),
        pytest.param(ORDER | {"lines": []}, "$.lines", id="too few lines"),
        pytest.param(ORDER | {"lines": [LINE | {"quantity": 0}]}, "$.lines[0].quantity", id="a nested value"),
        pytest.param(ORDER | {"lines": [LINE, LINE]}, "$", id="a SKU that comes twice"),
    ],
)
async def test_malformed_order_is_refused_with_the_field_that_is_to_blame(order: Any, field: str) -> None:
    async with front_door() as door:
        response = await door.post(order)
        answer = await response.json()
        assert (response.status, answer["field"]) == (400, field)
        assert answer["error"]
        assert door.connection.asked == 0
        assert door.sagas.under_way == 0


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Sagastorm-Arrival", "first"),
        ("X-Sagastorm-Arrival", "-1"),
        ("X-Sagastorm-Arrival", "nan"),
        ("X-Sagastorm-Scheduled-S", "soon"),
        ("Idempotency-Key", ""),
        ("Idempotency-Key", "k" * 256),
    ],
)
async def test_malformed_header_is_refused_by_its_name(header: str, value: str) -> None:
    async with front_door() as door:
        response = await door.post(**{header: value})
        assert (response.status, (await response.json())["field"]) == (400, header)
        assert door.connection.asked == 0


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="without a token"),
        pytest.param(f"Basic {issue(KEY, 'ann', AUDIENCE)}", id="of another scheme"),
        pytest.param(f"Bearer {issue(KEY + '!', 'ann', AUDIENCE)}", id="signed by somebody else"),
        pytest.param(f"Bearer {issue(KEY, 'ann', AUDIENCE, lifetime_s=-1)}", id="expired"),
        pytest.param(f"Bearer {issue(KEY, 'ann', 'another-block')}", id="for another block"),
    ],
)
async def test_caller_without_a_valid_token_starts_nothing(authorization: str | None) -> None:
    async with front_door() as door:
        headers = {} if authorization is None else {"Authorization": authorization}
        response = await door.client.post("/sagas/create-order", json=ORDER, headers=headers)
        assert (response.status, (await response.json())["field"]) == (401, "Authorization")
        assert door.connection.asked == 0
        assert door.sagas.under_way == 0


async def test_order_in_somebody_elses_name_is_forbidden_and_starts_nothing() -> None:
    async with front_door() as door:
        response = await door.post(token=issue(KEY, "mallory", AUDIENCE))
        assert response.status == 403
        assert door.connection.asked == 0


async def test_saga_that_is_not_served_here_is_not_found() -> None:
    async with front_door() as door:
        response = await door.post(saga="book-trip")
        assert (response.status, (await response.json())["field"]) == (404, "saga")
        assert (await door.client.get("/sagas/no-such-id")).status == 404


async def test_body_that_is_too_large_is_refused() -> None:
    async with front_door() as door:
        response = await door.post(b'{"customer":"' + b"x" * 70_000 + b'"}')
        assert response.status == 413
        assert door.connection.asked == 0


async def test_same_key_twice_starts_one_saga_and_gets_the_same_answer() -> None:
    async with front_door() as door:
        first, second = [await door.post(idempotency_key="k-1") for _ in range(2)]
        assert (first.status, second.status) == (202, 202)
        assert first.headers["Location"] == second.headers["Location"]
        assert len(door.connection.started) == 1


async def test_same_key_at_the_same_time_starts_one_saga() -> None:
    async with front_door() as door:
        door.connection.gate.clear()
        posts = [asyncio.create_task(door.post(idempotency_key="k-1")) for _ in range(3)]
        while not door.connection.asked:
            await asyncio.sleep(0)
        door.connection.gate.set()
        responses = await asyncio.gather(*posts)
        assert {response.headers["Location"] for response in responses} == {responses[0].headers["Location"]}
        assert door.connection.asked == 1


async def test_same_key_after_a_start_that_failed_starts_the_saga() -> None:
    async with front_door(FakeConnection(Indefinite("no answer"))) as door:
        first, second = [await door.post(idempotency_key="k-1") for _ in range(2)]
        assert (first.status, second.status) == (503, 202)
        assert len(door.connection.started) == 1
        assert door.sagas.under_way == 1


async def test_same_key_with_another_order_is_refused() -> None:
    async with front_door() as door:
        await door.post(idempotency_key="k-1")
        response = await door.post(ORDER | {"lines": [LINE | {"quantity": 3}]}, idempotency_key="k-1")
        assert (response.status, (await response.json())["field"]) == (422, "Idempotency-Key")
        assert len(door.connection.started) == 1


async def test_same_key_of_two_callers_names_two_sagas() -> None:
    async with front_door() as door:
        await door.post(idempotency_key="k-1")
        bobs = ORDER | {"customer": "bob"}
        response = await door.post(bobs, token=issue(KEY, "bob", AUDIENCE), idempotency_key="k-1")
        assert response.status == 202
        assert len({envelope.saga_id for envelope in door.connection.started}) == 2


@pytest.mark.parametrize("error", [Indefinite("no answer"), aws_error("Throttled")], ids=["unknown", "refused"])
async def test_saga_that_is_not_known_to_have_started_is_answered_with_try_again(error: Exception) -> None:
    async with front_door(FakeConnection(error)) as door:
        response = await door.post()
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_start_that_failed_takes_no_place_where_nothing_could_lead_back_to_it() -> None:
    async with front_door(FakeConnection(Indefinite("no answer"))) as door:
        await door.post()
        assert door.sagas.under_way == 0


async def test_saga_that_ended_although_its_start_was_unknown_is_not_started_again() -> None:
    async with front_door() as door:
        known = (await (await door.post(idempotency_key="k-1")).json())["saga_id"]
    connection = FakeConnection(Indefinite("no answer"))
    async with front_door(connection) as door:
        await door.post(idempotency_key="k-1")
        door.sagas.end(known, Outcome.COMPLETED, None)
        assert (await door.post(idempotency_key="k-1")).status == 202
        assert connection.asked == 1


async def test_saga_is_registered_before_it_is_started() -> None:
    connection = FakeConnection()

    def put(parameters: Parameters) -> dict[str, Any]:
        assert connection.started == []
        return {}

    gateway = FakeGateway(PutItem=put)
    async with front_door(connection, pending=PendingSagas(gateway, "ns")) as door:
        saga_id = (await (await door.post()).json())["saga_id"]
    [call] = gateway.asked("PutItem")
    assert (call["TableName"], call["Item"]["id"]) == ("ns-ingress-pending", {"S": saga_id})
    assert [envelope.saga_id for envelope in connection.started] == [saga_id]


async def test_saga_that_cannot_be_registered_is_not_started() -> None:
    gateway = FakeGateway(PutItem=[Indefinite("no answer"), {}])
    async with front_door(pending=PendingSagas(gateway, "ns")) as door:
        first = await door.post(idempotency_key="k-1")
        assert (first.status, door.connection.asked) == (503, 0)
        assert (await door.post(idempotency_key="k-1")).status == 202
        assert door.connection.asked == 1


async def test_saga_that_is_registered_already_is_started_all_the_same() -> None:
    gateway = FakeGateway(PutItem=aws_error("ConditionalCheckFailedException"))
    async with front_door(pending=PendingSagas(gateway, "ns")) as door:
        assert (await door.post()).status == 202
        assert door.connection.asked == 1


async def test_request_that_is_refused_leaves_nothing_for_the_sweeper() -> None:
    gateway = FakeGateway()
    async with front_door(sagas=Sagas(max_under_way=0), pending=PendingSagas(gateway, "ns")) as door:
        assert (await door.post(ORDER | {"lines": []})).status == 400
        assert (await door.post(ORDER | {"customer": "bob"})).status == 403
        assert (await door.post()).status == 503
    assert gateway.calls == []


async def test_full_house_turns_new_sagas_away_until_one_has_ended() -> None:
    async with front_door(sagas=Sagas(max_under_way=1)) as door:
        saga_id = (await (await door.post()).json())["saga_id"]
        refused = await door.post()
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert len(door.connection.started) == 1
        door.sagas.end(saga_id, Outcome.COMPLETED, None)
        assert (await door.post()).status == 202


async def test_long_poll_is_answered_when_the_saga_ends() -> None:
    async with front_door() as door:
        saga_id = (await (await door.post()).json())["saga_id"]
        polling = asyncio.create_task(door.status(saga_id, wait="30"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not polling.done()
        door.sagas.end(saga_id, Outcome.COMPENSATED, "out-of-stock")
        async with asyncio.timeout(5):
            assert await polling == {"saga_id": saga_id, "status": "compensated", "reason": "out-of-stock"}
        assert (await door.status(saga_id, wait="30"))["status"] == "compensated"


@pytest.mark.parametrize("wait", ["0", "0.01"])
async def test_long_poll_that_runs_out_says_that_the_saga_is_pending(wait: str) -> None:
    async with front_door() as door:
        saga_id = (await (await door.post()).json())["saga_id"]
        assert await door.status(saga_id, wait) == {"saga_id": saga_id, "status": "pending", "reason": None}


@pytest.mark.parametrize("wait", ["-1", "31", "long", "nan"])
async def test_wait_that_is_no_reasonable_time_is_refused(wait: str) -> None:
    async with front_door() as door:
        saga_id = (await (await door.post()).json())["saga_id"]
        response = await door.client.get(f"/sagas/{saga_id}", params={"wait": wait})
        assert (response.status, (await response.json())["field"]) == (400, "wait")


async def test_trace_of_the_caller_is_continued_in_a_new_span() -> None:
    async with front_door() as door:
        await door.post(traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
        made = door.connection.started[0].traceparent
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", made)
    assert "b7ad6b7169203331" not in made


@pytest.mark.parametrize(
    "given", [None, "nonsense", f"00-{TRACE.upper()}-b7ad6b7169203331-01", f"00-{'0' * 32}-b7ad6b7169203331-01"]
)
async def test_caller_without_a_trace_gets_a_new_one(given: str | None) -> None:
    async with front_door() as door:
        for _ in range(2):
            await door.post(**({"traceparent": given} if given else {}))
        made = [envelope.traceparent for envelope in door.connection.started]
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", one) for one in made)
    assert made[0].split("-")[1] != made[1].split("-")[1]


async def test_place_in_the_schedule_travels_in_the_envelope_and_minus_one_stands_for_none() -> None:
    async with front_door() as door:
        await door.post(**{"X-Sagastorm-Arrival": "12", "X-Sagastorm-Scheduled-S": "3.25"})
        await door.post()
        scheduled, unscheduled = door.connection.started
    assert (scheduled.arrival, scheduled.scheduled_s) == (12, 3.25)
    assert unscheduled.arrival == -1


async def test_health_says_how_many_sagas_are_under_way() -> None:
    async with front_door() as door:
        await door.post()
        response = await door.client.get("/healthz")
        assert (response.status, await response.json()) == (200, {"status": "ok", "sagas_under_way": 1})


async def test_metrics_are_shown_as_prometheus_reads_them() -> None:
    async with front_door(registry=counting_registry()) as door:
        response = await door.client.get("/metrics")
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "sagastorm_sample_total 3.0" in await response.text()
