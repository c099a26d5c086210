"""Which runs a check makes, which ones it keeps, and when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from harness.ablation.execution import TRIES
from harness.check.budget import Pacing
from harness.check.execution import AGAIN, NOT_MEASURED, Execution, Judge, Measured, Unusable, finished
from harness.check.plan import Plan, Side, Trial, trials
from harness.cli import options
from harness.core.errors import EnvironmentFailure, Problem, UsageError
from harness.core.verdict import RunVerdict
from harness.report.model import Report
from harness.report.write import SUMMARY
from harness.run.progress import Teller
from tests.check.made_up import crowd, make_up
from tests.check.small import CALM, STORMY, Quiet, cell, plan

BASE = "b" * 40
TWICE = Pacing(2, None, paired=False)


class Runs:
    """Makes runs up, except those whose turn it is to fail."""

    def __init__(self, *failing: BaseException | None) -> None:
        self.made: list[tuple[str, Side, int]] = []
        self._failing = list(failing)

    def __call__(self, trial: Trial, teller: Teller) -> None:
        assert list(trial.folder.iterdir()) == []
        self.made.append((trial.flags["storm"], trial.side, trial.seed))
        (trial.folder / "half").mkdir()
        if self._failing and (failure := self._failing.pop(0)):
            raise failure
        make_up(trial.folder, options.settings(trial.flags, {}, trial.folder))


def judge(broken: str | None = None, told: Sequence[str] = ()) -> Judge:
    return Judge(broken=lambda run: broken, buys=lambda measured, repeats: told)


def carried_out(
    asked: Plan, folder: Path, *failing: BaseException | None, pacing: Pacing = TWICE, judging: Judge | None = None
) -> tuple[Measured, Runs, Quiet]:
    runs, teller = Runs(*failing), Quiet()
    measured = Execution(asked, folder, pacing, teller, runs, judging or judge()).carry_out()
    return measured, runs, teller


def seeds(reports: list[Report]) -> list[int]:
    return [report.run.settings.seed for report in reports]


def test_both_sides_take_turns_and_are_told_apart(tmp_path: Path) -> None:
    measured, runs, _ = carried_out(plan(CALM, base=BASE), tmp_path)
    assert [(side, seed) for _, side, seed in runs.made] == [
        (Side.BASE, 7), (Side.HEAD, 7), (Side.HEAD, 8), (Side.BASE, 8),
    ]  # fmt: skip
    assert seeds(measured.head) == seeds(measured.base) == [7, 8]
    assert (measured.repeats, measured.stopped, measured.missing) == (2, None, [])


def test_finished_runs_are_not_made_again_and_half_a_run_is_removed_and_made_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        carried_out(plan(CALM, STORMY), tmp_path, None, KeyboardInterrupt())
    measured, runs, _ = carried_out(plan(CALM, STORMY), tmp_path, pacing=Pacing(1, None, paired=False))
    assert runs.made == [("default", Side.HEAD, 7)]
    assert seeds(measured.head) == [7, 7]


def test_more_repeats_of_the_same_can_be_added_later(tmp_path: Path) -> None:
    carried_out(plan(CALM), tmp_path, pacing=Pacing(1, None, paired=False))
    measured, runs, _ = carried_out(plan(CALM), tmp_path)
    assert (runs.made, seeds(measured.head)) == ([("calm", Side.HEAD, 8)], [7, 8])


@pytest.mark.parametrize("spoilt", ["flags", "summary", "done"])
def test_a_run_counts_as_finished_only_with_its_judgement_and_with_the_flags_of_the_plan(
    spoilt: str, tmp_path: Path
) -> None:
    carried_out(plan(CALM), tmp_path, pacing=Pacing(1, None, paired=False))
    [trial] = trials(plan(CALM), tmp_path, 0)
    assert finished(trial)
    match spoilt:
        case "flags":
            [trial] = trials(plan(cell("default")), tmp_path, 0)
        case "summary":
            next(trial.folder.glob(f"*/{SUMMARY}")).unlink()
        case _:
            (trial.folder / "done.json").write_text("{", encoding="utf-8")
    assert finished(trial) is None


def test_a_broken_invariant_of_this_revision_ends_the_check_at_once(tmp_path: Path) -> None:
    measured, runs, teller = carried_out(plan(CALM, STORMY), tmp_path, judging=judge("money is missing"))
    assert len(runs.made) == 1
    assert (measured.stopped, measured.repeats) == ("money is missing", 0)
    assert teller.said[-1] == "Stopped early: money is missing"


def test_neither_a_base_nor_what_has_a_mitigation_removed_can_end_it(tmp_path: Path) -> None:
    asked: list[int] = []

    def broken(report: Report) -> None:
        asked.append(len(report.run.settings.mitigations.chosen()))

    judging = Judge(broken=broken, buys=lambda measured, repeats: [])
    measured, _, _ = carried_out(plan(CALM, cell("calm", "sweeper=off"), base=BASE), tmp_path, judging=judging)
    assert asked == [0, 0]
    assert [len(runs) for runs in (measured.head, measured.references, measured.base)] == [2, 2, 2]


def test_a_run_that_the_environment_failed_is_made_once_more(tmp_path: Path) -> None:
    measured, runs, _ = carried_out(plan(CALM), tmp_path, EnvironmentFailure("no port is free"))
    assert [seed for _, _, seed in runs.made] == [7, 7, 8]
    assert measured.missing == []


def test_what_the_environment_fails_again_is_missing_with_the_reason_and_no_repeat_is_added(tmp_path: Path) -> None:
    failures = [EnvironmentFailure("no port is free")] * TRIES
    measured, runs, _ = carried_out(plan(CALM, STORMY), tmp_path, *failures)
    assert [(trial.name, why) for trial, why in measured.missing] == [
        ("create-order calm, head, repeat 1", "no port is free")
    ]
    assert len(runs.made) == TRIES + 1
    assert len(measured.head) == 1
    [trial, _] = trials(plan(CALM, STORMY), tmp_path, 0)
    assert (trial.folder / NOT_MEASURED).read_text(encoding="utf-8") == "no port is free\n"


def test_a_revision_that_makes_no_runs_is_not_asked_twice(tmp_path: Path) -> None:
    with pytest.raises(Unusable):
        carried_out(plan(CALM), tmp_path, Unusable("no such option"))


def test_a_base_of_another_schema_is_refused_with_the_reason(tmp_path: Path) -> None:
    class Older(Runs):
        def __call__(self, trial: Trial, teller: Teller) -> None:
            super().__call__(trial, teller)
            [path] = trial.folder.glob("*/run.json")
            path.write_bytes(path.read_bytes().replace(b"sagastorm.run/", b"sagastorm.run/older-"))

    with pytest.raises(Unusable, match=r"cannot read what the base has left: .*schema 'sagastorm.run/older-"):
        Execution(plan(CALM, base=BASE), tmp_path, TWICE, Quiet(), Older(), judge()).carry_out()


class Crowded(Runs):
    """Of its runs, those of these numbers had a machine that was so busy; with ``broken`` something is wrong with them as well."""

    def __init__(self, busy: float, *numbers: int, broken: bool = False) -> None:
        super().__init__()
        self._busy, self._numbers, self._broken = busy, numbers, broken

    def __call__(self, trial: Trial, teller: Teller) -> None:
        super().__call__(trial, teller)
        if len(self.made) in self._numbers:
            [summary] = trial.folder.glob(f"*/{SUMMARY}")
            crowd(summary.parent, self._busy, broken=self._broken)


@pytest.mark.parametrize(
    ("crowded", "made"),
    [(Crowded(0.8, 1), 2), (Crowded(0.95, 1), 4), (Crowded(0.95, 2), 4), (Crowded(0.95, 1, broken=True), 2)],
    ids=["room for all", "crowded base", "crowded head", "crowded, and something broke"],
)
def test_where_others_spoilt_a_runs_times_it_and_what_it_is_held_against_are_made_once_more(
    crowded: Crowded, made: int, tmp_path: Path
) -> None:
    asked, once = plan(CALM, base=BASE), Pacing(1, None, paired=False)
    for _ in range(2):  # the second time all of it is there
        measured = Execution(asked, tmp_path, once, Quiet(), crowded, judge()).carry_out()
        assert [side for _, side, _ in crowded.made] == [Side.BASE, Side.HEAD] * (made // 2)
        assert len(measured.head) == len(measured.base) == 1
        folders = {path.parent.name for path in tmp_path.glob("runs/repeat-1/*/done.json")}
        assert folders == {"1-base", "1-head"} | ({"1-base-again", "1-head-again"} if made == 4 else set())
    if made == 4:
        ids = [report.run.run_id for report in (*measured.base, *measured.head)]
        assert all(
            (tmp_path / "runs/repeat-1" / f"1-{side}-again" / name).exists()
            for side, name in zip(Side, ids[::-1], strict=True)
        )


def test_a_machine_that_stays_crowded_is_what_the_run_tells(tmp_path: Path) -> None:
    runs, once = Crowded(0.95, 1, 2), Pacing(1, None, paired=False)
    measured = Execution(plan(CALM), tmp_path, once, Quiet(), runs, judge()).carry_out()
    assert len(runs.made) == 2
    assert [report.judgement.verdict for report in measured.head] == [RunVerdict.INCONCLUSIVE]


def test_where_the_second_run_cannot_be_made_the_first_one_counts(tmp_path: Path) -> None:
    class Failing(Crowded):
        def __call__(self, trial: Trial, teller: Teller) -> None:
            if trial.folder.name.endswith(AGAIN):
                raise EnvironmentFailure("no port is free")
            super().__call__(trial, teller)

    runs, once = Failing(0.95, 1), Pacing(1, None, paired=False)
    measured = Execution(plan(CALM), tmp_path, once, Quiet(), runs, judge()).carry_out()
    assert (len(measured.head), measured.missing) == (1, [])


def test_runs_that_cannot_be_held_against_each_other_end_it_with_the_reason(tmp_path: Path) -> None:
    def buys(measured: Measured, repeats: int) -> Sequence[str]:
        raise UsageError([Problem("backend of one", "ministack 2", "the other has 'ministack 1'")])

    judging = Judge(broken=lambda run: None, buys=buys)
    with pytest.raises(Unusable, match="cannot be held against each other: backend of one: 'ministack 2'"):
        Execution(plan(CALM, base=BASE), tmp_path, TWICE, Quiet(), Runs(), judging).carry_out()


def test_repeats_are_planned_anew_as_soon_as_it_is_known_how_long_one_takes(tmp_path: Path) -> None:
    slow = msgspec.structs.replace(CALM, planned_s=1e4)
    budget = Pacing(3, 1e4, paired=False)
    measured, _, teller = carried_out(plan(slow), tmp_path, pacing=budget, judging=judge(told=["p50 within 8%"]))
    assert measured.repeats == 3
    told = [line for line in teller.said if "repeats, which" in line]
    assert told[0].startswith("1 of 3 repeats, which is what fits into 166.7 min; each takes ")
    assert teller.said.count("  p50 within 8%") == 3
