"""Tests that are started and stopped in Locust's web UI, and what its form refuses."""

from __future__ import annotations

import json
import signal
import urllib.request

import pytest

from harness.load.arrivals import arrivals
from harness.load.plan import read_plan, write_plan
from tests.load.bench import SCENARIOS, Bench, processes, statuses
from tests.load.fake_system import EACH_ITS_OWN_PLAN, FAKE_UP, TWO_BLOCKS, own_scenario, said, sent
from tests.load.locust_web_ui import get, start, state, web_ui, workers

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("number", [1, 2])
def test_tests_are_started_from_the_web_ui_one_after_the_other(bench: Bench, number: int) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    up = FAKE_UP.replace("print(json", f"{EACH_ITS_OWN_PLAN}print(json")
    generator, url = web_ui(bench, own_scenario(bench, plan, up), *processes(number))
    assert f"Starting web interface at {url}" in generator.output  # so it is on the loopback interface only

    for started in (1, 2):
        bench.wait_for(lambda: state(url) in ("ready", "stopped"), "readiness")
        assert start(url)["success"]
        bench.wait_for(
            lambda count=started: generator.output.count("the verdict of the fake") == count,  # type: ignore[misc]
            f"the end of test {started}",
        )
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    asked = json.loads((bench.folder / "asked.json").read_text())["arguments"]
    assert asked[asked.index("--seed") + 1] == "9"
    rounds = [read_plan(path) for path in bench.folder.glob("*/plan.json")]
    assert len(rounds) == 2
    assert len(bench.seen().keys) == bench.seen().posts == sum(len(arrivals(made)) for made in rounds)


@pytest.mark.parametrize("number", [1, 2])
def test_a_second_test_on_one_plan_is_refused_in_the_form_and_sends_nothing(bench: Bench, number: int) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    path = bench.folder / "plan.json"
    write_plan(path, plan)
    generator, url = web_ui(bench, SCENARIOS / "create_order.py", *processes(number), "--sagastorm-plan", str(path))
    bench.wait_for(lambda: len(workers(url)) == (number if number > 1 else 0), "the workers")
    assert start(url)["success"]
    bench.wait_for(lambda: state(url) == "stopped", "the end of the first test")
    rows = bench.rows()

    refusal = start(url)
    generator.process.send_signal(signal.SIGINT)

    assert (refusal["success"], "a plan serves one load" in refusal["message"]) == (False, True)
    assert generator.exit_code() == 0, generator.output
    assert bench.rows() == rows
    assert bench.seen().posts == len(arrivals(plan)) == len(rows)


@pytest.mark.parametrize("number", [1, 2])
def test_stop_in_the_web_ui_ends_the_arrivals_and_keeps_what_was_under_way(bench: Bench, number: int) -> None:
    bench.ingress(latency_s=0.8)
    plan = bench.plan(duration_s=60.0)
    generator, url = web_ui(bench, own_scenario(bench, plan), *processes(number))
    # With an open load there is no number of users to ask for.
    assert '"hide_common_options": true' in get(url)

    assert json.loads(get(f"{url}/swarm", b"topology=orchestrated"))["success"]
    bench.wait_for(lambda: len(bench.rows()) >= 20, "20 arrivals")
    get(f"{url}/stop", b"")
    rows = bench.rows()
    bench.wait_for(lambda: "the verdict of the fake" in generator.output, "the end of the test")
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    assert sorted(rows) == sorted(bench.seen().arrivals)
    assert set(statuses(rows)) == {"completed", "compensated"}


def test_a_stop_in_the_first_block_leaves_the_second_unbegun(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(duration_s=60.0)
    generator, url = web_ui(bench, own_scenario(bench, plan, TWO_BLOCKS))
    assert start(url)["success"]
    bench.wait_for(lambda: sent(bench).get("orchestrated", 0) >= 5, "5 sagas")

    get(f"{url}/stop", b"")
    bench.wait_for(lambda: "the verdict of the fake" in generator.output, "the end of the test")
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    assert said(bench) == {"orchestrated": "the end"}
    assert list(sent(bench)) == ["orchestrated"]


def test_what_cannot_be_is_refused_in_the_form_with_all_that_is_wrong_and_starts_nothing(bench: Bench) -> None:
    generator, url = web_ui(bench, own_scenario(bench))

    refusal = json.loads(get(f"{url}/swarm", b"topology=both&storm=drizzle"))
    elsewhere = urllib.request.Request(f"{url}/swarm", b"topology=both", {"Sec-Fetch-Site": "cross-site"})
    foreign = json.loads(get(elsewhere))
    generator.process.send_signal(signal.SIGINT)

    assert (refusal["success"], refusal["message"]) == (False, "storm: no drizzle; --rate: no such")
    assert (foreign["success"], "another site's page" in foreign["message"]) == (False, True)
    assert generator.exit_code() == 0, generator.output
    assert not (bench.folder / "asked.json").exists()


def test_a_second_start_while_a_test_is_under_way_is_refused_in_the_form(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(duration_s=60.0)
    generator, url = web_ui(bench, own_scenario(bench, plan))
    assert start(url)["success"]
    bench.wait_for(lambda: len(bench.rows()) >= 3, "3 arrivals")

    refusal = start(url)
    generator.process.send_signal(signal.SIGINT)

    assert (refusal["success"], "under way" in refusal["message"]) == (False, True)
    assert generator.exit_code() == 0, generator.output


def test_fields_that_were_emptied_are_nobodys_choice_whatever_the_environment_says(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    up = FAKE_UP.replace('"key":', '"rate": os.environ.get("SAGASTORM_RATE"), "key":')
    generator, url = web_ui(bench, own_scenario(bench, plan, up), SAGASTORM_RATE="33", SAGASTORM_STORM="crashes")
    form = get(url)

    assert json.loads(get(f"{url}/swarm", b"topology=both&rate=&storm=calm&mitigations=backoff%3Dnone"))["success"]
    bench.wait_for(lambda: "the verdict of the fake" in generator.output, "the end of the test")
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    asked = json.loads((bench.folder / "asked.json").read_text())
    options = dict(zip(asked["arguments"][1::2], asked["arguments"][2::2], strict=True))
    assert '"default_value": "33"' in form and '"default_value": "crashes"' in form
    assert (options["--topology"], options["--storm"], options["--mitigations"]) == ("both", "calm", "backoff=none")
    assert ("--rate" in options, asked["rate"]) == (False, None)


def test_a_stop_while_the_next_block_is_awaited_ends_the_test_at_once(bench: Bench) -> None:
    bench.ingress()
    # This one keeps its starter waiting for the second block, and would for ever.
    up = TWO_BLOCKS.replace("    if not said:\n", "    sys.stdin.read()\n    if True:\n")
    generator, url = web_ui(bench, own_scenario(bench, bench.plan(rate_per_s=20.0, duration_s=1.0), up))
    assert start(url)["success"]
    bench.wait_for(lambda: said(bench) == {"orchestrated": "over\n"}, "the end of the first block")

    get(f"{url}/stop", b"")
    bench.wait_for(lambda: "the verdict of the fake" in generator.output, "the end of the test")
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    assert list(sent(bench)) == ["orchestrated"]
