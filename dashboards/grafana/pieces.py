"""What the dashboards have in common: a page of panels, the questions that they ask Prometheus, and how they are drawn.

The form of the JSON is that of the Grafana named in ``docker-compose.yml``; the library that writes it has a version for
each.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    LegendDisplayMode,
    LineInterpolation,
    VizOrientation,
)

DATASOURCE_UID = "prometheus"
"""As in ``provisioning/datasources/``."""
SHOWN = "$__range"
"""Window of the figures over all the time shown."""
MOMENT = "$__rate_interval"
"""Window of the figures over time."""
CHOSEN = 'run=~"$run",saga="$saga",topology=~"$topology"'
"""By the variables of a page."""
QUANTILES = (0.5, 0.95, 0.99)
BREAKER = {"0": ("closed", "green"), "1": ("half open", "yellow"), "2": ("open", "red")}
"""Values of ``sagastorm_breaker_state``."""
STORM_STEP_S = 2
"""A fault's window is drawn as one region where no two looks at it are further apart."""

_COLUMNS = 24
_HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """One question. ``series`` maps the legend of its answers to what Prometheus is asked."""

    title: str
    series: dict[str, str]
    unit: str = "short"
    about: str = ""
    bars: bool = False
    """Whether the answer is one value for the time shown, or its course."""
    exemplars: bool = False
    """Whether single sagas are marked, with their ids: of histograms of ours, asked for directly."""
    values: dict[str, tuple[str, str]] | None = None
    """Words and colours, where the values are states."""
    width: int = 8


@dataclass(frozen=True)
class Page:
    """One dashboard; its file is named like its ``name``."""

    name: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    one_topology: bool = False
    """Whether it shows one at a time, or all that are chosen on the same panels."""


def increase(metric: str, window: str, by: str = "topology", where: str = "") -> str:
    """By how much a counter grew within a window, summed over processes.

    Over all the time shown it is the difference of two readings, and not Prometheus' estimate: that leaves out what was
    counted before a process was first scraped, which takes up to ten seconds until it is discovered, and blocks last for
    few more. Our counters begin at 0, and never fall: a process that is started anew is another series.
    """
    counter = f"{metric}{{{_where(where)}}}"
    if window != SHOWN:
        return f"sum by ({by}) (increase({counter}[{window}]))"
    last = f"last_over_time({counter}[{SHOWN}])"
    return f"sum by ({by}) ({last} - ({counter} offset {SHOWN} or {last} * 0))"


def rate(metric: str, by: str = "topology", where: str = "") -> str:
    """How fast it grows, per second."""
    return f"sum by ({by}) (rate({metric}{{{_where(where)}}}[{MOMENT}]))"


def total(metric: str, by: str = "topology", where: str = "") -> str:
    """What a gauge stands at, summed over processes."""
    return f"sum by ({by}) ({metric}{{{_where(where)}}})"


def highest(metric: str, by: str = "topology", where: str = "") -> str:
    """What a gauge or a recorded ratio stands at, where it is highest."""
    return f"max by ({by}) ({metric}{{{_where(where)}}})"


def quantile(q: float, histogram: str, window: str, by: str = "topology") -> str:
    """Estimated from the histogram's buckets; none where nothing was observed."""
    observed = increase(f"{histogram}_count", window, by)
    return f"histogram_quantile({q}, {increase(f'{histogram}_bucket', window, f'{by}, le')}) and {observed} > 0"


def completion(window: str, quantiles: tuple[float, ...] = QUANTILES) -> dict[str, str]:
    """Quantiles of the time from the scheduled start of a saga to its end, by their legends."""
    return {
        f"p{q * 100:.0f} {{{{topology}}}}": quantile(q, "sagastorm_saga_completion_seconds", window) for q in quantiles
    }


def amplification(window: str, by: str = "topology, layer") -> str:
    """Tries by what the first ones alone would have been; of whom, see the recording rules."""
    sagas_own = 'process=~"(worker|ingress)-.+"'
    attempts = increase("sagastorm_attempts_total", window, by, sagas_own)
    retries = increase("sagastorm_retries_total", window, by, sagas_own)
    return f"{attempts} / ({attempts} - {retries} > 0)"


def built(page: Page) -> dashboard.Dashboard:
    """The page, with its variables, the storm's windows, and links to the other pages."""
    made = (
        dashboard.Dashboard(page.title)
        .uid(f"sagastorm-{page.name}")
        .description(page.about)
        .tags(["sagastorm"])
        .readonly()
        .time("now-15m", "now")
        .refresh("5s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_links())
        .annotation(_Storm())
    )
    for variable in _variables(one_topology=page.one_topology):
        made.with_variable(variable)
    x = y = 0
    for number, panel in enumerate(page.panels, start=1):
        if x + panel.width > _COLUMNS:
            x, y = 0, y + _HEIGHT
        place = models.GridPos(h=_HEIGHT, w=panel.width, x=x, y=y)
        made.with_panel(_drawn(panel).id(number).grid_pos(place))
        x += panel.width
    return made


def _where(more: str) -> str:
    return f"{CHOSEN},{more}" if more else CHOSEN


def _variables(*, one_topology: bool) -> list[dashboard.QueryVariable]:
    arrivals = "sagastorm_arrivals_total"
    # The latest run first: an id begins with its time.
    run = _variable("run", "Run", f"label_values({arrivals}, run)", models.VariableSort.ALPHABETICAL_DESC)
    saga = _variable("saga", "Saga", f'label_values({arrivals}{{run=~"$run"}}, saga)')
    topology = _variable("topology", "Topology", f'label_values({arrivals}{{run=~"$run",saga="$saga"}}, topology)')
    return [_all(run), saga, topology if one_topology else _all(topology)]


def _variable(
    name: str, label: str, query: str, sort: models.VariableSort = models.VariableSort.ALPHABETICAL_ASC
) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_datasource())
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(sort)
    )


def _all(variable: dashboard.QueryVariable) -> dashboard.QueryVariable:
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return variable.multi(True).include_all(True).all_value(".+").current(everything)


def _links() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("sagastorm")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["sagastorm"])
        .keep_time(True)
        .include_vars(True)
    )


class _Windows(models.AnnotationQuery):
    """With what Grafana's Prometheus source reads of an annotation and the library does not know."""

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {
            "step": f"{STORM_STEP_S}s",
            "titleFormat": "{{fault}}",
            "textFormat": "the time of this fault in the {{topology}} topology",
            "tagKeys": "topology",
        }


class _Storm(Builder[models.AnnotationQuery]):
    """When it was the time of which fault, in which topology's turn."""

    def build(self) -> models.AnnotationQuery:
        return _Windows(
            name="Storm",
            datasource=_datasource(),
            icon_color="orange",
            expr=highest("sagastorm_fault_active", "topology, fault"),
        )


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
        if panel.values:
            drawn.line_interpolation(LineInterpolation.STEP_AFTER).max(len(panel.values) - 1)
    drawn.title(panel.title).description(panel.about).unit(panel.unit).min(0).datasource(_datasource())
    # The same series has the same colour in every panel.
    drawn.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if panel.values:
        words = {value: models.ValueMappingResult(text, color) for value, (text, color) in panel.values.items()}
        drawn.mappings([models.ValueMap(words)])
    for number, (legend, expression) in enumerate(panel.series.items()):
        query = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(expression).legend_format(legend)
        if panel.exemplars:
            query.exemplar(True)
        drawn.with_target(query.instant() if panel.bars else query.range())
    return drawn


def _datasource() -> models.DataSourceRef:
    return models.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)
