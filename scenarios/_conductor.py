"""The one process that starts, watches and ends a run: Locust's only process, or its master.

The order of a run: 1 get a plan, starting the system if there is none; 2 choose the epoch; 3 give every process its
share; 4 wait until all have drained; 5 let Locust stop. A run that is stopped before its time goes on with 4: what is
under way when the arrivals end is never thrown away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from locust import LoadTestShape

from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, Problem, SagastormError, UsageError
from harness.load.plan import LoadPlan, read_plan, refuse_second_load, write_epoch
from scenarios._performer import (
    DRAINED,
    LOAD,
    STOP,
    DrainedMessage,
    LoadMessage,
    StopMessage,
    key_digest,
    quit_process,
)
from scenarios._system import System

START_LEAD_S = 1.0
"""From the start of a test to its first second, where the plan leaves that to us: time to prepare in."""
_SLACK_S = 20.0
_HURRY_S = 8.0
_REPORT_S = 120.0
"""For the drain, audit and report of a system that we started, beyond the time that it may wait for outcomes."""

logger = logging.getLogger("sagastorm.load")

PlanSource = Callable[[], "LoadPlan | System"]


class Run:
    """One run under way: who takes part, and who has drained."""

    def __init__(self, plan: LoadPlan, epoch_ns: int, members: list[str]) -> None:
        self.plan = plan
        self.members = members
        self.epoch_ns = epoch_ns
        self.began_s = time.monotonic()
        self.limit_s = epoch_ns / 1e9 + plan.duration_s + plan.outcome_wait_s + _SLACK_S
        self.stopped = False
        self.reports: dict[int, DrainedMessage] = {}
        self.problems: list[str] = []
        self.all_told = Event()
        self.done = Event()
        """Set when all have told how it went, and that has been looked at."""

    def report(self, message: DrainedMessage) -> None:
        """A member has drained, or cannot. One that still had an earlier run to drain is not listened to."""
        if message.epoch_ns != self.epoch_ns:
            return
        self.reports.setdefault(message.index, message)
        if message.problem:
            self.problems.append(message.problem)
        if len(self.reports) == len(self.members):
            self.all_told.set()

    def give_up(self, index: int, problem: str) -> None:
        """A member will never say that it has drained."""
        if index not in self.reports:
            self.report(DrainedMessage(self.epoch_ns, index, {}, problem))

    def counts(self) -> Mapping[str, int]:
        """What became of the arrivals, over all members."""
        total: dict[str, int] = {}
        for message in self.reports.values():
            for name, count in message.counts.items():
                total[name] = total.get(name, 0) + count
        return total


class OneUserPerProcess(LoadTestShape):  # type: ignore[misc]
    """Takes the number of users out of the user's hands: the schedule says what arrives, not how many users there are."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor
        self.runner = conductor.runner

    def tick(self) -> tuple[int, float] | None:
        """(users, spawn rate), or none where the run is over. Locust asks once a second."""
        return self._conductor.tick()


class Conductor:
    """One per Locust, for all runs that are started in it."""

    def __init__(self, environment: Any, source: PlanSource) -> None:
        self._environment = environment
        self.runner = environment.runner
        self._source = source
        self._run: Run | None = None
        self._failed = False
        self._stopping = False
        self._quitting = False
        self._interrupted = False
        self._hurried = Event()
        self._system: System | None = None
        self._finishing: gevent.Greenlet | None = None
        self._report_limit_s = _REPORT_S
        self._code = 0
        # Until it is known better: an exception in the shutdown must not look like a success.
        environment.process_exit_code = EXIT_ENVIRONMENT
        self.runner.register_message(DRAINED, self._on_drained)
        events = environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_quitting)

    def tick(self) -> tuple[int, float] | None:
        """What Locust is to do next; see :class:`OneUserPerProcess`."""
        run = self._run
        if self._failed:
            return None
        if run is None:
            # No users while nobody is there to be one: Locust asks for a start again only when the number changes.
            members = len(self._members())
            return members, max(1, members)
        if run.done.is_set() and not self._stopping:
            return None
        run_time_s = self._environment.parsed_options.run_time
        if run_time_s and not run.stopped and time.monotonic() - run.began_s >= run_time_s:
            logger.info("the run time limit is reached: no more arrivals")
            self._stop(run, at_once=False)
        return (len(run.members),) * 2

    def interrupt(self) -> None:
        """SIGINT or SIGTERM: the first ends the arrivals and waits for those under way, the second waits for nothing."""
        if self._interrupted:
            self._hurry()
            return
        self._interrupted = True
        if self._run is not None and not self._run.done.is_set():
            logger.info("interrupted: no more arrivals; waiting for sagas under way (once more to stop at once)")
        self._on_test_stopping()
        if not self._quitting:
            quit_process()

    # ---- the phases of a run

    def _on_test_start(self, **_: Any) -> None:
        self._stopping = False
        self._code = EXIT_INTERRUPTED  # What it comes to if the test is stopped before it has begun.
        try:
            self._begin()
            self._code = 0
        except SagastormError as error:
            logger.error("%s", error)
            self._code = error.exit_code
        except Exception:
            logger.exception("the test could not be started")
            self._code = EXIT_ENVIRONMENT
        # Locust would go on with a test that has no load; tick() ends it.
        self._failed = self._code != 0

    def _begin(self) -> None:
        if self._finishing is not None:
            self._finishing.join()
        plan = self._plan()
        refuse_second_load(plan)
        now_ns = time.monotonic_ns()
        if plan.epoch_ns is not None:
            epoch_ns = plan.epoch_ns
        else:
            epoch_ns = now_ns + int(START_LEAD_S * 1e9)
            write_epoch(plan, epoch_ns)
        if epoch_ns / 1e9 + plan.duration_s <= now_ns / 1e9:
            raise UsageError([Problem("epoch_ns", epoch_ns, "a plan whose load is not over already")])
        members = self._members()
        run = self._run = Run(plan, epoch_ns, members)
        for index, member in enumerate(members):
            message = LoadMessage(msgspec.json.encode(plan).decode(), epoch_ns, index, len(members), key_digest())
            self.runner.send_message(LOAD, msgspec.to_builtins(message), client_id=member)
        gevent.spawn(self._watch, run)

    def _plan(self) -> LoadPlan:
        source = self._source()
        if isinstance(source, LoadPlan):
            return source
        self._system = source
        # The web UI shows this state; starting an emulator takes a while.
        self.runner.update_state("spawning")
        plan = read_plan(source.wait_until_ready())
        self._report_limit_s = plan.outcome_wait_s + _REPORT_S
        return plan

    def _watch(self, run: Run) -> None:
        """Wait for all to drain, and for nobody who cannot."""
        while not run.all_told.wait(1.0):
            for index in range(len(run.members)):
                if self._is_lost(run.members[index]):
                    run.give_up(index, f"load process {index} was lost")
                elif time.monotonic() > run.limit_s:
                    run.give_up(index, f"load process {index} did not drain in time")
            if self._system is not None and not self._system.running() and not run.stopped:
                run.problems.append("the system under test ended during the load")
                self._stop(run, at_once=True)
        self._conclude(run)
        run.done.set()

    def _conclude(self, run: Run) -> None:
        counts = run.counts()
        logger.info("load: %s", ", ".join(f"{count} {name}" for name, count in counts.items()))
        answered = sum(counts.get(status, 0) for status in ("dropped", "accepted", "rejected", "error"))
        if answered != counts.get("due") or (not run.stopped and counts.get("due") != counts.get("scheduled")):
            run.problems.append("not every arrival is accounted for")
        for problem in run.problems:
            logger.error("load: %s", problem)
        if run.problems:
            self._code = EXIT_ENVIRONMENT

    def _on_drained(self, msg: Any, **_: Any) -> None:
        if self._run is not None:
            self._run.report(msgspec.convert(msg.data, DrainedMessage))

    # ---- its end

    def _stop(self, run: Run, *, at_once: bool) -> None:
        run.stopped = True
        run.limit_s = min(run.limit_s, time.monotonic() + (_HURRY_S if at_once else run.plan.outcome_wait_s + _SLACK_S))
        for member in run.members:
            self.runner.send_message(STOP, msgspec.to_builtins(StopMessage(at_once)), client_id=member)

    def _on_test_stopping(self, **_: Any) -> None:
        """Whoever stops the test: its arrivals end, and it is only stopped when it has drained."""
        run = self._run
        if run is not None and not run.done.is_set():
            if not self._stopping:
                self._stopping = True
                self._stop(run, at_once=False)
            run.done.wait()

    def _on_test_stop(self, **_: Any) -> None:
        self._run = None
        self._failed = False
        if self._system is not None and self._finishing is None:
            self._finishing = gevent.spawn(self._finish, self._system)

    def _finish(self, system: System) -> None:
        logger.info("the load is over; the system drains, audits and reports")
        code = system.finish(self._report_limit_s)
        self._code = self._code or code
        self._system = self._finishing = None

    def _on_quitting(self, environment: Any, **_: Any) -> None:
        self._quitting = True
        self._on_test_stopping()
        self._on_test_stop()
        if self._finishing is not None:
            gevent.wait([self._finishing, self._hurried], count=1)
        environment.process_exit_code = EXIT_INTERRUPTED if self._hurried.is_set() else self._code

    def _hurry(self) -> None:
        self._hurried.set()
        if self._run is not None and not self._run.done.is_set():
            self._stop(self._run, at_once=True)

    # ---- the processes

    def _members(self) -> list[str]:
        """Client ids of the processes that make arrivals, in an order that does not depend on who connected first."""
        clients = getattr(self.runner, "clients", None)
        if clients is None:
            return [self.runner.client_id]
        active = [*clients.ready, *clients.spawning, *clients.running]
        return sorted((client.id for client in active), key=self.runner.get_worker_index)

    def _is_lost(self, member: str) -> bool:
        clients = getattr(self.runner, "clients", None)
        return clients is not None and (member not in clients or clients[member].state == "missing")


def only_plan(plan: LoadPlan) -> PlanSource:
    """A plan that was given: of a system that is up already."""
    return lambda: plan
