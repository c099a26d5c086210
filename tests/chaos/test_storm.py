"""Storm files: what they say is what strikes, and what they get wrong is told all at once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chaos.storm import Storm, load, resolved, shipped
from harness import registry
from harness.core.errors import UsageError
from harness.load.plan import LoadPlan
from harness.sagas.create_order import SAGA

GOOD_FAULT = 'name = "f"\nkind = "timeout"\nlost = "request"\ncall = "dynamodb:TransactWriteItems"\n'


def storm_file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def one_fault(folder: Path, more: str) -> Storm:
    """The storm with one good fault, changed by more lines, in 200 s of load."""
    return load(storm_file(folder, f"[[fault]]\n{GOOD_FAULT}{more}"), SAGA, 200, 10)


def problems(folder: Path, text: str) -> dict[str, tuple[object, str]]:
    """Field to (value, what would be valid), of everything that is wrong with a storm in 200 s of load."""
    name = storm_file(folder, text)
    with pytest.raises(UsageError) as error:
        load(name, SAGA, 200, 10)
    found = error.value.problems
    assert all(problem.field.startswith(f"storm {name}: ") for problem in found)
    return {problem.field.removeprefix(f"storm {name}: "): (problem.value, problem.valid) for problem in found}


def test_default_storm_has_every_kind_of_fault_and_calm_has_none() -> None:
    kinds = {fault.kind for fault in load("default", SAGA, 25, 10).faults}
    assert kinds == {"timeout", "duplicate-delivery", "overload", "surge"}
    assert load("calm", SAGA, 25, 10).faults == ()


def test_storm_is_the_same_after_it_was_saved_and_read_again() -> None:
    storm = load("default", SAGA, 25, 10)
    assert resolved(msgspec.json.decode(msgspec.json.encode(storm))) == storm


def test_shares_of_the_load_and_seconds_mean_the_same(tmp_path: Path) -> None:
    [of_share] = one_fault(tmp_path, 'start = "10%"\nduration = "25%"').faults
    [of_seconds] = one_fault(tmp_path, "start = 20\nduration = 50.0").faults
    assert (of_share.start_s, of_share.end_s) == (of_seconds.start_s, of_seconds.end_s) == (20, 70)


def test_window_without_times_is_the_whole_load_and_none_reaches_beyond_it(tmp_path: Path) -> None:
    [whole] = one_fault(tmp_path, "").faults
    assert (whole.start_s, whole.end_s, whole.probability) == (0, 200, 1)
    [cut] = one_fault(tmp_path, 'start = "90%"\nduration = 100').faults
    assert (cut.start_s, cut.end_s) == (180, 200)


def test_targets_and_options_are_kept(tmp_path: Path) -> None:
    [fault] = one_fault(tmp_path, 'participant = "payment"\nstep = "refund"\nprobability = 0.25').faults
    assert (fault.participant, fault.step, fault.probability) == ("payment", "refund", 0.25)
    assert (fault.kind, fault.call, fault.options) == ("timeout", "dynamodb:TransactWriteItems", {"lost": "request"})


def test_surges_are_told_to_whoever_makes_the_schedule(tmp_path: Path) -> None:
    text = '[[fault]]\nname = "s"\nkind = "surge"\nfactor = 3\nstart = 20\nduration = "5%"\n'
    storm = load(storm_file(tmp_path, text + f"[[fault]]\n{GOOD_FAULT}"), SAGA, 200, 10)
    plan = LoadPlan(
        saga="create-order",
        topology="orchestrated",
        ingress_url="http://127.0.0.1:1",
        audience="a",
        seed=1,
        rate_per_s=10.0,
        duration_s=200.0,
        spool_dir="spool",
        targets_dir="targets",
    )
    assert storm.planned(plan) == msgspec.structs.replace(plan, surges=((20, 30, 3.0),))


def test_everything_that_is_wrong_is_told_at_once_with_its_value_and_what_would_be_valid(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        surprise = 1

        [[fault]]
        name = "twice"
        kind = "earthquake"
        probability = 1.5
        start = "half"
        duration = 201

        [[fault]]
        name = "twice"
        kind = "timeout"
        lost = "patience"
        participant = "bank"
        step = "ship"
        call = "s3:PutObject"

        [[fault]]
        kind = "overload"
        actions_per_s = 0
        call = "events:PutEvents"
        """,
    )
    times = 'seconds from 0 to 200, or a share of the load such as "20%"'
    value, valid = found.pop("fault[1].call")
    assert value == "s3:PutObject"
    assert "dynamodb:TransactWriteItems" in valid
    value, valid = found.pop("fault[1] (timeout)")
    assert value == {"lost": "patience"}
    assert "'patience'" in valid
    value, valid = found.pop("fault[2] (overload)")
    assert value == {"actions_per_s": 0}
    assert "actions_per_s" in valid
    assert found == {
        "surprise": (1, "a storm has: description, fault"),
        "fault.name": ("twice", "every fault needs a name of its own"),
        "fault[0].kind": ("earthquake", f"one of: {', '.join(registry.names('fault'))}"),
        "fault[0].probability": (1.5, "a number from 0 to 1"),
        "fault[0].start": ("half", times),
        "fault[0].duration": (201, times),
        "fault[1].participant": ("bank", "one of: order, payment, inventory, notification"),
        "fault[1].step": ("ship", f"one of: {', '.join(SAGA.works())}"),
        "fault[2].name": (None, "a short text that names the fault in reports"),
        "fault[2].call": ("events:PutEvents", "only where a fault strikes AWS calls; overload does not"),
    }


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("probability = true", "fault[0].probability"),
        ("probability = nan", "fault[0].probability"),
        ("start = -1", "fault[0].start"),
        ('start = "101%"', "fault[0].start"),
        ('start = "%"', "fault[0].start"),
        ("duration = nan", "fault[0].duration"),
        ('participant = ["payment"]', "fault[0].participant"),
    ],
)
def test_value_that_makes_no_sense_is_refused(line: str, field: str, tmp_path: Path) -> None:
    assert list(problems(tmp_path, f"[[fault]]\n{GOOD_FAULT}{line}")) == [field]


def test_option_that_the_fault_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    [(field, (_, valid))] = problems(tmp_path, f"[[fault]]\n{GOOD_FAULT}volume = 11").items()
    assert field == "fault[0] (timeout)"
    assert "volume" in valid


def test_faults_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, "fault = 3")["fault"] == (3, "written as [[fault]] tables")


@pytest.mark.parametrize("content", [b"fault = ", b"\xff\xfe"], ids=["not TOML", "not text"])
def test_file_that_is_no_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="the file must be TOML"):
        load(str(path), SAGA, 200, 10)


@pytest.mark.parametrize("name", ["tornado", "missing.toml", ""])
def test_unknown_storm_is_refused_and_the_shipped_ones_are_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"one of: {', '.join(shipped())}; or the path of a .toml file"):
        load(name, SAGA, 200, 10)


@pytest.mark.parametrize("window", ["duration = 0", 'start = "100%"'])
def test_fault_whose_window_has_no_time_in_it_is_refused(tmp_path: Path, window: str) -> None:
    found = problems(tmp_path, f'[[fault]]\nname = "never"\nkind = "overload"\nactions_per_s = 1\n{window}\n')
    assert list(found) == ["fault[0].duration"]


def overload(actions_per_s: str) -> str:
    """A storm file with nothing but an overload."""
    return f'[[fault]]\nname = "slow"\nkind = "overload"\nactions_per_s = {actions_per_s}\n'


@pytest.mark.parametrize(
    ("rate_per_s", "written", "resolved_to"),
    [(25, '"80%"', 20), (2.5, '"80%"', 2), (3, '"150%"', 4.5), (3, "20", 20)],
)
def test_rate_may_be_written_as_a_share_of_the_offered_one(
    rate_per_s: float, written: str, resolved_to: float, tmp_path: Path
) -> None:
    storm = load(storm_file(tmp_path, overload(written)), SAGA, 200, rate_per_s)
    assert [fault.options for fault in storm.faults] == [{"actions_per_s": resolved_to}]


def test_overload_of_the_default_storm_is_20_a_second_at_25_and_less_at_less() -> None:
    by_rate = {
        rate: [
            fault.options["actions_per_s"]
            for fault in load("default", SAGA, 25, rate).faults
            if fault.kind == "overload"
        ]
        for rate in (25, 5)
    }
    assert by_rate == {25: [20], 5: [4]}


@pytest.mark.parametrize("share", ['"0%"', '"-5%"', '"half"', '"%"', '"nan%"', '"inf%"', '"20"'])
def test_share_of_the_rate_that_makes_no_sense_is_refused_by_the_name_of_its_option(share: str, tmp_path: Path) -> None:
    found = problems(tmp_path, overload(share))
    assert found == {
        "fault[0].actions_per_s": (share.strip('"'), 'a number above 0, or a share of the offered rate such as "80%"')
    }


@pytest.mark.parametrize(("rate_per_s", "probability"), [(25, 0.02), (5, 0.1), (0.25, 1)])
def test_probability_may_be_so_many_of_the_sagas_of_a_second(
    rate_per_s: float, probability: float, tmp_path: Path
) -> None:
    storm = load(storm_file(tmp_path, f'[[fault]]\n{GOOD_FAULT}probability = "0.5/s"\n'), SAGA, 200, rate_per_s)
    assert storm.faults[0].probability == pytest.approx(probability)


@pytest.mark.parametrize("text", ["0/s", "-1/s", "many/s", "/s"])
def test_so_many_a_second_that_makes_no_sense_is_refused(text: str, tmp_path: Path) -> None:
    found = problems(tmp_path, f'[[fault]]\n{GOOD_FAULT}probability = "{text}"')
    assert found == {"fault[0].probability": (text, 'so many a second, such as "0.5/s"')}


def test_option_that_is_no_rate_takes_no_share_of_one(tmp_path: Path) -> None:
    [(field, (_, valid))] = problems(tmp_path, '[[fault]]\nname = "s"\nkind = "surge"\nfactor = "80%"\n').items()
    assert field == "fault[0] (surge)"
    assert "factor" in valid
