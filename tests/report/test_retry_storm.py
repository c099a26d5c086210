"""How bad a storm got, in single figures; and of every block by itself."""

from __future__ import annotations

import pytest

from harness.report.figures import NO_BLOCK, Missing
from harness.report.metrics import FIGURES, values_by_block
from harness.report.model import make_report
from harness.report.retry_storm import (
    amplification_peak,
    breaker_openings,
    dead_letters,
    goodput_in_storm_per_s,
    offered_in_storm_per_s,
    peak_backlog,
    peak_oldest_s,
)
from harness.report.run_data import ATTEMPTS, BREAKER_CHANGES, BREAKER_STATE, QUEUE, RETRIES, SWEEPER_REPAIRS
from harness.report.tables import comparison_rows
from tests.report import synthetic_run
from tests.report.small import block, depth, healthy_series, run, saga, sagas, track

STORM = [("a", 5.0, 8.0), ("b", 7.0, 10.0)]


def test_goodput_and_offered_load_of_a_storm_are_counted_from_its_first_to_its_last_moment() -> None:
    rows = [saga(0, 4.9, 200.0), saga(1, 5.0, 6_000.0), saga(2, 9.9, 50.0), saga(3, 9.99, 100.0), saga(4, 10.0)]
    blocks = [block(0, rows=rows, storm_windows=STORM), block(3, rows=[], storm_windows=STORM)]
    assert goodput_in_storm_per_s(blocks) == 2 / 10
    assert offered_in_storm_per_s(blocks) == 3 / 10


def test_without_a_storm_nothing_is_told_of_its_time_and_nobody_needs_to_know_why() -> None:
    assert goodput_in_storm_per_s([block()]) == offered_in_storm_per_s([block()])
    assert goodput_in_storm_per_s([block()]) == Missing("there was no storm", expected=True)


def test_the_peak_of_the_backlog_is_the_deepest_reading_of_any_block() -> None:
    deep = {QUEUE: [depth((3.0, 5.0), (4.0, 8.0)), depth((4.0, 3.0), (5.0, 0.0), queue="order")]}
    in_drain = {QUEUE: [depth((20.5, 12.0), (21.0, 0.0))]}
    assert peak_backlog([block(0, series=deep)]) == 11.0
    assert peak_backlog([block(0, series=deep), block(3, series=in_drain, drained_s=21.5)]) == 11.0
    unread = peak_backlog([block(0, series=deep), block(3, series={})])
    assert unread == Missing("block 4 (orchestrated) has no readings of its queues")


def test_the_oldest_saga_is_the_one_that_took_longest_or_has_not_ended_for_longer() -> None:
    assert peak_oldest_s([block(rows=[saga(0, 0.0, 3_000.0), saga(1, 5.0)])]) == 3.0
    assert peak_oldest_s([block(rows=[saga(0, 0.0, 3_000.0), saga(1, 5.0, None)], drained_s=26.0)]) == 21.0
    assert peak_oldest_s([block(rows=[])]) == Missing("no saga was accepted")


def test_the_peak_of_the_amplification_is_looked_for_in_the_load_and_not_in_the_drain() -> None:
    def counter(metric: str, *samples: tuple[float, float]) -> dict[str, list[object]]:
        return {metric: [track("worker-1", samples, layer="delivery")]}

    attempts = counter(ATTEMPTS, (2.0, 20.0), (4.0, 60.0), (22.0, 200.0))
    retries = counter(RETRIES, (4.0, 20.0), (22.0, 140.0))
    assert amplification_peak([block(series=attempts | retries)]) == 2.0  # type: ignore[arg-type]
    assert isinstance(amplification_peak([block(series={})]), Missing)


def test_dead_letters_of_all_blocks_are_added_and_unknown_where_one_could_not_be_read() -> None:
    assert dead_letters([block(0, dead_letters=2), block(3, dead_letters=3)]) == 5.0
    assert dead_letters([block(0, dead_letters=2), block(3, dead_letters=None)]) == Missing(
        "the dead-letter queues of block 4 (orchestrated) could not be read"
    )


@pytest.mark.parametrize(
    "figure",
    [goodput_in_storm_per_s, offered_in_storm_per_s, amplification_peak, peak_backlog, peak_oldest_s, dead_letters],
)
def test_without_a_complete_block_there_is_no_figure(figure: object) -> None:
    assert callable(figure)
    assert figure([]) == NO_BLOCK


def test_repairs_and_openings_are_shown_where_their_series_exist() -> None:
    labels = [row.label for row in comparison_rows(make_report(run(block()), []))]
    assert "sweeper repairs" not in labels
    assert "breaker openings" not in labels
    series = healthy_series(sagas(120)) | {
        SWEEPER_REPAIRS: [track("sweeper-1", [(4.0, 1.0), (9.0, 3.0)], topology="orchestrated")],
        BREAKER_STATE: [track("worker-1", [(-0.5, 0.0), (6.0, 2.0), (8.0, 0.0)], participant="payment")],
        BREAKER_CHANGES: [
            track("worker-1", [(6.0, 1.0)], participant="payment", state="open"),
            track("worker-1", [(7.0, 1.0)], participant="payment", state="half_open"),
        ],
    }
    report = make_report(run(block(series=series)), [])
    cells = {row.label: row.cells for row in comparison_rows(report)}
    assert (cells["sweeper repairs"], cells["breaker openings"]) == (("3",), ("1",))


def test_a_breaker_that_never_opened_is_another_thing_than_none() -> None:
    calm = {BREAKER_STATE: [track("worker-1", [(-0.5, 0.0)], participant="payment")]}
    assert breaker_openings([block(series=calm)]) == 0
    assert breaker_openings([block(series={})]) == Missing("there was no circuit breaker", expected=True)


def test_every_figure_of_every_complete_block_is_there_by_itself_with_its_anomalies() -> None:
    data = run(block(0, dead_letters=2), block(1, "choreographed", dead_letters=3), block(2, state="aborted"))
    audits = synthetic_run.audits(data, {1: [synthetic_run.CHARGED_TWICE]})
    first, second = values_by_block(data, audits)
    assert [(each.block, each.round, each.topology) for each in (first, second)] == [
        (0, 0, "orchestrated"), (1, 0, "choreographed")
    ]  # fmt: skip
    assert set(first.values) == set(FIGURES)
    assert set(second.values) == set(FIGURES) | {"anomalies.effect-twice"}
    assert (first.values["dead_letters"], second.values["dead_letters"]) == (2.0, 3.0)
    assert second.values["anomalies.effect-twice"] == 2
