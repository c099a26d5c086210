"""What every scenario is made from: an open load on one saga, planned by a file or by Locust's options.

With a plan (``--sagastorm-plan``) the system is up already, and the harness judges the run. Without one the scenario
starts ``sagastorm up`` itself at the start of each test, loads its blocks one after the other, and Locust exits with its
verdict.

Made from ``User`` and an HTTP client of its own (:mod:`scenarios._ingress`), not from ``FastHttpUser``. That one's
client is geventhttpclient's, whose way of sending took a fifth to a third of the generator's CPU time; it fails above
1,024 descriptors, as it looks at idle connections with ``select()``, and an open load against a slow system has more;
and it repeats a GET whose connection broke by itself, so a test would load the system with what nobody recorded.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from locust import User, events
from locust.runners import LocalRunner, MasterRunner

from harness import registry
from harness.core.errors import EXIT_USAGE, Problem, UsageError
from harness.core.identity import KEY_VARIABLE
from harness.load.plan import LoadPlan, read_plan, refuse_second_load
from scenarios._conductor import Conductor, OneUserPerProcess, PlanSource, only_plan
from scenarios._lifeline import watch_lifeline
from scenarios._options import add_options, up_command
from scenarios._performer import Performer
from scenarios._start_form import refuse_in_form
from scenarios._system import System, check
from scenarios._tab import add_sagas_tab

_key_was_given = bool(os.environ.get(KEY_VARIABLE))
if not _key_was_given:
    # On import, which is before Locust forks its workers: they and the system must all have the same one.
    os.environ[KEY_VARIABLE] = secrets.token_hex(32)


class OpenArrivals(User):  # type: ignore[misc]
    """Customers who come when they come. One instance stands for all of a process's arrivals, which run beside it."""

    abstract = True
    host = "http://127.0.0.1"
    """Of no meaning: the address of the ingress is in the plan."""
    saga: ClassVar[str | None] = None
    """The saga's name; none: the plan says, or ``--saga``."""

    def attend(self) -> None:
        """Be there until Locust ends the test, which its conductor decides."""
        Event().wait()

    tasks: ClassVar[list[Any]] = [attend]

    @classmethod
    def up(cls, saga: str, options: Namespace) -> Sequence[str]:
        """The command that brings up the system for a test without a plan; with ``--check`` it only checks the input."""
        return up_command(saga, options)


def _on_init(environment: Any, **_: Any) -> None:
    """Every process of Locust comes by here, after the fork."""
    watch_lifeline()
    # Failed requests are results, and Locust's own exit code would make them a failure of the generator.
    environment.process_exit_code = 0
    runner = environment.runner
    conductor: Conductor | None = None
    if isinstance(runner, (LocalRunner, MasterRunner)):
        try:
            source = _plan_source(environment)
        except UsageError as error:
            for problem in error.problems:
                print(f"sagastorm: {problem}", file=sys.stderr)
            sys.exit(EXIT_USAGE)
        conductor = Conductor(environment, source)
        environment.shape_class = OneUserPerProcess(conductor)
        if environment.web_ui is not None:
            add_sagas_tab(environment.web_ui, lambda: conductor.shown)
    performer: Performer | None = None
    if not isinstance(runner, MasterRunner):
        performer = environment.sagastorm_performer = Performer(environment)
    boss = conductor or performer
    assert boss is not None
    _take_signals(environment, boss)


def _plan_source(environment: Any) -> PlanSource:
    """Where plans come from. Refuses what cannot work before anything is started."""
    options = environment.parsed_options
    scenario = _scenario(environment)
    if options.class_picker:
        raise UsageError([Problem("--class-picker", True, "a locustfile with one scenario has nothing to pick from")])
    if options.sagastorm_plan:
        plan = read_plan(Path(options.sagastorm_plan))
        problems = []
        if not _key_was_given:
            problems.append(Problem(KEY_VARIABLE, None, "with a plan, the key that its ingress checks identities with"))
        if scenario.saga not in (None, plan.saga):
            problems.append(Problem("saga", plan.saga, f"this scenario is of {scenario.saga}; any_saga.py takes any"))
        if problems:
            raise UsageError(problems)
        registry.saga(plan.saga)
        refuse_second_load(plan)
        refuse_in_form(environment, partial(_refuse_used, plan))
        return only_plan(plan)
    if options.host:
        raise UsageError(
            [
                Problem(
                    "--host",
                    options.host,
                    "an ingress is named by a plan, with the schedule and the seed that its system was set up for: "
                    "give --sagastorm-plan FILE, or neither, and the scenario starts a system itself",
                )
            ]
        )
    if not (scenario.saga or getattr(options, "saga", None)):
        raise UsageError([Problem("--saga", None, "the name of a saga, or a plan")])

    def command(chosen: Namespace) -> Sequence[str]:
        return scenario.up(scenario.saga or chosen.saga, chosen)

    def refusal(form: Mapping[str, str]) -> str | None:
        known = vars(options)
        return check(command(Namespace(**known | {name: value for name, value in form.items() if name in known})))

    refuse_in_form(environment, refusal)
    return lambda: System(command(options))


def _refuse_used(plan: LoadPlan, _form: Mapping[str, str]) -> None:
    refuse_second_load(plan)


def _scenario(environment: Any) -> type[OpenArrivals]:
    classes = environment.user_classes
    if len(classes) != 1 or not issubclass(classes[0], OpenArrivals):
        names = [user.__name__ for user in classes]
        raise UsageError([Problem("user classes", names, "one, made from OpenArrivals")])
    scenario: type[OpenArrivals] = classes[0]
    return scenario


def _take_signals(environment: Any, boss: Conductor | Performer) -> None:
    """Handle SIGINT and SIGTERM in a greenlet of their own.

    By default SIGINT is raised in whichever greenlet runs, and would lose the saga that this one was about to record;
    SIGTERM kills, as Locust takes it only after a shape such as ours has ended.
    """
    signs = (signal.SIGINT, signal.SIGTERM)
    watchers = [gevent.signal_handler(sign, boss.interrupt) for sign in signs]

    def give_back(**_: Any) -> None:
        for watcher, sign in zip(watchers, signs, strict=True):
            watcher.cancel()
            signal.signal(sign, signal.SIG_DFL)

    environment.events.quit.add_listener(give_back)


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(_on_init)
