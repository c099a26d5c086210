"""Serve MiniStack on 127.0.0.1. A script: the emulator's own interpreter runs it, so it imports nothing of ours.

``embedded.py`` starts it and tells it everything through its environment:

* ``SAGASTORM_LAUNCHER_REPORT``: the file in which it leaves one JSON object before it serves:
  ``{"ministack", "python", "port", "patched": [...], "not_patched": ["<name>: <why>", ...]}``.
* ``SAGASTORM_LAUNCHER_SCRATCH``: its temporary folder, removed here only if the parent is no longer there to do it.
* standard input: the lifeline. It carries nothing; when it closes, the parent is gone and this process exits at once.

MiniStack is served by uvicorn, which costs about half the CPU per request of its own server. Two waits in it exist for
no reason that AWS shares, and they fall on the two topologies unequally, so they are taken out at run time and only if
the source around them is the source they were written for:

* ``execution-start``: every Step Functions execution sleeps 150 ms before its first state.
* ``long-poll``: ReceiveMessage looks at its queue every 100 ms. Here it is woken when there is something to see; the
  100 ms look stays as the fallback, so a wake-up that went missing costs no more than before.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import select
import shutil
import socket
import sys
import threading
import time
import types
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

HOST = "127.0.0.1"
BACKLOG = 2048
ORPHAN_CHECK_S = 0.5

_SHORTEST_LOOK_S = 0.001
"""A message becomes visible in less: look again after this long, the resolution of the event loop's timers."""
_BLOCKED_LOOK_S = 0.005
"""A message is visible and was not taken (its FIFO group is busy, or it came between look and sleep)."""


class UnexpectedSource(Exception):
    """This MiniStack is not the one the patch was written for, so the patch was left out."""


# --- execution-start ------------------------------------------------------------------------------------------------


def remove_execution_start_delay(stepfunctions: Any) -> None:
    """Let ``_run_execution`` start at once; Wait states and retry backoffs go through ``_scaled_sleep`` and are kept.

    The module's name ``time`` is replaced, not ``time.sleep`` itself. The sleep is recognised by the function that
    calls it and not by its length, or a Wait of exactly 0.15 s would be swallowed too.

    Raises ``UnexpectedSource``.
    """
    runner = _attribute(stepfunctions, "_run_execution")
    _require(
        re.findall(r"\bsleep\(([^()]*)\)", _source(runner)) == ["0.15"], "_run_execution no longer sleeps 0.15 s once"
    )
    _require("time.sleep(0.15)" in _source(runner), "_run_execution sleeps by another name")
    _require(_attribute(stepfunctions, "time") is time, "its name `time` is not the time module")
    runner_code = runner.__code__

    def sleep(seconds: float) -> None:
        if sys._getframe(1).f_code is not runner_code:
            time.sleep(seconds)

    stepfunctions.time = _stand_in_for(time, sleep=sleep)


# --- long-poll ------------------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    """The long polls parked on one queue, longest waiting first (a dict for its order and cheap removal)."""

    queue: dict[str, Any]
    waiters: dict[asyncio.Future[None], None]


class LongPolls:
    """Parks long polls, and wakes as many on a queue as there are messages to see in it.

    All of MiniStack's producers (SendMessage, EventBridge, SNS, a dead-letter move, ChangeMessageVisibility to 0) end
    with ``esm_wake.set()``, some of them in the threads of Step Functions executions. ``notify`` stands in for that
    ``set``. No message is missed: the producer appends before it notifies, and a poll registers before it looks at the
    queue a last time, so at least one of the two sees the other.
    """

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._lines: dict[int, _Line] = {}
        self._look_is_due = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0

    def sleep(self, delay_s: float) -> Awaitable[None]:
        """What ``_act_receive_message`` awaits between two looks at its queue ``q``, instead of ``asyncio.sleep``."""
        queue = sys._getframe(1).f_locals.get("q")
        if not isinstance(queue, dict):
            return asyncio.sleep(delay_s)
        return self._park(queue, delay_s)

    async def _park(self, queue: dict[str, Any], delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._loop_thread = loop, threading.get_ident()
        waiter: asyncio.Future[None] = loop.create_future()
        line = self._lines.setdefault(id(queue), _Line(queue, {}))
        line.waiters[waiter] = None
        timer = loop.call_later(_patience_s(queue, delay_s), _release, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            line.waiters.pop(waiter, None)
            if not line.waiters and self._lines.get(id(queue)) is line:
                del self._lines[id(queue)]

    def notify(self) -> None:
        """Something may have become visible in some queue. Called from any thread; many calls make one look."""
        self._announce()
        loop = self._loop
        if loop is None or not self._lines or self._look_is_due:
            return
        self._look_is_due = True
        if threading.get_ident() == self._loop_thread:
            loop.call_soon(self._wake)
        else:
            with suppress(RuntimeError):  # the loop has closed: the emulator is on its way out
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._look_is_due = False  # before looking: whoever appends from here on asks for a look of its own
        now = time.time()
        for queue, waiters in self._lines.values():
            for waiter in list(islice(waiters, _visible(queue, now, at_most=len(waiters)))):
                waiters.pop(waiter)
                _release(waiter)


def remove_long_poll_latency(sqs: Any, eventbridge: Any) -> None:
    """Wake a long poll when its queue has something to see; look every 100 ms besides, as before.

    Replaces the name ``asyncio`` in the sqs module and the ``set`` of the one event that all producers set.

    Raises ``UnexpectedSource``.
    """
    receive = _source(_attribute(sqs, "_act_receive_message"))
    _require(
        _source(sqs).count("asyncio.sleep(") == 1
        and "await asyncio.sleep(min(0.1, max(0.01, deadline - time.time())))" in receive,
        "_act_receive_message no longer looks every 100 ms",
    )
    _require("q = _get_q(url, " in receive, "_act_receive_message holds its queue under another name")
    _require(_attribute(sqs, "asyncio") is asyncio, "its name `asyncio` is not the asyncio module")
    wake = _attribute(sqs, "esm_wake")
    _require(isinstance(wake, threading.Event), "esm_wake is not a threading.Event")
    _require(_attribute(eventbridge, "esm_wake") is wake, "EventBridge announces messages in another way")
    for module, producer in (
        (sqs, "_act_send_message"),
        (sqs, "_act_change_visibility"),
        (sqs, "_dlq_sweep"),
        (eventbridge, "_dispatch_to_sqs"),
    ):
        announced = "esm_wake.set()" in _source(_attribute(module, producer))
        _require(announced, f"{producer} does not announce its messages")

    polls = LongPolls(announce=wake.set)
    wake.set = polls.notify
    sqs.asyncio = _stand_in_for(asyncio, sleep=polls.sleep)


def _patience_s(queue: dict[str, Any], delay_s: float) -> float:
    """How long a poll may sleep before it looks by itself: until the next message's delay or visibility runs out."""
    now = time.time()
    due_s = min((message.get("visible_at", 0.0) - now for message in queue["messages"]), default=delay_s)
    if due_s <= 0:
        return _BLOCKED_LOOK_S
    return min(max(due_s, _SHORTEST_LOOK_S), delay_s)


def _visible(queue: dict[str, Any], now: float, at_most: int) -> int:
    count = 0
    for message in queue["messages"]:
        if message.get("visible_at", 0.0) <= now:
            count += 1
            if count == at_most:
                break
    return count


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


# --- patching -------------------------------------------------------------------------------------------------------


def patch_all(patches: Iterable[tuple[str, Callable[[], None]]]) -> tuple[list[str], list[str]]:
    """Apply each patch that still fits. Returns the names of those applied, and of those left out with the reason."""
    patched: list[str] = []
    not_patched: list[str] = []
    for name, patch in patches:
        try:
            patch()
        except UnexpectedSource as reason:
            not_patched.append(f"{name}: {reason}")
        else:
            patched.append(name)
    return patched, not_patched


def _stand_in_for(module: types.ModuleType, **replaced: object) -> types.ModuleType:
    """A copy of a module's namespace with some names replaced: as quick to use as the module itself."""
    stand_in = types.ModuleType(module.__name__, "A stand-in made by sagastorm.")
    stand_in.__dict__.update(module.__dict__, **replaced)
    return stand_in


def _attribute(module: Any, name: str) -> Any:
    _require(hasattr(module, name), f"there is no {name}")
    return getattr(module, name)


def _source(code: Any) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError) as error:
        raise UnexpectedSource(f"the source of {getattr(code, '__name__', code)} cannot be read") from error


def _require(expected: bool, otherwise: str) -> None:
    if not expected:
        raise UnexpectedSource(otherwise)


# --- the process ----------------------------------------------------------------------------------------------------


def watch_lifeline(scratch: Path | None) -> None:
    """End this process when the parent is gone: its end of standard input closes, however it died.

    The parent's id is watched as well, because a process that the parent forked may hold the pipe open.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], ORPHAN_CHECK_S)
        if readable and not os.read(0, 4096):
            break
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def listen() -> socket.socket:
    """A socket on a port that the system picks. Serving on the socket, not on its number, leaves no time to lose it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((HOST, 0))
    return listener


def write_report(path: Path, report: dict[str, object]) -> None:
    """Written beside and renamed, so that whoever waits for the file never reads half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(report), encoding="utf-8")
    partial.replace(path)


def leave(*_: object) -> None:
    """The answer to SIGTERM, instead of uvicorn's: nothing is kept, so there is nothing to wait for or to tidy up."""
    os._exit(0)


def main() -> None:
    """Bind, patch, report, serve until SIGTERM."""
    scratch = os.environ.get("SAGASTORM_LAUNCHER_SCRATCH")
    threading.Thread(target=watch_lifeline, args=(Path(scratch) if scratch else None,), daemon=True).start()
    listener = listen()
    port = listener.getsockname()[1]
    os.environ.update(BIND_HOST=HOST, GATEWAY_PORT=str(port))  # MiniStack reads both while it is imported

    services = {name: importlib.import_module(f"ministack.services.{name}") for name in _SERVICES}
    patched, not_patched = patch_all(
        (
            ("execution-start", lambda: remove_execution_start_delay(services["stepfunctions"])),
            ("long-poll", lambda: remove_long_poll_latency(services["sqs"], services["eventbridge"])),
        )
    )
    uvicorn = importlib.import_module("uvicorn")
    server = uvicorn.Server(
        uvicorn.Config(
            "ministack.app:app",
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,  # as MiniStack's own server: the application writes its headers itself
            date_header=False,
            backlog=BACKLOG,
        )
    )
    server.handle_exit = leave
    write_report(
        Path(os.environ["SAGASTORM_LAUNCHER_REPORT"]),
        {
            "ministack": importlib.metadata.version("ministack"),
            "python": platform.python_version(),
            "port": port,
            "patched": patched,
            "not_patched": not_patched,
        },
    )
    server.run(sockets=[listener])
    os._exit(1)  # it would not start; SIGTERM leaves by another way


_SERVICES = ("sqs", "dynamodb", "stepfunctions", "eventbridge")

if __name__ == "__main__":
    main()
