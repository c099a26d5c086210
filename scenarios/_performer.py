"""A process that makes arrivals: Locust's only process, or one of its workers.

It is told what to load and when to stop, and tells when it has drained. The messages are Locust's own; on the local
runner they are delivered within the process, so there is one way for both.
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import Any

import gevent
import msgspec
from locust.runners import WorkerRunner

from harness.core.errors import EnvironmentFailure
from harness.core.identity import KEY_VARIABLE
from harness.load.plan import decode_plan
from scenarios._load import Load

LOAD = "sagastorm-load"
STOP = "sagastorm-stop"
DRAINED = "sagastorm-drained"
MASTER_GONE_S = 10.0
"""A worker that was told to stop by a signal, and has drained, waits this long for its master to tell it to quit."""

logger = logging.getLogger("sagastorm.load")


class LoadMessage(msgspec.Struct, frozen=True):
    """What a process is to load. ``key_digest`` tells whether it has the key, without telling the key."""

    plan: str
    epoch_ns: int
    index: int
    of: int
    key_digest: str


class StopMessage(msgspec.Struct, frozen=True):
    """No more arrivals; ``at_once``: nor any wait for the ones under way."""

    at_once: bool


class DrainedMessage(msgspec.Struct, frozen=True):
    """A process has recorded all it will, of the run that began at ``epoch_ns``."""

    epoch_ns: int
    index: int
    counts: dict[str, int]
    problem: str | None


def key_digest() -> str:
    """Of the key in this process's environment."""
    return hashlib.sha256(b"sagastorm " + os.environ.get(KEY_VARIABLE, "").encode()).hexdigest()[:16]


class Performer:
    """One per process, for all runs that are started in it."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._interrupted = False
        self.load: Load | None = None
        self._runner.register_message(LOAD, self._on_load)
        self._runner.register_message(STOP, self._on_stop)
        if isinstance(self._runner, WorkerRunner):
            # Where it is stopped by somebody else than its conductor, the load still drains before its process ends.
            environment.events.test_stopping.add_listener(self._drain)
            environment.events.quitting.add_listener(self._drain)

    def interrupt(self) -> None:
        """SIGINT or SIGTERM to a worker. Its master has had one too, or is gone."""
        if self._interrupted or not self._under_way():
            if self.load is not None:
                self.load.abort()
            quit_process()
            return
        self._interrupted = True
        self._drain()
        gevent.sleep(MASTER_GONE_S)
        quit_process()

    def _on_load(self, msg: Any, **_: Any) -> None:
        message = msgspec.convert(msg.data, LoadMessage)
        if self.load is not None:
            self.load.abort()  # A run that its conductor gave up: nobody waits for it any more.
        try:
            if message.key_digest != key_digest():
                raise EnvironmentFailure(f"{KEY_VARIABLE} is not the same as in the master's environment")
            self.load = Load(
                decode_plan(message.plan),
                message.epoch_ns,
                index=message.index,
                of=message.of,
                key=os.environ[KEY_VARIABLE],
                fire=self._environment.events.request.fire,
            )
        except Exception as error:
            logger.exception("the load could not be prepared")
            self._tell(DrainedMessage(message.epoch_ns, message.index, {}, f"the load could not be prepared: {error}"))
        else:
            gevent.spawn(self._tell_when_drained, message, self.load)

    def _on_stop(self, msg: Any, **_: Any) -> None:
        if self.load is None:
            return
        if msgspec.convert(msg.data, StopMessage).at_once:
            self.load.abort()
        else:
            self.load.stop_arrivals()

    def _tell_when_drained(self, message: LoadMessage, load: Load) -> None:
        load.drained.wait()
        counts = msgspec.structs.asdict(load.counts)
        self._tell(DrainedMessage(message.epoch_ns, message.index, counts, load.problem))

    def _tell(self, message: DrainedMessage) -> None:
        self._runner.send_message(DRAINED, msgspec.to_builtins(message))

    def _drain(self, **_: Any) -> None:
        if self.load is not None and self._under_way():
            self.load.stop_arrivals()
            # Bounded by the plan's limit, which the load itself keeps.
            self.load.drained.wait()

    def _under_way(self) -> bool:
        return self.load is not None and not self.load.drained.is_set()


def quit_process() -> None:
    """End this process as Ctrl-C would: through Locust's own shutdown, in the main greenlet."""
    gevent.kill(gevent.get_hub().parent, KeyboardInterrupt())
