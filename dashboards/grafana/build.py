"""Writes the dashboards that Grafana is provisioned with: ``python -m dashboards.grafana.build``.

A test compares what is in ``dashboards/`` beside this file with what this file would write. The form of the JSON is that
of the Grafana named in ``docker-compose.yml``; the library that writes it has a version for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import BarGaugeDisplayMode, LegendDisplayMode, VizOrientation

FOLDER = Path(__file__).with_name("dashboards")
DATASOURCE_UID = "prometheus"
"""As in ``provisioning/datasources/``."""

SHOWN = "$__range"
"""Window of the figures over all the time shown."""
MOMENT = "$__rate_interval"
"""Window of the figures over time."""
_COLUMNS = 24
_HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """One question, asked of every topology. ``series`` maps the legend of its answers to what Prometheus is asked."""

    title: str
    series: dict[str, str]
    unit: str = "short"
    about: str = ""
    bars: bool = False
    """Whether the answer is one value for the time shown, or its course."""
    width: int = 8


def increase(metric: str, window: str, by: str = "topology", where: str = "") -> str:
    """By how much a counter of the chosen saga grew within a window, summed over processes."""
    return f'sum by ({by}) (increase({metric}{{saga="$saga"{where}}}[{window}]))'


def rate(metric: str, by: str, where: str = "") -> str:
    """How fast it grows, per second."""
    return f'sum by ({by}) (rate({metric}{{saga="$saga"{where}}}[{MOMENT}]))'


def completion(quantile: float, window: str) -> str:
    """A quantile of the time from the scheduled start of a saga to its end."""
    buckets = increase("sagastorm_saga_completion_seconds_bucket", window, "topology, le")
    return f"histogram_quantile({quantile}, {buckets})"


def amplification(window: str) -> str:
    """Tries by what the first ones alone would have been."""
    attempts = increase("sagastorm_attempts_total", window, "topology, layer")
    # A counter of retries is not there before the first retry.
    retries = f"({increase('sagastorm_retries_total', window, 'topology, layer')} or {attempts} * 0)"
    return f"{attempts} / ({attempts} - {retries})"


ENDED = increase("sagastorm_saga_completion_seconds_count", SHOWN)

COMPARE_TOPOLOGIES = (
    Panel(
        "Completion",
        {f"p{quantile * 100:.0f} {{{{topology}}}}": completion(quantile, SHOWN) for quantile in (0.5, 0.95, 0.99)},
        unit="s",
        about="From the scheduled start of a saga to its end. Estimated from buckets; the report has it exactly.",
        bars=True,
    ),
    Panel(
        "Ended",
        {"{{outcome}} {{topology}}": increase("sagastorm_saga_completion_seconds_count", SHOWN, "topology, outcome")},
        about="Sagas. Prometheus estimates it from scrapes; the report counts.",
        bars=True,
    ),
    Panel(
        "Retry amplification",
        {"{{layer}} {{topology}}": amplification(SHOWN)},
        about="Tries by what the first ones alone would have been: 1 is none in vain.",
        bars=True,
    ),
    Panel(
        "AWS calls per saga",
        {"{{topology}}": f"{increase('sagastorm_aws_calls_total', SHOWN)} / {ENDED}"},
        about="Retries within the SDK not counted.",
        bars=True,
    ),
    Panel(
        "Duplicates",
        {
            "delivered {{topology}}": increase("sagastorm_duplicates_delivered_total", SHOWN),
            "suppressed {{topology}}": increase("sagastorm_duplicates_suppressed_total", SHOWN),
        },
        about="A choreographed step that is delivered twice publishes twice. All of them must be suppressed.",
        bars=True,
    ),
    Panel(
        "Faults",
        {"{{fault}} {{topology}}": increase("sagastorm_faults_injected_total", SHOWN, "topology, fault")},
        about="Strikes. The same sagas are struck in each topology, whenever it has its turn.",
        bars=True,
    ),
    Panel("Arrivals", {"{{status}} {{topology}}": rate("sagastorm_arrivals_total", "topology, status")}, unit="reqps"),
    Panel(
        "Completion over time",
        {f"p{quantile * 100:.0f} {{{{topology}}}}": completion(quantile, MOMENT) for quantile in (0.5, 0.99)},
        unit="s",
    ),
    Panel(
        "Sagas under way",
        {"{{topology}}": 'sum by (topology) (sagastorm_sagas_in_flight{saga="$saga"})'},
    ),
    Panel("Retries", {"{{layer}} {{topology}}": rate("sagastorm_retries_total", "topology, layer")}, unit="reqps"),
    Panel(
        "Messages in queues",
        {"{{state}} {{topology}}": 'sum by (topology, state) (sagastorm_queue_messages{saga="$saga"})'},
    ),
    Panel("Strikes", {"{{fault}} {{topology}}": rate("sagastorm_faults_injected_total", "topology, fault")}),
)


def compare_topologies() -> dashboard.Dashboard:
    """Each topology's figures over the time shown, side by side, and beneath them how they came about.

    The topologies have their turns one after the other, so the time shown must reach over a turn of each.
    """
    made = (
        dashboard.Dashboard("Compare topologies")
        .uid("sagastorm-compare-topologies")
        .tags(["sagastorm"])
        .readonly()
        .time("now-15m", "now")
        .refresh("5s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.QueryVariable("saga")
            .label("Saga")
            .datasource(_datasource())
            .query("label_values(sagastorm_arrivals_total, saga)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
        )
    )
    x = y = 0
    for number, panel in enumerate(COMPARE_TOPOLOGIES):
        if x + panel.width > _COLUMNS:
            x, y = 0, y + _HEIGHT
        place = models.GridPos(h=_HEIGHT, w=panel.width, x=x, y=y)
        made.with_panel(_drawn(panel).id(number + 1).grid_pos(place))
        x += panel.width
    return made


def _drawn(panel: Panel) -> bargauge.Panel | timeseries.Panel:
    drawn: bargauge.Panel | timeseries.Panel
    if panel.bars:
        drawn = (
            bargauge.Panel()
            .display_mode(BarGaugeDisplayMode.BASIC)
            .orientation(VizOrientation.HORIZONTAL)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        )
    else:
        drawn = timeseries.Panel().legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST))
    drawn.title(panel.title).description(panel.about).unit(panel.unit).min(0).datasource(_datasource())
    # The same series has the same colour in every panel.
    drawn.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    for number, (legend, expression) in enumerate(panel.series.items()):
        query = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(expression).legend_format(legend)
        drawn.with_target(query.instant() if panel.bars else query.range())
    return drawn


def _datasource() -> models.DataSourceRef:
    return models.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)


def built() -> dict[str, str]:
    """Content of every file, by its name."""
    encoded = JSONEncoder(indent=2, sort_keys=True).encode(compare_topologies().build())
    return {"compare-topologies.json": f"{encoded}\n"}


if __name__ == "__main__":
    for name, content in built().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
