"""A system that is a script: it plays ``sagastorm up`` for a scenario of somebody's own, and notes what it is told."""

from __future__ import annotations

from pathlib import Path

from harness.history.records import SagaRow
from harness.history.spool import SpoolReader
from harness.load.plan import LoadPlan, write_plan
from tests.load.bench import Bench

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


def sent(bench: Bench) -> dict[str, int]:
    """How many arrivals of which topology came to a known end; of blocks that were announced."""
    rows = {folder.parent.name: SpoolReader(folder).read() for folder in bench.folder.glob("*/spool")}
    return {name: sum(isinstance(row, SagaRow) and row.outcome is not None for row in of) for name, of in rows.items()}


def said(bench: Bench) -> dict[str, str]:
    """What the system was told of each block."""
    return {path.parent.name: path.read_text() for path in bench.folder.glob("*/said")}
