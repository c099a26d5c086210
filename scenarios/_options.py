"""The options that sagastorm adds to Locust's, on the command line, in the environment and in the web UI's start form."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness import registry
from harness.load.plan import SHAPES
from harness.settings import RunSettings

FORM = ("topology", "interleave", "storm", "rate", "duration", "seed", "arrivals", "mitigations")
"""What the start form asks for."""
BOTH = "both"
_UP = (sys.executable, "-m", "harness.cli.main", "up")


def add_options(parser: Any) -> None:
    """Listener of ``events.init_command_line_parser``.

    The form shows a help text as part of its field's label. An empty field is nobody's choice, which `sagastorm up` then
    makes; what is in a field is checked by it too, all of it at once, so nothing is refused here.
    """
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
    parser.add_argument(
        "--endpoint-url", default="", include_in_web_ui=False, help="An emulator that already runs, for the system"
    )

    def add(name: str, value: object, what: str, choices: list[str] | None = None) -> None:
        parser.add_argument(
            f"--{name}",
            env_var=_variable(name),
            default=str(value),
            help=what,
            choices=choices,
            type=_offered_by(choices) if choices else str,
        )

    add("topology", BOTH, "both take turns in one run", [BOTH, *registry.names("topology")])
    add("interleave", "", "one letter a block; empty: ABBA for both, A for one")
    add("storm", default.storm, "what trouble there is", _storms())
    add("rate", "", f"sagas per second; empty: {default.rate_per_s:g}, or what a running backend can take")
    add("duration", "", f"seconds of load in each block; empty: {default.duration_s:g}, longer for few arrivals")
    add("seed", default.seed, "decides arrivals, orders and strikes")
    add("arrivals", default.arrivals, "gaps between arrivals: exponential or equal", list(SHAPES))
    add("mitigations", "", "changed ones, as backoff=none,sweeper=off; empty: all on")


def up_command(saga: str, options: Namespace) -> list[str]:
    """The command that brings the system up for these options."""
    given = {"saga": saga, **{name: getattr(options, name) for name in (*FORM, "endpoint_url")}}
    flags = [(f"--{name.replace('_', '-')}", str(value)) for name, value in given.items() if value]
    return [*_UP, *(part for flag in flags for part in flag)]


def environment_of_up() -> dict[str, str]:
    """Ours, without what the options have taken from it: a field that was emptied is nobody's choice any more."""
    taken = {"SAGASTORM_LIFELINE", *map(_variable, FORM)}
    return {name: value for name, value in os.environ.items() if name not in taken}


def _variable(name: str) -> str:
    return f"SAGASTORM_{name.upper()}"


def _offered_by(choices: list[str]) -> Callable[[str], str]:
    """Reads an option whose choices are offered, not prescribed: a storm may be a file, topologies a list."""

    def read(text: str) -> str:
        if text not in choices:
            choices.append(text)
        return text

    return read


def _storms() -> list[str]:
    """Those that come with sagastorm, found without importing what makes them strike."""
    spec = find_spec("chaos")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return sorted(path.stem for folder in folders for path in (Path(folder) / "storms").glob("*.toml"))
