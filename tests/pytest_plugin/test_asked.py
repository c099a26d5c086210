"""What a marker asks for, as arguments of ``sagastorm run``, and everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.core.mitigations import Mitigations
from harness.pytest_plugin.asked import Asked, read


def asked(root: Path, *args: Any, **kwargs: Any) -> Asked:
    return read(args, kwargs, "", root)


def problems(root: Path, *args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(UsageError) as refused:
        asked(root, *args, **kwargs)
    return [str(problem) for problem in refused.value.problems]


def test_arguments_are_those_of_the_command_line(tmp_path: Path) -> None:
    made = asked(
        tmp_path,
        "retry-storm",
        topology=["choreographed"],
        rate=8,
        drain_limit=30,
        mitigations={"sweeper": "off", "backoff": "none"},
    )
    assert made.settings.storm == "retry-storm"
    assert made.settings.topologies == ("choreographed",)
    assert made.settings.rate_per_s == 8.0
    assert made.settings.drain_limit_s == 30.0
    assert made.settings.mitigations == Mitigations(sweeper="off", backoff="none")
    assert made.arguments == (
        "run", "--topology", "choreographed", "--rate", "8", "--drain-limit", "30",
        "--mitigations", "sweeper=off,backoff=none", "--storm", "retry-storm",
    )  # fmt: skip
    assert made.gates is None


def test_what_the_marker_leaves_open_is_decided_by_the_projects_file_and_paths_begin_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sagastorm.toml").write_text("[run]\nseed = 9\nrate = 3\n")
    (tmp_path / "mine.toml").write_text('description = "mine"\n')
    monkeypatch.chdir("/")
    made = asked(tmp_path, "mine.toml", rate=4)
    assert (made.settings.seed, made.settings.rate_per_s, made.settings.storm) == (9, 4.0, "mine.toml")
    assert Path.cwd() == Path("/")


def test_the_same_run_has_the_same_key_however_it_is_asked_for(tmp_path: Path) -> None:
    one = asked(tmp_path, "calm", topology="orchestrated", rate=4)
    assert one.key == asked(tmp_path, storm="calm", topology=("orchestrated",), rate="4.0").key
    assert one.key == asked(tmp_path, "calm", topology="orchestrated", rate=4, gates=["throughput_per_s > 1 /s"]).key
    assert one.key != asked(tmp_path, "calm", topology="orchestrated", rate=4, seed=2).key


def test_gates_are_expressions_or_tables_and_bring_the_invariants(tmp_path: Path) -> None:
    table = {
        "metric": "completion_ms.p95",
        "tolerance": "20%",
        "against": "topology:orchestrated",
        "topology": "choreographed",
    }
    gates = asked(tmp_path, interleave="ABBAABBA", gates=["completion_ms.p99 < 800 ms", table]).gates
    assert gates is not None
    assert [gate.metric for gate in gates.gates][-2:] == ["completion_ms.p99", "completion_ms.p95"]
    invariants = asked(tmp_path, gates=[]).gates
    assert invariants is not None
    assert gates.gates[:-2] == invariants.gates
    assert "anomalies.effect-twice" in [gate.metric for gate in invariants.gates]


def test_everything_that_is_wrong_is_told_at_once_under_the_names_of_the_marker(tmp_path: Path) -> None:
    told = problems(tmp_path, "nonesuch", rate=0, drain_limit="soon", colour="red", gates=["completion_ms.p98 < 1 ms"])
    assert [line.partition(": ")[0] for line in told] == ["colour", "rate", "drain_limit", "storm", "gates"]
    assert "'red' is not valid; an argument that is one of: saga, topology" in told[0]
    assert "did you mean completion_ms.p99?" in told[-1]


@pytest.mark.parametrize(
    "gate", [5, "completion_ms.p99", "completion_ms.p99 < 5 /s", {"metric": "completion_ms.p99", "limit": "< 5"}]
)
def test_a_gate_that_is_none_is_refused(tmp_path: Path, gate: object) -> None:
    assert problems(tmp_path, "calm", gates=[gate])


def test_a_gate_that_could_never_be_asked_is_refused(tmp_path: Path) -> None:
    other = {"metric": "completion_ms.p99", "limit": "< 5 s", "topology": "choreographed"}
    (told,) = problems(tmp_path, "calm", topology="orchestrated", gates=[other])
    assert "it would be asked of none of: create-order, calm, orchestrated" in told


def test_a_gate_against_a_base_is_none_of_a_marker(tmp_path: Path) -> None:
    against = {"name": "as fast", "metric": "completion_ms.p50", "tolerance": "5%", "against": "base"}
    (told,) = problems(tmp_path, "calm", gates=[against])
    assert told == "gates: 'as fast' is not valid; of one run by itself; sagastorm check --base holds it against a base"


def test_a_gate_against_a_topology_that_has_too_few_turns_is_refused(tmp_path: Path) -> None:
    slower = {"metric": "completion_ms.p50", "tolerance": "20%", "against": "topology:orchestrated"}
    (told,) = problems(tmp_path, "calm", gates=[slower])
    assert told.startswith("interleave: 'ABBA' is not valid; 3 turns of each topology or more for completion_ms.p50 ")
    assert asked(tmp_path, "calm", interleave="ABABAB", gates=[slower]).gates


def test_a_storm_is_named_once(tmp_path: Path) -> None:
    assert "one storm; the rest by name" in problems(tmp_path, "calm", "default")[0]
    assert "one storm; the rest by name" in problems(tmp_path, "calm", storm="default")[0]
