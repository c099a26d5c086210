"""Starts what a service of ``docker-compose.yml`` would start, as it stands there, but outside a container.

Three things are different. Ports of a namespace of its own become free ones of this machine. 0.0.0.0, which in such a
namespace is what publishing takes, becomes 127.0.0.1. And paths of the container lead into a folder that stands for its
root, in which everything is mounted that the file mounts.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.compose.compose_file import ROOT, mounts

LIMIT_S = 60.0
"""Of any wait: what takes longer has failed."""
_STOP_LIMIT_S = 20.0


class Outside:
    """One service. Its process leads a session of its own, and goes when this is closed."""

    def __init__(self, service: Mapping[str, Any], folder: Path, ports: Mapping[int, int], **environ: str) -> None:
        """``ports`` maps those of the namespace to those of this machine, ``environ`` is what the image would set."""
        self._service = service
        self._folder = folder
        self._ports = ports
        self._root = folder / "root"
        self._environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("SAGASTORM_", "LOCUST_", "AWS_"))
            },
            # In the image the same programs come first.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            **{name: self._here(value) for name, value in service["environment"].items()},
            **environ,
        }
        self._log_path = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, program: str | None = None) -> None:
        """Start its command; ``program`` is what its image starts where the command has the arguments only."""
        self._mount()
        command = [self._here(part) for part in self._service["command"]]
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [program, *command] if program else command,
                cwd=ROOT,  # the tree is where the image has it, in its working folder
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_healthy(self) -> bool:
        """What its health check says, run as it stands there."""
        kind, *check = self._service["healthcheck"]["test"]
        assert kind == "CMD"
        checked = subprocess.run(
            [self._here(part) for part in check], env=self._environ, capture_output=True, check=False, timeout=LIMIT_S
        )
        return checked.returncode == 0

    def wait_until_healthy(self) -> None:
        """Ask until it is, while its process lives."""
        deadline = time.monotonic() + LIMIT_S
        while not self.is_healthy():
            assert self.process is not None and self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def addresses(self) -> set[str]:
        """On which it, or anything that it started, listens."""
        assert self.process is not None
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        connections = [connection for one in family for connection in one.net_connections("tcp")]
        return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}

    def stop(self) -> int:
        """As ``docker compose stop`` would; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_LIMIT_S)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(_STOP_LIMIT_S)

    def path(self, target: str) -> Path:
        """Where a path of the container is here."""
        return self._root / target.lstrip("/")

    @property
    def log(self) -> str:
        """Everything that it printed."""
        return self._log_path.read_text(errors="replace")

    def _mount(self) -> None:
        for mount in mounts(self._service):
            target = self.path(mount.target)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not mount.is_path:
                target.mkdir(exist_ok=True)
            elif (source := ROOT / mount.source).is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)

    def _here(self, text: str) -> str:
        # Of numbers only whole ones: 3000 is not a part of 13000. Paths last: those of this machine may hold any number.
        for inside, outside in self._ports.items():
            text = re.sub(rf"(?<!\d){inside}(?!\d)", str(outside), text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        targets = "|".join(re.escape(mount.target) for mount in mounts(self._service))
        return re.sub(rf"(?:^|(?<==))(?:{targets})(?=/|$)", lambda found: str(self.path(found[0])), text)
