"""Each service's command starts as it stands in ``docker-compose.yml``, outside a container; see ``outside.py``.

LocalStack and Grafana are not to be had here as the images that the file names. Of them the health checks are tried, on a
stub that answers where they ask; LocalStack itself is what ``make test-localstack`` runs on, from PyPI.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from harness.measure.exporter import BESIDE_VARIABLE, start_exporter
from harness.measure.metrics import Metrics
from tests.compose.compose_file import services
from tests.compose.outside import LIMIT_S, Outside
from tests.dashboards.prometheus import Server, needs_prometheus
from tests.load.bench import free_port

pytestmark = pytest.mark.end_to_end

SERVICES = services()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Whatever a test starts ends with it."""
    with ExitStack() as stack:
        yield stack


def outside(name: str, stack: ExitStack, tmp_path: Path, ports: dict[int, int], **environ: str) -> Outside:
    """The service, not yet started."""
    folder = tmp_path / name
    folder.mkdir()
    service = Outside(SERVICES[name], folder, ports, **environ)
    stack.callback(service.close)
    return service


def test_locust_master_and_worker_start_and_are_healthy_and_stop(stack: ExitStack, tmp_path: Path) -> None:
    # The port at which they meet stands in no command: it is Locust's own, which others on this machine may have.
    meeting = str(free_port())
    environ = {"LOCUST_MASTER_NODE_PORT": meeting, "LOCUST_MASTER_BIND_PORT": meeting}
    ports = {8089: free_port()}
    master = outside("locust-master", stack, tmp_path, ports, **environ)
    worker = outside("locust-worker", stack, tmp_path, ports, **environ)
    assert not master.is_healthy()

    master.start()
    master.wait_until_healthy()
    assert not worker.is_healthy()  # the master is there, and knows that it is not

    worker.start()
    worker.wait_until_healthy()

    assert master.addresses() == {"127.0.0.1"}  # where they meet, too, which no option of the command says
    assert worker.addresses() == set()
    assert (worker.stop(), master.stop()) == (0, 0), worker.log + master.log


@needs_prometheus
def test_prometheus_starts_and_scrapes_what_is_announced_and_has_its_rules(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    prometheus = outside("prometheus", stack, tmp_path, {9090: port})
    prometheus.start("prometheus")
    prometheus.wait_until_healthy()
    assert prometheus.addresses() == {"127.0.0.1"}
    config = str(prometheus.path("/etc/prometheus/prometheus.yml"))
    checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, check=False, timeout=LIMIT_S)
    assert checked.returncode == 0, checked.stderr

    registry = CollectorRegistry()
    metrics = Metrics(registry, topology="orchestrated", saga="create-order")
    metrics.arrival("accepted")
    monkeypatch.setenv(BESIDE_VARIABLE, str(prometheus.path("/etc/prometheus/targets")))
    exporter = start_exporter(registry, tmp_path / "targets", "load-0-1", "ss-20261123-095452-12e9-0")
    stack.callback(exporter.close)

    server = Server(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + LIMIT_S
    while not (found := server.at("sagastorm_arrivals_total")):
        assert time.monotonic() < deadline, prometheus.log
        time.sleep(0.2)
    labels = found[0]["metric"]
    assert (labels["topology"], labels["saga"], labels["process"]) == ("orchestrated", "create-order", "load-0-1")
    assert (labels["run"], labels["block"]) == ("20261123-095452-12e9", "0")
    assert len(server.get("rules")["groups"]) > 1
    assert prometheus.stop() == 0, prometheus.log


class Stub(BaseHTTPRequestHandler):
    """Answers one path."""

    path_served = ""

    def do_GET(self) -> None:
        """200 there, 404 elsewhere."""
        self.send_response(200 if self.path == self.path_served else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("name", "inside", "path"),
    [("localstack", 4566, "/_localstack/health"), ("grafana", 3000, "/api/health")],
)
def test_health_check_of_somebody_elses_image_asks_for_its_health(
    name: str, inside: int, path: str, stack: ExitStack, tmp_path: Path
) -> None:
    program = SERVICES[name]["healthcheck"]["test"][1]
    if not shutil.which(program):
        pytest.skip(f"no {program} here")
    server = HTTPServer(("127.0.0.1", 0), type("StubOfOne", (Stub,), {"path_served": path}))
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    service = outside(name, stack, tmp_path, {inside: server.server_port})

    assert service.is_healthy()
    server.RequestHandlerClass = Stub
    assert not service.is_healthy()
