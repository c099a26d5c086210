"""Where plans come from, which are refused, and the scenario that brings its system up itself."""

from __future__ import annotations

import json
import signal
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_USAGE
from harness.history.records import SagaRow
from harness.history.spool import SpoolReader
from harness.load.arrivals import arrivals
from harness.load.plan import EPOCH_FILE, LoadPlan, read_plan, write_epoch, write_plan
from tests.load.bench import LIMIT_S, SCENARIOS, Bench, Generator, free_port, is_alive, processes, statuses

pytestmark = pytest.mark.end_to_end

CHECKED = """
import sys
if sys.argv[-1] == "--check":
    refused = "drizzle" in sys.argv
    sys.stderr.write("sagastorm: 2 problems with the input\\n  storm: no drizzle\\n  --rate: no such\\n" if refused else "")
    sys.exit(2 if refused else 0)
"""

FAKE_UP = """
import json, os, sys
folder = os.environ["FAKE_UP_FOLDER"]
with open(folder + "/asked.json", "w") as asked:
    json.dump({"arguments": sys.argv[1:], "key": os.environ["SAGASTORM_JWT_KEY"]}, asked)
plan = folder + "/plan-of-up.json"
print(json.dumps({"plan": plan, "run": folder}), flush=True)
sys.stdin.read()
print("the verdict of the fake", flush=True)
sys.exit(int(os.environ["FAKE_UP_CODE"]))
"""

TWO_BLOCKS = """
import json, os, sys
folder = os.environ["FAKE_UP_FOLDER"]
with open(folder + "/plan-of-up.json") as given:
    values = json.load(given)
for block, topology in enumerate(["orchestrated", "choreographed"]):
    own = f"{folder}/{topology}"
    os.mkdir(own)
    values.update(spool_dir=own + "/spool", topology=topology)
    with open(own + "/plan.json", "w") as made:
        json.dump(values, made)
    announced = {"plan": own + "/plan.json", "run": folder, "block": block, "of": 2, "topology": topology}
    print(json.dumps(announced), flush=True)
    said = sys.stdin.readline()
    with open(own + "/said", "w") as file:
        file.write(said or "the end")
    if not said:
        break
print("the verdict of the fake", flush=True)
sys.stdin.read()
"""

EACH_ITS_OWN_PLAN = """
with open(plan) as given:
    values = json.load(given)
own = folder + "/" + str(os.getpid())
os.mkdir(own)
values["spool_dir"], values["round"] = own + "/spool", os.getpid()
plan = own + "/plan.json"
with open(plan, "w") as made:
    json.dump(values, made)
"""

OWN_SCENARIO = """
import os, sys
from scenarios.open_arrivals import OpenArrivals

class Own(OpenArrivals):
    saga = "create-order"

    @classmethod
    def up(cls, saga, options):
        return [sys.executable, os.environ["FAKE_UP_FOLDER"] + "/up.py", *super().up(saga, options)[3:]]
"""


def own_scenario(bench: Bench, plan: LoadPlan | None = None, up: str = FAKE_UP) -> Path:
    """A scenario of somebody's own, whose system is a script that plays ``sagastorm up``."""
    if plan is not None:
        write_plan(bench.folder / "plan-of-up.json", plan)
    (bench.folder / "up.py").write_text(CHECKED + up)
    scenario = bench.folder / "own_scenario.py"
    scenario.write_text(OWN_SCENARIO)
    return scenario


def start(url: str) -> dict[str, Any]:
    """What the start form of the web UI is told when it asks for a test."""
    answer: dict[str, Any] = json.loads(get(f"{url}/swarm", b"topology=orchestrated&seed=9"))
    return answer


def state(url: str) -> str:
    """Of the test, as the web UI shows it."""
    return str(json.loads(get(f"{url}/stats/requests"))["state"])


def web_ui(bench: Bench, scenario: Path, *arguments: str, **environment: str) -> tuple[Generator, str]:
    """Locust with its web UI, and where that is."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    generator = bench.generator(
        None,
        *("--web-port", str(port), *arguments),
        scenario=scenario,
        FAKE_UP_FOLDER=str(bench.folder),
        FAKE_UP_CODE="0",
        **environment,
    )

    def serves() -> bool:
        with suppress(OSError):
            return bool(get(url))
        return False

    bench.wait_for(serves, "the web UI")
    return generator, url


def workers(url: str) -> list[Any]:
    """Of a master, as the web UI shows them; none where Locust is one process."""
    known: list[Any] = json.loads(get(f"{url}/stats/requests")).get("workers", [])
    return known


def get(url: str | urllib.request.Request, form: bytes | None = None) -> str:
    """The body of a page."""
    with urllib.request.urlopen(url, data=form, timeout=LIMIT_S) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.parametrize("number", [1, 2])
def test_a_plan_of_another_saga_is_refused(bench: Bench, number: int) -> None:
    generator = bench.generator(bench.plan(saga="other-order"), *processes(number))
    assert generator.exit_code() == EXIT_USAGE
    assert "any_saga.py" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_of_a_saga_that_nobody_has_is_refused(bench: Bench) -> None:
    generator = bench.generator(bench.plan(saga="no-such"), scenario=SCENARIOS / "any_saga.py")
    assert generator.exit_code() == EXIT_USAGE
    assert "create-order" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_without_its_key_is_refused(bench: Bench) -> None:
    generator = bench.generator(bench.plan(), SAGASTORM_JWT_KEY="")
    assert generator.exit_code() == EXIT_USAGE
    assert "SAGASTORM_JWT_KEY" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_that_cannot_be_read_is_refused(bench: Bench) -> None:
    generator = bench.generator(None, "--headless", "--sagastorm-plan", "nowhere.json")
    assert generator.exit_code() == EXIT_USAGE
    assert "nowhere.json" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_whose_load_is_over_is_refused(bench: Bench) -> None:
    generator = bench.generator(bench.plan(epoch_ns=1))
    assert generator.exit_code() == EXIT_USAGE
    assert "is not over already" in generator.output
    assert "Traceback" not in generator.output


def test_a_host_without_a_plan_is_refused_and_told_what_a_plan_is_for(bench: Bench) -> None:
    generator = bench.generator(None, "--headless", "--host", "http://127.0.0.1:1")
    assert generator.exit_code() == EXIT_USAGE
    assert "--sagastorm-plan FILE" in generator.output
    assert "Traceback" not in generator.output


@pytest.mark.parametrize(("number", "code"), [(1, 1), (2, 3)])
def test_without_a_plan_the_scenario_brings_the_system_up_and_exits_with_its_verdict(
    bench: Bench, number: int, code: int
) -> None:
    bench.ingress()
    generator = bench.generator(
        None,
        "--headless",
        *processes(number),
        *("--topology", "orchestrated", "--rate", "40", "--seed", "9"),
        scenario=own_scenario(bench, bench.plan()),
        FAKE_UP_FOLDER=str(bench.folder),
        FAKE_UP_CODE=str(code),
        SAGASTORM_JWT_KEY=bench.environment["SAGASTORM_JWT_KEY"],
    )

    assert generator.exit_code() == code, generator.output

    asked = json.loads((bench.folder / "asked.json").read_text())
    assert asked["key"] == bench.environment["SAGASTORM_JWT_KEY"]
    options = dict(zip(asked["arguments"][1::2], asked["arguments"][2::2], strict=True))
    assert asked["arguments"][0] == "up"
    assert options["--saga"] == "create-order"
    assert (options["--topology"], float(options["--rate"]), options["--seed"]) == ("orchestrated", 40.0, "9")
    assert "--duration" not in options, "nobody chose one, and the backend may know better"
    assert json.loads((bench.folder / "spool" / EPOCH_FILE).read_text())["epoch_ns"] > 0
    assert "the verdict of the fake" in generator.output
    assert set(statuses(bench.rows())) == {"completed", "compensated"}
    assert len(bench.rows()) == len(arrivals(bench.plan()))


def test_a_system_that_does_not_come_up_ends_the_test_with_its_exit_code(bench: Bench) -> None:
    scenario = own_scenario(bench, up="import sys; sys.exit(2)")
    generator = bench.generator(None, "--headless", scenario=scenario, FAKE_UP_FOLDER=str(bench.folder))
    assert generator.exit_code() == 2, generator.output
    assert "did not start" in generator.output
    assert "Traceback" not in generator.output


def test_a_signal_before_the_system_is_up_ends_the_test_and_the_system(bench: Bench) -> None:
    up = "import os, sys; open(os.environ['FAKE_UP_FOLDER'] + '/pid', 'w').write(f'{os.getpid()}.'); sys.stdin.read()"
    generator = bench.generator(
        None, "--headless", scenario=own_scenario(bench, up=up), FAKE_UP_FOLDER=str(bench.folder)
    )
    pid_file = bench.folder / "pid"
    bench.wait_for(lambda: pid_file.exists() and pid_file.read_text().endswith("."), "the start of the system")

    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == EXIT_INTERRUPTED, generator.output
    assert not is_alive(int(pid_file.read_text()[:-1]))


def test_a_system_that_dies_during_the_load_ends_the_load(bench: Bench) -> None:
    bench.ingress()
    until_the_load_starts = 'import time\nwhile not os.path.exists(folder + "/spool/epoch.json"): time.sleep(0.05)'
    scenario = own_scenario(
        bench, bench.plan(duration_s=60.0), up=FAKE_UP.replace("sys.stdin.read()", until_the_load_starts)
    )
    generator = bench.generator(
        None, "--headless", scenario=scenario, FAKE_UP_FOLDER=str(bench.folder), FAKE_UP_CODE="4"
    )
    assert generator.exit_code() == EXIT_ENVIRONMENT, generator.output
    assert "ended during the load" in generator.output


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


def test_a_plan_that_has_had_its_load_is_refused(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    first = bench.generator(plan)
    assert first.exit_code() == 0, first.output

    second = bench.generator(plan)

    assert second.exit_code() == EXIT_USAGE, second.output
    assert "a plan serves one load" in second.output
    assert "Traceback" not in second.output
    assert bench.seen().posts == len(arrivals(plan))


def test_a_system_that_gives_out_a_plan_again_is_ended_without_a_load(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan()
    write_epoch(plan, 1)
    generator = bench.generator(
        None,
        "--headless",
        scenario=own_scenario(bench, plan),
        FAKE_UP_FOLDER=str(bench.folder),
        FAKE_UP_CODE="0",
    )
    assert generator.exit_code() == EXIT_USAGE, generator.output
    assert "a plan serves one load" in generator.output
    assert "the verdict of the fake" in generator.output
    assert bench.seen().posts == 0


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


def sent(bench: Bench) -> dict[str, int]:
    """How many arrivals of which topology came to a known end; of blocks that were announced."""
    rows = {folder.parent.name: SpoolReader(folder).read() for folder in bench.folder.glob("*/spool")}
    return {name: sum(isinstance(row, SagaRow) and row.outcome is not None for row in of) for name, of in rows.items()}


def said(bench: Bench) -> dict[str, str]:
    """What the system was told of each block."""
    return {path.parent.name: path.read_text() for path in bench.folder.glob("*/said")}


@pytest.mark.parametrize("number", [1, 2])
def test_blocks_are_loaded_one_after_the_other_and_each_is_told_to_be_over_when_it_has_drained(
    bench: Bench, number: int
) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    generator = bench.generator(
        None,
        "--headless",
        *processes(number),
        scenario=own_scenario(bench, plan, TWO_BLOCKS),
        FAKE_UP_FOLDER=str(bench.folder),
    )

    assert generator.exit_code() == 0, generator.output

    assert said(bench) == {"orchestrated": "over\n", "choreographed": "the end"}
    assert sent(bench) == dict.fromkeys(("orchestrated", "choreographed"), len(arrivals(plan)))
    assert "the verdict of the fake" in generator.output


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
