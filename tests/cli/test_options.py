"""Settings from flags, environment and file: who beats whom, and that all that is wrong is told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.aws.services import SERVICES
from harness.cli.options import CONFIG_FILE, DEFAULTS, OPTIONS, running_backend, settings
from harness.core.errors import UsageError
from harness.core.mitigations import Mitigations
from harness.settings import RunSettings

GOOD: dict[str, tuple[str, Any]] = {
    "saga": ("create-order", "create-order"),
    "topology": ("choreographed, orchestrated", ("choreographed", "orchestrated")),
    "interleave": ("bab", "BAB"),
    "storm": ("calm", "calm"),
    "scenario": ("any_saga", "any_saga"),
    "rate": ("0.5", 0.5),
    "arrivals": ("even", "even"),
    "duration": ("60", 60.0),
    "seed": ("0", 0),
    "workers": ("2", 2),
    "load-processes": ("3", 3),
    "max-in-flight": ("100", 100),
    "drain-limit": ("5.5", 5.5),
    "cannot-pay-share": ("0", 0.0),
    "mitigations": ("backoff=none, sweeper=off", Mitigations(backoff="none", sweeper="off")),
    "out-of-stock-share": ("0.25", 0.25),
}
"""Option to a value as it is written, and as it is understood."""


def made(
    folder: Path, environ: dict[str, str] | None = None, file: str | None = None, **flags: str | None
) -> RunSettings:
    """Settings in an empty folder but for the file; flags are written with underscores."""
    if file is not None:
        (folder / CONFIG_FILE).write_text(file, encoding="utf-8")
    return settings({name.replace("_", "-"): text for name, text in flags.items()}, environ or {}, folder)


def refused(
    folder: Path, environ: dict[str, str] | None = None, file: str | None = None, **flags: str
) -> dict[str, Any]:
    """Field to (value, what would be valid) of every problem."""
    with pytest.raises(UsageError) as error:
        made(folder, environ, file, **flags)
    return {problem.field: (problem.value, problem.valid) for problem in error.value.problems}


def test_nothing_said_means_the_defaults_and_the_embedded_emulator(tmp_path: Path) -> None:
    assert made(tmp_path) == DEFAULTS
    assert DEFAULTS.endpoints is None


def test_every_option_has_an_example_here() -> None:
    assert {option.name for option in OPTIONS} == GOOD.keys()


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_understood_from_flag_variable_and_file_alike(option: Any, tmp_path: Path) -> None:
    text, value = GOOD[option.name]
    assert getattr(made(tmp_path, **{option.name: text}), option.field) == value
    assert getattr(made(tmp_path, {option.variable: text}), option.field) == value
    assert getattr(made(tmp_path, file=f'[run]\n{option.name} = "{text}"\n'), option.field) == value


def test_flag_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    file = "[run]\nrate = 30\nseed = 3\nworkers = 3\n"
    environ = {"SAGASTORM_RATE": "20", "SAGASTORM_SEED": "2"}
    chosen = made(tmp_path, environ, file, rate="10")
    assert (chosen.rate_per_s, chosen.seed, chosen.workers, chosen.duration_s) == (10, 2, 3, DEFAULTS.duration_s)


def test_flag_that_was_not_given_and_variable_that_is_empty_decide_nothing(tmp_path: Path) -> None:
    assert made(tmp_path, {"SAGASTORM_RATE": ""}, "[run]\nrate = 30\n", rate=None).rate_per_s == 30


def test_everything_that_is_wrong_is_told_at_once_with_its_source(tmp_path: Path) -> None:
    problems = refused(
        tmp_path,
        {"SAGASTORM_SEED": "-1", "AWS_ENDPOINT_URL": "nowhere"},
        '[run]\nworkers = 0\nspeed = "high"\narrivals = "bursts"\n',
        rate="fast",
        topology="orchestrated,telepathy",
    )
    endpoint_value, _ = problems.pop("AWS_ENDPOINT_URL")
    assert endpoint_value == "nowhere"
    value, valid = problems.pop("sagastorm.toml: speed")
    assert value == "high"
    assert all(option.name in valid for option in OPTIONS)
    assert problems == {
        "--rate": ("fast", "a number above 0 and at most 10000"),
        "--topology": ("orchestrated,telepathy", "both, or a comma-separated list of: choreographed, orchestrated"),
        "SAGASTORM_SEED": ("-1", "a whole number from 0 to 9007199254740992"),
        "sagastorm.toml: workers": ("0", "a whole number from 1 to 64"),
        "sagastorm.toml: arrivals": ("bursts", "one of: poisson, even"),
    }


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("saga", "no-such-saga"),
        ("saga", ""),
        ("topology", ""),
        ("topology", "orchestrated,orchestrated"),
        ("interleave", ""),
        ("interleave", "A-B"),
        ("interleave", "A" * 65),
        ("rate", "0"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("duration", "0.5"),
        ("seed", "1.5"),
        ("workers", "65"),
        ("drain-limit", "0"),
        ("cannot-pay-share", "0.51"),
        ("out-of-stock-share", "-0.1"),
    ],
)
def test_value_that_makes_no_sense_is_refused(option: str, text: str, tmp_path: Path) -> None:
    assert refused(tmp_path, **{option: text}).keys() == {f"--{option}"}


def test_unknown_saga_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    _, valid = refused(tmp_path, saga="book-flight")["--saga"]
    assert valid == f"one of: {', '.join(registry.names('saga'))}"


def test_storm_and_scenario_that_are_not_there_are_refused_together(tmp_path: Path) -> None:
    assert refused(tmp_path, storm="tornado", scenario="nothing").keys() == {"storm", "scenario"}


@pytest.mark.parametrize("file", ["[run", "run = 3", b"\xff\xfe"], ids=["not TOML", "no table", "not text"])
def test_file_that_cannot_be_understood_is_refused_by_its_name(file: str | bytes, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_bytes(file if isinstance(file, bytes) else file.encode())
    [field] = refused(tmp_path)
    assert field.startswith(CONFIG_FILE)


@pytest.mark.parametrize(
    ("topology", "interleave"),
    [("both", "ABBA"), ("choreographed", "AA"), ("orchestrated,choreographed", "ABBA")],
)
def test_interleaving_follows_from_the_topologies(topology: str, interleave: str, tmp_path: Path) -> None:
    assert made(tmp_path, topology=topology).interleave == interleave


def test_interleaving_with_letters_beyond_the_topologies_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, topology="choreographed", interleave="ABC") == {
        "interleave": ("ABC", "letters for 1 topologies, not BC")
    }


@pytest.mark.parametrize(("saga", "scenario"), [("create-order", "create_order")])
def test_scenario_follows_from_the_saga_unless_one_is_named(saga: str, scenario: str, tmp_path: Path) -> None:
    assert made(tmp_path, saga=saga).scenario == scenario
    assert made(tmp_path, saga=saga, scenario="any_saga").scenario == "any_saga"


@pytest.mark.parametrize(
    ("flags", "environ", "file", "host"),
    [
        pytest.param({"endpoint_url": "http://flag:1"}, {"AWS_ENDPOINT_URL": "http://env:1"}, "", "flag", id="flag"),
        pytest.param({}, {"AWS_ENDPOINT_URL": "http://env:1"}, "http://file:1", "env", id="environment"),
        pytest.param({}, {}, "http://file:1", "file", id="file"),
    ],
)
def test_endpoint_may_be_named_in_every_source_and_the_same_ones_win(
    flags: dict[str, str], environ: dict[str, str], file: str, host: str, tmp_path: Path
) -> None:
    text = f'[run]\nendpoint-url = "{file}"\n' if file else None
    assert made(tmp_path, environ, text, **flags).endpoints == dict.fromkeys(SERVICES, f"http://{host}:1")


def test_endpoint_of_one_service_is_named_in_the_environment(tmp_path: Path) -> None:
    environ = {"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_SFN": "http://states:1"}
    endpoints = made(tmp_path, environ).endpoints
    assert endpoints == dict.fromkeys(SERVICES, "http://all:1") | {"stepfunctions": "http://states:1"}


def test_setting_outside_the_table_of_the_run_is_refused_and_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "sagastorm.toml").write_text("rate = 1\n[runn]\nseed = 2\n", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        settings({}, {}, tmp_path)
    assert [problem.field for problem in refused.value.problems] == ["sagastorm.toml: rate", "sagastorm.toml: runn"]


def test_configuration_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sagastorm.toml").mkdir()
    with pytest.raises(UsageError, match="a file that can be read"):
        settings({}, {}, tmp_path)


RUNNING = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
"""A backend without a rate of its own."""


@pytest.mark.parametrize(
    ("flags", "scaled"),
    [
        ({}, ("rate_per_s", "duration_s")),
        ({"rate": "3"}, ("duration_s",)),
        ({"duration": "30"}, ("rate_per_s",)),
        ({"rate": "3", "duration": "30"}, ()),
    ],
)
def test_backend_that_already_runs_decides_what_nobody_chose(
    flags: dict[str, str], scaled: tuple[str, ...], tmp_path: Path
) -> None:
    assert made(tmp_path, RUNNING, **flags).scaled == scaled


def test_choice_in_a_variable_or_in_the_file_is_a_choice_too(tmp_path: Path) -> None:
    assert made(tmp_path, RUNNING | {"SAGASTORM_DURATION": "30"}).scaled == ("rate_per_s",)
    assert made(tmp_path, RUNNING, "[run]\nrate = 3\n").scaled == ("duration_s",)


def test_embedded_backend_decides_nothing_and_has_its_own_rate(tmp_path: Path) -> None:
    chosen = made(tmp_path)
    assert (chosen.scaled, chosen.rate_per_s, chosen.duration_s) == ((), 25.0, 25.0)
    assert registry.backend("embedded").rate_per_s == 25.0


def test_storm_must_fit_the_shortest_load_that_the_backend_may_decide(tmp_path: Path) -> None:
    (tmp_path / "late.toml").write_text(
        '[[fault]]\nname = "f"\nkind = "overload"\nactions_per_s = "80%"\nstart = 30\n', encoding="utf-8"
    )
    late = str(tmp_path / "late.toml")
    assert list(refused(tmp_path, RUNNING, storm=late)) == [f"storm {late}: fault[0].start"]
    assert made(tmp_path, RUNNING, storm=late, duration="40").scaled == ("rate_per_s",)


@pytest.mark.parametrize(
    ("flags", "environ", "file", "chosen", "host"),
    [
        pytest.param({}, {}, "", "localstack", "localhost:4566", id="nothing"),
        pytest.param({}, {"AWS_ENDPOINT_URL": "http://a:1"}, "", "endpoint", "a:1", id="address"),
        pytest.param({}, {"LOCALSTACK_HOST": "a:1"}, "", "localstack", "a:1", id="localstack-client"),
        pytest.param({}, {}, 'endpoint-url = "http://a:1"', "endpoint", "a:1", id="file"),
        pytest.param({"endpoint-url": "http://a:1"}, {}, 'backend = "localstack"', "localstack", "a:1", id="both"),
    ],
)
def test_backend_that_is_tended_between_runs_is_chosen_as_a_run_chooses_its_own(
    monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, str],
    environ: dict[str, str],
    file: str,
    chosen: str,
    host: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "sagastorm.toml").write_text(f"[run]\n{file}\n", encoding="utf-8")
    monkeypatch.delenv("LOCALSTACK_HOST", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)  # localstack-client reads it there
    name, urls = running_backend(flags, environ, tmp_path)
    assert name == chosen
    assert urls == dict.fromkeys(SERVICES, f"http://{host}")
    if flags or environ or file:
        made = settings(flags, environ, tmp_path)
        assert (made.backend, made.endpoints) == (name, urls)


def test_everything_that_is_wrong_with_the_choice_of_a_running_backend_is_told(tmp_path: Path) -> None:
    (tmp_path / "sagastorm.toml").write_text('[run]\nbackend = "none-such"\nbakend = "x"\n', encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        running_backend({}, {}, tmp_path)
    assert [problem.field for problem in refused.value.problems] == [
        "sagastorm.toml: bakend",
        "sagastorm.toml: backend",
    ]
