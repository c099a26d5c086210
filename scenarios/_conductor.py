"""The one process that starts, watches and ends a test: Locust's only process, or its master.

The order of a test: 1 get a plan, starting the system if there is none; 2 choose the epoch; 3 give every process its
share; 4 wait until all have drained; then 1 again where the system has another block; 5 let Locust stop. A test that is
stopped before its time goes on with 4: what is under way when the arrivals end is never thrown away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from locust import LoadTestShape

from harness.core.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EnvironmentFailure,
    Problem,
    SagastormError,
    UsageError,
)
from harness.load.plan import LoadPlan, read_plan, refuse_second_load, write_epoch
from scenarios._blocks import SLACK_S, BlockLoad
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
from scenarios._system import READY_LIMIT_S, System
from scenarios._tab import Shown

START_LEAD_S = 1.0
"""From the start of a test to its first second, where the plan leaves that to us: time to prepare in."""
_HURRY_S = 8.0
_REPORT_S = 120.0
"""For the drain, audit and report of a system that we started, beyond the time that it may wait for outcomes."""

logger = logging.getLogger("sagastorm.load")

PlanSource = Callable[[], "LoadPlan | System"]


class Test:
    """A test under way: its blocks, one after the other. Stopped, it has no further block."""

    def __init__(self, block: BlockLoad) -> None:
        self.block = block
        self.began_s = time.monotonic()
        self.stopped = False
        self.done = Event()
        """Set when all have told how the last block went, and that has been looked at."""


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
    """One per Locust, for all tests that are started in it."""

    def __init__(self, environment: Any, source: PlanSource) -> None:
        self._environment = environment
        self.runner = environment.runner
        self._source = source
        self._test: Test | None = None
        self.shown = Shown()
        """For the web UI."""
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
        test = self._test
        if self._failed:
            return None
        if test is None:
            # No users while nobody is there to be one: Locust asks for a start again only when the number changes.
            members = len(self._members())
            return members, max(1, members)
        if test.done.is_set() and not self._stopping:
            return None
        run_time_s = self._environment.parsed_options.run_time
        if run_time_s and not test.stopped and time.monotonic() - test.began_s >= run_time_s:
            logger.info("the run time limit is reached: no more arrivals")
            self._stop(test, at_once=False)
        return (len(test.block.members),) * 2

    def interrupt(self) -> None:
        """SIGINT or SIGTERM: the first ends the arrivals and waits for those under way, the second waits for nothing."""
        if self._interrupted:
            self._hurry()
            return
        self._interrupted = True
        if self._test is not None and not self._test.done.is_set():
            logger.info("interrupted: no more arrivals; waiting for sagas under way (once more to stop at once)")
        self._on_test_stopping()
        if not self._quitting:
            quit_process()

    # ---- the phases of a test

    def _on_test_start(self, **_: Any) -> None:
        self._stopping = False
        self._code = EXIT_INTERRUPTED  # What it comes to if the test is stopped before it has begun.
        with self._problems_told("the test could not be started"):
            self._begin()
            self._code = 0
        # Locust would go on with a test that has no load; tick() ends it.
        self._failed = self._code != 0

    def _begin(self) -> None:
        if self._finishing is not None:
            self._finishing.join()
        self.shown = Shown("starting")
        test = self._test = Test(self._load_of(self._first_plan()))
        self._send(test.block)
        gevent.spawn(self._go_through, test)

    def _first_plan(self) -> LoadPlan:
        source = self._source()
        if isinstance(source, LoadPlan):
            self.shown = Shown("running", Path(source.spool_dir).parents[1])
            return source
        self._system = source
        # The web UI shows this state; starting an emulator takes a while.
        self.runner.update_state("spawning")
        source.next_block()
        return self._announced_plan(source)

    def _announced_plan(self, system: System) -> LoadPlan:
        assert system.announced is not None
        self.shown = Shown("running", Path(system.announced.run))
        plan = read_plan(Path(system.announced.plan))
        self._report_limit_s = plan.outcome_wait_s + _REPORT_S
        return plan

    def _load_of(self, plan: LoadPlan) -> BlockLoad:
        refuse_second_load(plan)
        now_ns = time.monotonic_ns()
        if plan.epoch_ns is not None:
            epoch_ns = plan.epoch_ns
        else:
            epoch_ns = now_ns + int(START_LEAD_S * 1e9)
            write_epoch(plan, epoch_ns)
        if epoch_ns / 1e9 + plan.duration_s <= now_ns / 1e9:
            raise UsageError([Problem("epoch_ns", epoch_ns, "a plan whose load is not over already")])
        return BlockLoad(plan, epoch_ns, self._members())

    def _send(self, block: BlockLoad) -> None:
        """Give every member its share. One that cannot take it says so at once, so the block must be known by now."""
        plan, of = msgspec.json.encode(block.plan).decode(), len(block.members)
        for index, member in enumerate(block.members):
            message = LoadMessage(plan, block.epoch_ns, index, of, key_digest())
            self.runner.send_message(LOAD, msgspec.to_builtins(message), client_id=member)

    def _go_through(self, test: Test) -> None:
        """Block after block, until there is none, or a problem, or somebody stops."""
        with self._problems_told("the test could not go on"):
            while True:
                self._watch(test)
                self._conclude(test)
                plan = None if test.stopped or self._code else self._next_plan(test)
                if plan is None:
                    break
                test.block = self._load_of(plan)
                if not test.block.members:
                    raise EnvironmentFailure("no load process is left")
                self._send(test.block)
                if test.stopped:
                    self._stop(test, at_once=self._hurried.is_set())
        test.done.set()

    def _next_plan(self, test: Test) -> LoadPlan | None:
        system = self._system
        if system is None or system.announced is None or system.announced.is_last:
            return None
        system.block_is_over()
        limit_s = test.block.plan.outcome_wait_s + READY_LIMIT_S
        if not system.next_block(limit_s, wanted=lambda: not test.stopped):
            return None  # Where the system has ended, its exit code says why.
        return self._announced_plan(system)

    def _watch(self, test: Test) -> None:
        """Wait for all to drain, and for nobody who cannot."""
        block = test.block
        while not block.all_told.wait(1.0):
            for index in range(len(block.members)):
                if self._is_lost(block.members[index]):
                    block.give_up(index, f"load process {index} was lost")
                elif time.monotonic() > block.limit_s:
                    block.give_up(index, f"load process {index} did not drain in time")
            if self._system is not None and not self._system.running() and not test.stopped:
                block.problems.append("the system under test ended during the load")
                self._stop(test, at_once=True)

    def _conclude(self, test: Test) -> None:
        block, counts = test.block, test.block.counts()
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        logger.info("load (%s): %s", block.plan.topology, told)
        answered = sum(counts.get(status, 0) for status in ("dropped", "accepted", "rejected", "error"))
        if answered != counts.get("due") or (not test.stopped and counts.get("due") != counts.get("scheduled")):
            block.problems.append("not every arrival is accounted for")
        for problem in block.problems:
            logger.error("load (%s): %s", block.plan.topology, problem)
        if block.problems:
            self._code = EXIT_ENVIRONMENT
            self._show_problem("; ".join(block.problems))

    def _on_drained(self, msg: Any, **_: Any) -> None:
        if self._test is not None:
            self._test.block.report(msgspec.convert(msg.data, DrainedMessage))

    @contextmanager
    def _problems_told(self, what: str) -> Iterator[None]:
        try:
            yield
        except SagastormError as error:
            logger.error("%s", error)
            self._code = error.exit_code
            self._show_problem(str(error))
        except Exception as error:
            logger.exception("%s", what)
            self._code = EXIT_ENVIRONMENT
            self._show_problem(f"{what}: {error!r}")

    def _show_problem(self, problem: str) -> None:
        self.shown = msgspec.structs.replace(self.shown, problem=problem)

    # ---- its end

    def _stop(self, test: Test, *, at_once: bool) -> None:
        test.stopped = True
        block = test.block
        wait_s = _HURRY_S if at_once else block.plan.outcome_wait_s + SLACK_S
        block.limit_s = min(block.limit_s, time.monotonic() + wait_s)
        for member in block.members:
            self.runner.send_message(STOP, msgspec.to_builtins(StopMessage(at_once)), client_id=member)

    def _on_test_stopping(self, **_: Any) -> None:
        """Whoever stops the test: its arrivals end, and it is only stopped when it has drained."""
        test = self._test
        if test is not None and not test.done.is_set():
            if not self._stopping:
                self._stopping = True
                self._stop(test, at_once=False)
            test.done.wait()

    def _on_test_stop(self, **_: Any) -> None:
        self._test = None
        self._failed = False
        if self._system is not None and self._finishing is None:
            self.shown = msgspec.structs.replace(self.shown, stage="ending")
            self._finishing = gevent.spawn(self._finish, self._system)
        elif self._system is None:
            self.shown = msgspec.structs.replace(self.shown, stage="over")

    def _finish(self, system: System) -> None:
        logger.info("the load is over; the system drains, audits and reports")
        code = system.finish(self._report_limit_s)
        self._code = self._code or code
        self._system = self._finishing = None
        self.shown = msgspec.structs.replace(self.shown, stage="over")

    def _on_quitting(self, environment: Any, **_: Any) -> None:
        self._quitting = True
        self._on_test_stopping()
        self._on_test_stop()
        if self._finishing is not None:
            gevent.wait([self._finishing, self._hurried], count=1)
        environment.process_exit_code = EXIT_INTERRUPTED if self._hurried.is_set() else self._code

    def _hurry(self) -> None:
        self._hurried.set()
        if self._test is not None and not self._test.done.is_set():
            self._stop(self._test, at_once=True)

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
