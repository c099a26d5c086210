"""Gates as people write them, and everything that is wrong with them at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.core.mitigations import Mitigations
from harness.gate import invariants
from harness.gate.cases import cases_of
from harness.gate.metrics import METRICS
from harness.gate.model import Gates, Quantity, Tier, Window
from harness.gate.reach import judged, refuse_idle
from harness.gate.read import find_gates, read_gates
from harness.settings import RunSettings
from tests.gate.job import gate_of

STORMY = {"name": "default", "faults": [{"name": "request-lost"}]}
CASES = cases_of(RunSettings(), STORMY)


def refused(toml: str) -> str:
    """What is said of a gates.toml."""
    with pytest.raises(UsageError) as error:
        read_gates(tomllib.loads(toml))
    return str(error.value)


def idle(gates: Gates, *, has_base: bool = False) -> str:
    """What is said of gates that the cases of a default run give nothing to judge."""
    with pytest.raises(UsageError) as error:
        refuse_idle(gates, CASES, has_base=has_base)
    return str(error.value)


@pytest.mark.parametrize(
    ("expression", "operator", "limit", "unit"),
    [
        ("completion_ms.p99 < 800 ms", "<", 800, "ms"),
        ("completion_ms.p99<800ms", "<", 800, "ms"),
        ("completion_ms.p99 <= 0.8 s", "<=", 800, "ms"),
        ("recovery_s < 1 min", "<", 60, "s"),
        ("compensation_rate < 12 %", "<", 0.12, "%"),
        ("goodput_in_storm_per_s > 20/s", ">", 20, "/s"),
        ("retry_amplification.total < 1.5", "<", 1.5, "x"),
        ("dead_letters == 0", "==", 0, ""),
        ("anomalies.effect-twice == 0", "==", 0, ""),
        ("faults.request-lost >= 10", ">=", 10, ""),
    ],
)
def test_a_limit_is_read_in_the_unit_of_its_metric(expression: str, operator: str, limit: float, unit: str) -> None:
    gate = gate_of(expression)
    assert (gate.operator, gate.limit, gate.unit, gate.tier) == (operator, pytest.approx(limit), unit, Tier.ABSOLUTE)


@pytest.mark.parametrize(
    ("fields", "quantity", "operator", "limit"),
    [
        ({"metric": "completion_ms.p50", "limit": "ratio < 1.10"}, Quantity.RATIO, "<", 1.1),
        ({"metric": "completion_ms.p50", "tolerance": "10%"}, Quantity.RATIO, "<=", 1.1),
        ({"metric": "throughput_per_s", "tolerance": "10%"}, Quantity.RATIO, ">=", 0.9),
        ({"metric": "compensation_rate", "tolerance": "2 pp"}, Quantity.DIFFERENCE, "<=", 0.02),
        ({"metric": "completion_ms.p50", "limit": "difference < 50 ms"}, Quantity.DIFFERENCE, "<", 50),
    ],
)
def test_what_is_against_something_is_relative(
    fields: dict[str, str], quantity: Quantity, operator: str, limit: float
) -> None:
    gate = read_gates({"gate": [fields | {"against": "base"}]}).gates[-1]
    assert (gate.tier, gate.quantity, gate.operator) == (Tier.RELATIVE, quantity, operator)
    assert gate.limit == pytest.approx(limit)


def test_filters_and_a_window_are_part_of_a_gate_and_of_its_name() -> None:
    fields = {"topology": "orchestrated", "saga": "create-order", "storm": "default", "window": "during"}
    gate = gate_of("completion_ms.p99 < 800 ms", **fields)
    assert (gate.topology, gate.saga, gate.storm, gate.window) == (
        "orchestrated",
        "create-order",
        "default",
        Window.DURING,
    )
    assert gate.name == "completion_ms.p99, orchestrated, create-order, default, during the storm < 800 ms"
    assert gate.min_samples == 100


def test_all_problems_of_a_file_are_told_at_once() -> None:
    said = refused("""
        colour = "red"
        [invariants]
        except = ["nothing-in-flight", "no-such"]
        [[gate]]
        name = "typo"
        metric = "completion_ms.p98"
        topology = "orch"
        limit = "< 800 ms"
        [[gate]]
        metric = "completion_ms.p99"
        limit = "< 800"
        [[gate]]
        metric = "dead_letters"
        limit = "below 5"
    """)
    for expected in (
        "colour: 'red' is not valid",
        "invariants.except: 'no-such' is not valid; one of: every-saga-ended",
        "gate 1 (typo): metric: 'completion_ms.p98' is not valid; did you mean completion_ms.p99?",
        "gate 1 (typo): topology: 'orch' is not valid; one of: choreographed, orchestrated",
        "gate 2: limit: '< 800' is not valid; completion_ms.p99 is in ms or s or min; such as < 800 ms",
        "gate 3: limit: 'below 5' is not valid",
    ):
        assert expected in said
    assert len(said.splitlines()) == 6


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ('metric = "completion_ms"\nlimit = "< 1 s"', "one of: completion_ms.p50, completion_ms.p95, completion_ms.p99"),
        ('metric = "compensation_rate"\nlimit = "< 800 ms"', "compensation_rate is in %"),
        ('metric = "compensation_rate"\nlimit = "ratio < 1.1"\nagainst = "base"', "a ratio of two small shares"),
        ('metric = "compensation_rate"\ntolerance = "10%"\nagainst = "base"', "such as 2 pp"),
        ('metric = "completion_ms.p50"\nlimit = "< 800 ms"\nagainst = "base"', "such as ratio < 1.10"),
        ('metric = "completion_ms.p50"\nlimit = "ratio < 1.1"', "add against"),
        ('metric = "completion_ms.p50"\ntolerance = "10%"', "against something"),
        ('metric = "completion_ms.p50"\nlimit = "ratio < 0"\nagainst = "base"', "such as ratio < 1.10"),
        ('metric = "throughput_per_s"\ntolerance = "100%"\nagainst = "base"', "there cannot be less than none"),
        ('metric = "completion_ms.p50"\nlimit = "> -5 ms"', "not below 0"),
        ('metric = "compensation_rate"\nlimit = "< 500 %"', "from 0 to 100 %"),
        ('metric = "compensation_rate"\nlimit = "difference < 200 pp"\nagainst = "base"', "from -100 to 100 pp"),
        ('metric = "dead_letters"\nlimit = ">= 0"', "not below 0; >= 0 is always, or never, kept"),
        ('metric = "compensation_rate"\nlimit = "<= 100 %"', "from 0 to 100 %; <= 100 is always, or never, kept"),
        ('metric = "completion_ms.p50"', "either a limit"),
        ('metric = "completion_ms.p50"\nlimit = "< 1 s"\ntolerance = "5%"', "either a limit"),
        ('limit = "< 1 s"', "a path of summary.json"),
        ('metric = "completion_ms.p50"\nlimit = "< 1 s"\nmin_samples = 0', "a whole number from 1"),
        ('metric = "completion_ms.p50"\nlimit = "< 1 s"\nwindow = "later"', "one of: before, during, after"),
        ('metric = "recovery_s"\nlimit = "< 1 s"\nwindow = "after"', "not made of single sagas"),
        ('metric = "completion_ms.p50"\ntolerance = "5%"\nagainst = "yesterday"', "base, topology:NAME or mitigations:"),
        ('metric = "completion_ms.p50"\ntolerance = "5%"\nagainst = "topology:none"', "topology: and one of"),
        ('metric = "completion_ms.p50"\ntolerance = "5%"\nagainst = "mitigations:sweeper=on"', "sweeper other than by default: off"),
        ('metric = "anomalies.effect-twice"\ntolerance = "5%"\nagainst = "base"', "a fact and no estimate"),
    ],
)  # fmt: skip
def test_a_gate_that_means_nothing_is_refused_with_what_would(fields: str, valid: str) -> None:
    assert valid in refused(f"[[gate]]\n{fields}")


def test_all_that_is_wrong_with_one_gate_is_told_at_once() -> None:
    fields = 'metric = "completion_ms.p98"\nlimit = "< 5 ms"\nwindow = "later"\nagainst = "yesterday"\nsaga = "none"'
    told = [line.split(": ")[2] for line in refused(f"[[gate]]\n{fields}").splitlines()]
    assert sorted(told) == ["against", "metric", "saga", "window"]


def test_gates_must_have_names_of_their_own() -> None:
    twice = '[[gate]]\nmetric = "dead_letters"\nlimit = "== 0"\n' * 2
    assert "a name of its own for each gate" in refused(twice)


def test_invariants_are_on_unless_they_are_left_out_by_name() -> None:
    every = [gate.name for gate in read_gates({}).gates]
    assert every == [gate.name for gate in invariants.gates()]
    assert {"effect-twice", "every-saga-ended", "every-fault-fired", "nothing-in-flight"} < set(every)
    narrowed = read_gates({"invariants": {"except": ["effect-twice"]}})
    assert [gate.name for gate in narrowed.gates] == [name for name in every if name != "effect-twice"]
    assert narrowed.left_out == ("effect-twice",)


def test_the_instrument_cannot_be_left_out() -> None:
    assert "invariants.except: 'instrument' is not valid" in refused('[invariants]\nexcept = ["instrument"]')


@pytest.mark.parametrize("table", [{"gate": "x"}, {"gate": [1]}, {"invariants": []}, {"invariants": {"except": "x"}}])
def test_a_table_of_the_wrong_form_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_gates(table)


def test_a_project_has_its_gates_in_a_file_of_their_own_or_in_pyproject(tmp_path: Path) -> None:
    gate = '[[{}gate]]\nmetric = "dead_letters"\nlimit = "== 0"\n'
    assert find_gates(tmp_path).gates == read_gates({}).gates
    (tmp_path / "pyproject.toml").write_text(gate.format("tool.sagastorm.gates."))
    assert find_gates(tmp_path).gates[-1].metric == "dead_letters"
    assert read_gates(tmp_path / "pyproject.toml") == find_gates(tmp_path)
    (tmp_path / "gates.toml").write_text(gate.format("").replace("== 0", "<= 3"))
    assert find_gates(tmp_path).gates[-1].limit == 3


@pytest.mark.parametrize("table", ["[[tool.sagastorm.gates]]", "[[tool.sagastorm]]", "[tool]\nsagastorm = 1"])
def test_gates_in_a_table_of_the_wrong_form_are_not_passed_over(tmp_path: Path, table: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'{table}\nmetric = "dead_letters"\nlimit = "== 0"\n')
    with pytest.raises(UsageError, match=r"each gate is under \[\[tool.sagastorm.gates.gate\]\]"):
        find_gates(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("gates.toml", b"[["), ("pyproject.toml", b""), ("gates.toml", b"\xff")])
def test_a_file_that_holds_no_gates_is_bad_input(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError):
        read_gates(tmp_path / name)


def test_a_gate_that_no_run_could_be_asked_is_refused_before_any_run() -> None:
    gates = read_gates(
        {
            "gate": [
                {"metric": "completion_ms.p50", "limit": "< 1 s", "storm": "crashes"},
                {"metric": "faults.request-lots", "limit": "> 1"},
                {"metric": "completion_ms.p50", "tolerance": "5%", "against": "mitigations:sweeper=off"},
                {"metric": "completion_ms.p50", "tolerance": "6%", "against": "base"},
            ]
        }
    )
    said = idle(gates)
    assert "storm crashes' is not valid; it would be asked of none of: create-order, default, orchestrated" in said
    assert "faults: request-lost" in said
    assert "a run like it of each of: create-order, default, orchestrated" in said
    assert "a base to hold it against (--base)" in said
    assert len(said.splitlines()) == 4


def test_only_runs_that_others_are_held_against_are_not_judged_themselves() -> None:
    on, removed = (cases_of(RunSettings(mitigations=Mitigations(sweeper=value)), STORMY) for value in ("on", "off"))
    gate = {"metric": "completion_ms.p50", "tolerance": "5%", "against": "mitigations:sweeper=off"}
    assert judged(read_gates({"gate": [gate]}), [*on, *removed]) == on
    of_one = read_gates({"gate": [gate | {"topology": "orchestrated"}]})
    assert judged(of_one, [*on, *removed]) == on
    elsewhere = read_gates({"gate": [gate | {"storm": "calm"}]})
    assert judged(elsewhere, [*on, *removed]) == [*on, *removed]
    assert judged(of_one, removed) == removed
    with pytest.raises(UsageError, match="asked of none of"):
        refuse_idle(of_one, removed, has_base=False)


def test_a_window_needs_a_storm() -> None:
    gates = read_gates({"gate": [{"metric": "completion_ms.p50", "limit": "< 1 s", "window": "during"}]})
    refuse_idle(gates, CASES, has_base=False)
    with pytest.raises(UsageError, match="window during"):
        refuse_idle(gates, cases_of(RunSettings(), {"name": "calm", "faults": []}), has_base=False)


def test_gates_against_a_base_can_be_left_out_by_name_only() -> None:
    gates = read_gates({"gate": [{"metric": "completion_ms.p50", "tolerance": "5%", "against": "base"}]})
    assert gates.need_base
    refuse_idle(gates, CASES, has_base=True)
    kept = gates.without_base()
    refuse_idle(kept, CASES, has_base=False)
    assert not kept.need_base
    assert kept.left_out == (gates.gates[-1].name,)


def test_the_document_lists_every_metric_and_its_example_is_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
    assert [path for path in METRICS if f"`{path}`" not in text] == []
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert len([gate for gate in read_gates(tomllib.loads(example)).gates if gate.tier is not Tier.INVARIANT]) == 4
