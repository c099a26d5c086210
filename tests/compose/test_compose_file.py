"""What ``docker-compose.yml`` says, checked without an engine: its form, and that all that it names is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.backends.endpoint import resolve_endpoints
from harness.cli.options import BACKEND, OPTIONS, settings
from harness.core.identity import KEY_VARIABLE
from harness.measure.exporter import BESIDE_VARIABLE
from tests.compose.compose_file import IMAGE, ROOT, mounts, ports, project, read_yaml, services, variables

NOBODY: Mapping[str, str] = {}
SOMEBODY = {name: f"their-{name.lower()}" for name in variables()}
SERVICES = services()
OURS = [name for name, service in SERVICES.items() if service["image"] == IMAGE]
LISTENS = {
    "localstack": {4566},
    "locust-master": {8089},
    "locust-worker": set(),
    "prometheus": {9090},
    "grafana": {3000},
}
"""Ports that the services serve; for the images of others as documented there."""
LOCALSTACK_KNOWS = {
    "LOCALSTACK_AUTH_TOKEN",
    "SERVICES",
    "EAGER_SERVICE_LOADING",
    "SQS_ENDPOINT_STRATEGY",
    "SQS_DISABLE_CLOUDWATCH_METRICS",
    "DYNAMODB_IN_MEMORY",
    "DISABLE_EVENTS",
    "LS_LOG",
}
"""Read by the source of LocalStack 4.14.0, among others."""
GRAFANA_KNOWS = {
    "auth.anonymous": {"enabled", "org_role"},
    "auth": {"disable_login_form"},
    "security": {"disable_initial_admin_creation"},
    "analytics": {"reporting_enabled", "check_for_updates", "check_for_plugin_updates"},
    "dashboards": {"default_home_dashboard_path"},
}
"""Sections and keys of Grafana's ``defaults.ini``, among others."""


def known_to_grafana() -> set[str]:
    """Its variables, named after sections and keys by the rule in its documentation."""
    return {f"GF_{section.replace('.', '_')}_{key}".upper() for section, keys in GRAFANA_KNOWS.items() for key in keys}


def known_to_us() -> set[str]:
    """Ours, each by where it is read."""
    return {option.variable for option in (*OPTIONS, BACKEND)} | {KEY_VARIABLE, BESIDE_VARIABLE, "LOCALSTACK_HOST"}


def is_accepted(content: Any, folder: Path) -> bool:
    """By the schema of the Compose specification."""
    file = folder / "docker-compose.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    print(checked.stdout, checked.stderr)
    return checked.returncode == 0


@pytest.mark.parametrize("environ", [NOBODY, SOMEBODY], ids=["nothing set", "everything set"])
def test_file_is_of_the_form_that_compose_accepts(environ: Mapping[str, str], tmp_path: Path) -> None:
    assert is_accepted(project(environ), tmp_path)


def test_schema_refuses_a_key_that_compose_does_not_know(tmp_path: Path) -> None:
    service = {"image": "localstack/localstack", "volumes": []}
    assert is_accepted({"services": {"localstack": service}}, tmp_path)
    assert not is_accepted({"services": {"localstack": {**service, "volume": []}}}, tmp_path)


def test_without_any_variable_localstack_is_the_last_that_needs_no_token() -> None:
    assert SERVICES["localstack"]["image"] == "localstack/localstack:4.14.0"
    assert "LOCALSTACK_AUTH_TOKEN" not in SERVICES["localstack"]["environment"]


def test_variables_of_the_user_reach_who_reads_them() -> None:
    theirs = services(SOMEBODY)
    assert theirs["localstack"]["image"] == SOMEBODY["LOCALSTACK_IMAGE"]
    assert theirs["localstack"]["environment"]["LOCALSTACK_AUTH_TOKEN"] == SOMEBODY["LOCALSTACK_AUTH_TOKEN"]
    for name in set(SOMEBODY) - {"LOCALSTACK_IMAGE", "LOCALSTACK_AUTH_TOKEN"}:
        assert theirs["locust-master"]["environment"][name] == SOMEBODY[name]


def test_example_of_an_env_file_names_what_can_be_set() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?(\w+)=", example, re.MULTILINE)) == variables() - {KEY_VARIABLE}


def test_every_image_has_a_tag_that_stays_what_it_is() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]) or service["image"] == IMAGE, name
    assert all(SERVICES[name]["build"] == "." for name in OURS)


def test_ports_are_published_to_this_machine_only_and_are_served() -> None:
    published = [(name, port) for name, service in SERVICES.items() for port in ports(service)]
    assert {port.address for _, port in published} == {"127.0.0.1"}
    assert {port.published for _, port in published} == {3000, 4566, 8089, 9090}
    for name, port in published:
        beside = [other for other, service in SERVICES.items() if service.get("network_mode") == f"service:{name}"]
        assert port.target in set().union(*(LISTENS[other] for other in (name, *beside))), name


def test_who_shares_a_network_namespace_neither_publishes_nor_clashes() -> None:
    sharing = {name: service["network_mode"] for name, service in SERVICES.items() if "network_mode" in service}
    assert set(sharing) == {"locust-worker", "prometheus"}
    assert set(sharing.values()) == {"service:locust-master"}
    assert not any("ports" in SERVICES[name] for name in sharing)


def test_health_checks_ask_the_port_that_is_served() -> None:
    for name, service in SERVICES.items():
        asked = {
            int(port) for part in service["healthcheck"]["test"] for port in re.findall(r"127\.0\.0\.1:(\d+)", part)
        }
        assert asked == (LISTENS[name] or LISTENS["locust-master"]), name


def test_ports_in_commands_are_those_that_are_served() -> None:
    assert "--web-port 8089" in " ".join(SERVICES["locust-master"]["command"])
    assert "--web.listen-address=0.0.0.0:9090" in SERVICES["prometheus"]["command"]


def test_who_is_waited_for_is_there_and_can_tell_its_health() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert wanted["condition"] in ("service_started", "service_healthy"), name
            assert wanted["condition"] == "service_started" or "healthcheck" in SERVICES[other], name
    # A namespace can only be joined once it is there.
    assert all("locust-master" in SERVICES[name]["depends_on"] for name in ("locust-worker", "prometheus"))


def test_no_service_gets_more_power_than_it_needs() -> None:
    refused = {"privileged", "pid", "ipc", "userns_mode", "devices", "cap_add", "user"}
    for name, service in SERVICES.items():
        assert not refused & set(service), name
        assert not any("docker.sock" in mount.source for mount in mounts(service)), name
    assert all(SERVICES[name]["cap_drop"] == ["ALL"] for name in OURS)


def test_mounted_files_are_there_and_cannot_be_written() -> None:
    for name, service in SERVICES.items():
        for mount in mounts(service):
            if mount.is_path:
                assert (ROOT / mount.source).exists(), f"{name}: {mount.source}"
                assert "ro" in mount.options, f"{name}: {mount.source}"


def test_volumes_that_are_mounted_are_those_that_are_declared() -> None:
    mounted = {mount.source for service in SERVICES.values() for mount in mounts(service) if not mount.is_path}
    assert mounted == set(project(NOBODY)["volumes"])


def test_prometheus_only_reads_what_we_announce_and_never_owns_it() -> None:
    (ours,) = (mount for mount in mounts(SERVICES["prometheus"]) if mount.source == "targets")
    assert ours.options == {"ro", "nocopy"}


def test_every_variable_is_one_that_its_service_reads() -> None:
    everything = services(SOMEBODY)
    assert set(everything["localstack"]["environment"]) <= LOCALSTACK_KNOWS
    assert set(everything["grafana"]["environment"]) <= known_to_grafana()
    for name in OURS:
        assert set(everything[name]["environment"]) <= known_to_us(), name


def test_our_settings_name_the_localstack_of_the_file_and_are_valid() -> None:
    environ = SERVICES["locust-master"]["environment"]
    found = resolve_endpoints(None, environ, from_localstack_client=lambda _: f"http://{environ['LOCALSTACK_HOST']}")
    assert set(found.values()) == {"http://localstack:4566"}
    made = settings({}, {name: value for name, value in environ.items() if name != "LOCALSTACK_HOST"}, ROOT / "tests")
    assert made.saga == "create-order"


def test_those_that_sign_and_check_identities_have_one_key() -> None:
    keys = {SERVICES[name]["environment"][KEY_VARIABLE] for name in OURS}
    assert len(keys) == 1
    assert len(keys.pop()) >= 32  # HS256 takes no less


def test_grafana_finds_prometheus_where_the_file_puts_it() -> None:
    (source,) = read_yaml(ROOT / "dashboards/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    namespace = SERVICES["prometheus"]["network_mode"].partition(":")[2]
    (port,) = LISTENS["prometheus"]
    assert source["url"] == f"http://{namespace}:{port}"


def test_grafana_is_told_paths_that_are_mounted() -> None:
    (provider,) = read_yaml(ROOT / "dashboards/grafana/provisioning/dashboards/sagastorm.yml")["providers"]
    by_target: dict[str, Any] = {mount.target: ROOT / mount.source for mount in mounts(SERVICES["grafana"])}
    assert list(by_target[provider["options"]["path"]].glob("*.json"))
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, file = home.rpartition("/")
    assert (by_target[folder] / file).is_file()
