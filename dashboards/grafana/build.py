"""Writes the dashboards that Grafana is provisioned with: ``python -m dashboards.grafana.build``.

A test compares what is in ``dashboards/`` beside this file with what this file would write.
"""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import compare_topologies, one_topology, participants, pieces, retry_storm

FOLDER = Path(__file__).with_name("dashboards")
PAGES = (compare_topologies.PAGE, retry_storm.PAGE, one_topology.PAGE, participants.PAGE)


def built() -> dict[str, str]:
    """Content of every file, by its name."""
    encoder = JSONEncoder(indent=2, sort_keys=True)
    return {f"{page.name}.json": f"{encoder.encode(pieces.built(page).build())}\n" for page in PAGES}


if __name__ == "__main__":
    for name, content in built().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
