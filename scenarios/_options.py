"""The options that sagastorm adds to Locust's, on the command line, in the environment and in the web UI's start form."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from harness import registry
from harness.load.plan import SHAPES
from harness.settings import RunSettings

_UP = (sys.executable, "-m", "harness.cli.main", "up")


def add_options(parser: Any) -> None:
    """Listener of ``events.init_command_line_parser``."""
    default = RunSettings()
    # Locust listens on all interfaces by default, with a form that starts processes; who wants that can still say so.
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")
    parser.add_argument(
        "--sagastorm-plan",
        metavar="FILE",
        env_var="SAGASTORM_PLAN",
        include_in_web_ui=False,
        help="Load plan of a system that is already up. Without it the scenario starts the system itself.",
    )
    topologies = registry.names("topology")
    parser.add_argument(
        "--topology",
        env_var="SAGASTORM_TOPOLOGY",
        choices=topologies or None,
        default=topologies[0] if topologies else default.topologies[0],
        help="Topology to start, where there is no plan",
    )
    parser.add_argument(
        "--storm",
        env_var="SAGASTORM_STORM",
        default=default.storm,
        help="Storm: the name of one that comes with sagastorm, or a TOML file",
    )
    parser.add_argument(
        "--rate", env_var="SAGASTORM_RATE", type=float, default=default.rate_per_s, help="Arrivals per second"
    )
    parser.add_argument(
        "--duration", env_var="SAGASTORM_DURATION", type=float, default=default.duration_s, help="Seconds of load"
    )
    parser.add_argument("--seed", env_var="SAGASTORM_SEED", type=int, default=default.seed, help="Seed of everything")
    parser.add_argument(
        "--arrivals",
        env_var="SAGASTORM_ARRIVALS",
        choices=list(SHAPES),
        default=default.arrivals,
        help="Gaps between arrivals: exponential or equal",
    )


def up_command(saga: str, options: Namespace) -> list[str]:
    """The command that brings the system up for these options."""
    return [
        *_UP,
        *("--saga", saga),
        *("--topology", str(options.topology)),
        *("--storm", str(options.storm)),
        *("--rate", str(options.rate)),
        *("--duration", str(options.duration)),
        *("--seed", str(options.seed)),
        *("--arrivals", str(options.arrivals)),
    ]
