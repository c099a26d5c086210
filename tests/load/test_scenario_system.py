"""The scenario that brings its system up itself, where it has no plan."""

from __future__ import annotations

import json
import signal

import pytest

from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_USAGE
from harness.load.arrivals import arrivals
from harness.load.plan import EPOCH_FILE, write_epoch
from tests.load.bench import Bench, is_alive, processes, statuses
from tests.load.fake_system import FAKE_UP, TWO_BLOCKS, own_scenario, said, sent

pytestmark = pytest.mark.end_to_end


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
