"""Listens, and goes on until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import signal
from collections.abc import Callable

from aiohttp import web

from harness.core.errors import EnvironmentFailure
from harness.serve.app import Folders, PastRuns

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
BACKLOG = 64
SHUTDOWN_S = 1.0


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(folders: Folders, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM. ``announce`` is told the address; port 0 is one that is free.

    Raises :class:`~harness.core.errors.EnvironmentFailure` where it cannot listen there.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    # Under which names a server that others reach is known to them cannot be told from here.
    names = {*LOOPBACK_NAMES, host} if is_loopback(host) else set()
    # A reader who has gone does not keep his place in the queue.
    runner = web.AppRunner(
        PastRuns(folders, names).app(), access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        except OSError as error:
            raise EnvironmentFailure(_why(error, host, port)) from error
        announce(f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}/")
        await stopping.wait()
    finally:
        await runner.cleanup()


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; --port takes another, and 0 any that is free"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}"
