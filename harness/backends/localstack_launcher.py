"""Serve LocalStack, or DynamoDB Local, on 127.0.0.1. A script: their own interpreter runs it, so it imports nothing of ours.

``localstack_env.py`` starts it as ``localstack_launcher.py localstack SCRATCH`` (LocalStack reads its settings from the
environment) or ``localstack_launcher.py dynamodb SCRATCH PORT FOLDER``, where the folder holds ``DynamoDBLocal.jar``.

* Standard input is the lifeline. It carries nothing; when it closes, the parent is gone, however it died, and this
  process removes SCRATCH, its temporary folder, and ends with all that it started.
* DynamoDB Local listens on every interface and has no option for it. So its server is made as its own ``main`` makes it,
  and told its address before it starts. That takes a JVM inside this process (JPype, which LocalStack brings): with
  ``java`` alone it would take a compiler, which a Java runtime does not have.
"""

from __future__ import annotations

import importlib
import os
import select
import shutil
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
ORPHAN_CHECK_S = 0.5


def watch_lifeline(scratch: Path) -> None:
    """Wait for the parent to go, then leave nothing behind.

    The parent's id is watched as well, because a process that the parent forked may hold the pipe open.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], ORPHAN_CHECK_S)
        if readable and not os.read(0, 4096):
            break
    shutil.rmtree(scratch, ignore_errors=True)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(0, signal.SIGKILL)  # it leads a session of its own
    os._exit(0)


def serve_dynamodb(port: int, folder: Path) -> None:
    """Serve until this process is ended. Tables are kept in memory and shared by all regions and keys."""
    jpype: Any = importlib.import_module("jpype")
    libraries = folder / "DynamoDBLocal_lib"
    jpype.startJVM(
        f"-Djava.library.path={libraries}", classpath=[str(folder / "DynamoDBLocal.jar"), str(libraries / "*")]
    )
    runner = jpype.JClass("software.amazon.dynamodb.services.local.main.ServerRunner")
    server = runner.createServerFromCommandLineArgs(["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)])
    field = server.getClass().getDeclaredField("server")
    field.setAccessible(True)
    jetty = field.get(server)
    for connector in jetty.getConnectors():
        connector.setHost(HOST)
    server.safeStart()
    server.join()


def serve_localstack() -> None:
    """Serve until a signal comes."""
    importlib.import_module("localstack.runtime.main").main()


if __name__ == "__main__":
    threading.Thread(target=watch_lifeline, args=(Path(sys.argv[2]),), daemon=True).start()
    if sys.argv[1] == "dynamodb":
        serve_dynamodb(int(sys.argv[3]), Path(sys.argv[4]))
    else:
        serve_localstack()
