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
    # Empty is nobody's choice, which `sagastorm up` then makes by the backend: only it knows which one that is.
    parser.add_argument(
        "--rate",
        env_var="SAGASTORM_RATE",
        default="",
        help=f"Arrivals per second. Empty: {default.rate_per_s:g}, or what a backend that already runs can take",
    )
    parser.add_argument(
        "--duration",
        env_var="SAGASTORM_DURATION",
        default="",
        help=f"Seconds of load. Empty: {default.duration_s:g}, longer where arrivals are few",
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
        *(("--rate", options.rate) if options.rate else ()),
        *(("--duration", options.duration) if options.duration else ()),
        *("--seed", str(options.seed)),
        *("--arrivals", str(options.arrivals)),
    ]
