"""docker-compose.yml by reading: no container engine is asked. What its commands do when they run
is in ``tests/composed``; that the images build and start is not proven.
"""

from __future__ import annotations

import json
import re
import subprocess
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft202012Validator
from typer.core import TyperGroup

from gateway.config import parse
from gateway.model import Endpoint, Route
from model_workers.cli import app as workers
from monitoring import alert_log
from monitoring.cli import application
from monitoring.commands.options import address

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
ALERTMANAGER = ROOT / "monitoring" / "alertmanager"
GRAFANA = ROOT / "monitoring" / "grafana"
# ${NAME:-default}, the one form used; nobody sets the variable here.
TEXT = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = {name: each for name, each in SERVICES.items() if each["image"].startswith("model-")}
CANARY = {  # the command of their image; `alerts` has another one
    name: each
    for name, each in SERVICES.items()
    if each["image"].startswith("canary-") and "entrypoint" not in each
}
SCHEMA = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text())

each_service = pytest.mark.parametrize("name", SERVICES)


def dockerfile(service: dict[str, Any]) -> str:
    """The text of the file the service's image is built from, continued lines joined."""
    text = Path(ROOT, service["build"]["dockerfile"]).read_text()
    return text.replace("\\\n", "")


def binds(service: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in service.get("volumes", ()) if isinstance(each, dict)]


def has_health_check(service: dict[str, Any]) -> bool:
    own = service.get("healthcheck", {})
    if own.get("disable"):
        return False
    return "test" in own or ("build" in service and "\nHEALTHCHECK " in dockerfile(service))


# --- the form


def test_the_file_is_what_the_compose_specification_allows() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("gateway", "port", ["127.0.0.1:8080:8080"]),
        ("gateway", "depends_on", {"iris-v1": {"condition": "service_helthy"}}),
        ("grafana", "cap_drop", "ALL"),
        ("prometheus", "healthcheck", {"tests": ["CMD", "true"]}),
        ("controller", "volumes", [{"type": "bin", "source": ".", "target": "/etc/canary"}]),
    ],
)
def test_a_mistake_in_the_file_would_be_noticed(service: str, key: str, value: object) -> None:
    wrong = deepcopy(COMPOSE)
    wrong["services"][service][key] = value

    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


# --- images and rights


@each_service
def test_every_image_has_an_explicit_version(name: str) -> None:
    service = SERVICES[name]
    bases = re.findall(r"^FROM (\S+)", dockerfile(service), re.M) if "build" in service else []

    for image in (service["image"], *bases):
        tag_or_digest = r":v?\d+\.\d+\.\d+(-[\w-]+)?(@sha256:[0-9a-f]{64})?$"
        assert re.search(tag_or_digest, image), image


@each_service
def test_every_service_runs_without_rights_it_does_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}


def test_only_gateway_and_controller_write_and_only_beside_routing_yaml() -> None:
    writable = {
        (name, bind["source"])
        for name, service in SERVICES.items()
        for bind in binds(service)
        if not bind.get("read_only")
    }

    assert writable == {(name, "./monitoring/compose") for name in ("gateway", "controller")}


@each_service
def test_published_ports_are_reached_from_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), port


@pytest.mark.parametrize("name", ["gateway", "iris-v1"])
def test_what_an_image_copies_is_let_through_and_exists(name: str) -> None:
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(SERVICES[name]), re.M)
    sources = {source for line in copies for source in line.split()}

    assert sources
    assert {source.partition("/")[0] for source in sources} <= let_through
    assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("name", ["gateway", "iris-v1"])
def test_an_image_runs_as_nobody_who_may_do_anything(name: str) -> None:
    text = dockerfile(SERVICES[name])
    *_, last = re.split(r"^FROM ", text, flags=re.M)

    assert re.findall(r"^USER (.+)$", last, re.M) == ["10001:10001"]
    assert last.index("\nUSER ") < last.index("\nENTRYPOINT ")
    assert "\nADD " not in text  # it fetches from anywhere
    assert not re.search(r"chmod|setuid|sudo|apt-get", text)


def test_what_a_container_may_write_to_is_named() -> None:
    for name, service in SERVICES.items():
        assert service["tmpfs"] == ["/tmp"], name
        assert service["read_only"], name


# --- secrets


TELLING = re.compile(r"token|secret|passw|credential|\bkey", re.IGNORECASE)


@each_service
def test_no_environment_has_a_secret_but_where_one_lies(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if TELLING.search(variable) and not variable.startswith("GF_"):
            assert variable.endswith("_FILE")
            assert value.startswith("/run/secrets/")
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
    assert not any(TELLING.search(word) for word in SERVICES[name].get("command", ()))


@pytest.mark.parametrize("name", ["gateway", "iris-v1"])
def test_no_image_has_a_secret(name: str) -> None:
    instructions = re.findall(r"^(?:ENV|ARG|COPY|RUN|LABEL) .*$", dockerfile(SERVICES[name]), re.M)

    assert instructions
    assert not [line for line in instructions if TELLING.search(line)]


def test_every_secret_is_a_file_that_no_commit_and_no_image_has() -> None:
    (secret,) = COMPOSE["secrets"].values()
    folder = secret["file"].partition("/")[0]

    assert f"/{folder}/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not any(folder in line for line in ignored)
    assert f"> {secret['file']}" in (ROOT / "docker-compose.yml").read_text()  # how it is made


def test_who_asks_the_admin_port_has_the_token_and_nobody_else() -> None:
    given = {name for name, service in SERVICES.items() if service.get("secrets")}
    assert given == {"gateway", "controller", "prometheus"}
    assert all(SERVICES[name]["secrets"] == ["admin-token"] for name in given)

    path = "/run/secrets/admin-token"
    for name in CANARY:
        assert SERVICES[name]["environment"] == {"CANARY_ADMIN_TOKEN_FILE": path}
    for job in scrape_config("prometheus.yml")["scrape_configs"]:
        assert job["authorization"] == {"credentials_file": path}


# --- mounts


@each_service
def test_every_mounted_path_exists_and_is_a_directory(name: str) -> None:
    for bind in binds(SERVICES[name]):
        # A file that is renamed over its old self would stay the old one in a mount of the file.
        assert (ROOT / bind["source"]).is_dir(), bind["source"]
        assert bind["bind"]["create_host_path"] is False


def test_every_volume_that_is_named_is_declared_and_used() -> None:
    named = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if isinstance(volume, str)
    ]

    assert sorted(named) == sorted(COMPOSE["volumes"])


# --- order


@each_service
def test_every_service_can_tell_whether_it_is_well(name: str) -> None:
    assert has_health_check(SERVICES[name])


def test_what_watches_depends_on_nobody_it_watches() -> None:
    assert {"prometheus", "alertmanager", "alerts"} == {
        name
        for name, service in SERVICES.items()
        if "depends_on" not in service and name not in WORKERS
    }


@each_service
def test_who_waits_for_health_waits_for_a_service_that_can_tell(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert has_health_check(SERVICES[other]), other
        else:
            assert how["condition"] == "service_started"


def test_the_gateway_waits_for_stable_and_for_no_candidate() -> None:
    waits = SERVICES["gateway"]["depends_on"]
    healthy = {name for name, how in waits.items() if how["condition"] == "service_healthy"}

    assert waits.keys() == WORKERS.keys()
    assert healthy == {
        route.version(route.stable).endpoints[0].host for route in routes("compose/routing.yaml")
    }


# --- commands


def port_of(service: dict[str, Any]) -> int:
    """The port an image's entrypoint listens on."""
    found = re.search(r'ENTRYPOINT .*"--port", "(\d+)"', dockerfile(service))
    assert found
    return int(found[1])


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_serves_the_version_it_is_named_after(name: str) -> None:
    group = typer.main.get_command(workers)
    assert isinstance(group, TyperGroup)
    options = group.commands["serve"].make_context("serve", WORKERS[name]["command"]).params

    assert name == f"{options['model']}-{options['version']}"


@pytest.mark.parametrize("name", CANARY)
def test_the_command_line_of_gateway_and_controller_is_understood(name: str) -> None:
    verb, *arguments = CANARY[name]["command"]
    group = typer.main.get_command(application())
    assert isinstance(group, TyperGroup)

    parsed = group.commands[verb].make_context(verb, arguments).params

    mounted = {bind["target"]: ROOT / bind["source"] for bind in binds(CANARY[name])}
    assert (mounted[str(parsed["file"].parent)] / parsed["file"].name).is_file()


def listens(name: str, option: str) -> int:
    """The port in an option of a command."""
    (found,) = (word for word in SERVICES[name]["command"] if word.startswith(f"{option}="))
    return address(found.removeprefix(f"{option}=")).port


def admin_port() -> int:
    return listens("gateway", "--admin")


def test_the_controller_asks_the_admin_port_of_the_gateway() -> None:
    assert f"--gateway=http://gateway:{admin_port()}" in SERVICES["controller"]["command"]


def test_the_log_of_alerts_is_reached_within_and_from_nowhere_else() -> None:
    service = SERVICES["alerts"]

    assert service["entrypoint"] == ["python", "-m", alert_log.__name__]
    assert alert_log.options(service["command"]).listen.host == "0.0.0.0"
    assert not service.keys() & {"ports", "secrets", "volumes", "environment"}


def test_there_is_one_controller() -> None:
    assert "--no-controller" in SERVICES["gateway"]["command"]


def test_gateway_ports_are_published_as_they_are_listened_on() -> None:
    addresses = (one for one in SERVICES["gateway"]["command"] if "=" in one)
    listened = {address.rpartition(":")[2] for address in addresses}

    assert {port.rpartition(":")[2] for port in SERVICES["gateway"]["ports"]} == listened


# --- what the mounted files say


def routes(path: str) -> tuple[Route, ...]:
    return parse((ROOT / "monitoring" / path).read_bytes()).routes


def test_the_routes_lead_to_the_workers_by_name() -> None:
    led_to = {
        f"{route.name}-{version.name}": version.endpoints
        for route in routes("compose/routing.yaml")
        for version in route.versions
    }

    assert led_to.keys() == WORKERS.keys()
    for name, endpoints in led_to.items():
        port = port_of(WORKERS[name])
        assert endpoints == (Endpoint(f"http://{name}:{port}", name, port),)


def test_the_routes_are_those_of_the_example_but_for_the_addresses() -> None:
    def without_addresses(route: Route) -> Route:
        return replace(
            route, versions=tuple(replace(each, endpoints=()) for each in route.versions)
        )

    composed, example = (
        [without_addresses(route) for route in routes(path)]
        for path in ("compose/routing.yaml", "../routing.yaml")
    )

    assert composed == example


def scrape_config(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((PROMETHEUS / name).read_text())
    assert isinstance(loaded, dict)
    return loaded


def targets(config: dict[str, Any]) -> dict[str, list[str]]:
    """By job."""
    return {
        job["job_name"]: [target for group in job["static_configs"] for target in group["targets"]]
        for job in config["scrape_configs"]
    }


def test_prometheus_scrapes_the_ports_of_gateway_and_controller_by_name_of_the_service() -> None:
    assert targets(scrape_config("prometheus.yml")) == {
        "gateway": [f"gateway:{admin_port()}"],
        "controller": [f"controller:{listens('controller', '--metrics')}"],
    }


def test_prometheus_for_plain_processes_scrapes_the_ports_that_serve_has_by_itself() -> None:
    group = typer.main.get_command(application())
    assert isinstance(group, TyperGroup)
    serve, controller = (group.commands[verb].params for verb in ("serve", "controller"))
    (admin,) = (one.default for one in serve if one.name == "admin")
    (metrics,) = (one.default for one in controller if one.name == "metrics")

    assert targets(scrape_config("prometheus-local.yml")) == {
        "gateway": [admin],
        "controller": [metrics],
    }


def test_prometheus_for_plain_processes_differs_in_target_and_token_only() -> None:
    composed, local = scrape_config("prometheus.yml"), scrape_config("prometheus-local.yml")

    for here, there in zip(local["scrape_configs"], composed["scrape_configs"], strict=True):
        here |= {key: there[key] for key in ("static_configs", "authorization")}
    assert local.pop("alerting") == alerted("127.0.0.1")
    assert composed.pop("alerting") == alerted("alertmanager")
    assert local == composed


def alerted(host: str) -> dict[str, Any]:
    port = listens("alertmanager", "--web.listen-address")
    return {"alertmanagers": [{"static_configs": [{"targets": [f"{host}:{port}"]}]}]}


def test_prometheus_finds_its_rules_where_they_are_mounted() -> None:
    mounted = {bind["target"]: ROOT / bind["source"] for bind in binds(SERVICES["prometheus"])}
    (file,) = (a for a in SERVICES["prometheus"]["command"] if a.startswith("--config.file="))
    path = Path(file.removeprefix("--config.file="))
    named = scrape_config(path.name)["rule_files"]

    assert set(named) == {"rules.yml", "alerts.yml"}
    assert all((mounted[str(path.parent)] / name).is_file() for name in (path.name, *named))


# --- alerts


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_links_in_alerts_lead_to_the_published_port(name: str) -> None:
    (published,) = SERVICES[name]["ports"]
    host, port, _ = published.split(":")

    assert f"--web.external-url=http://{host}:{port}" in SERVICES[name]["command"]
    assert listens(name, "--web.listen-address") == int(port)


def alertmanager(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ALERTMANAGER / name).read_text())
    assert isinstance(loaded, dict)
    return loaded


def webhooks(config: dict[str, Any]) -> dict[str, str]:
    """Where each receiver gets its alerts."""
    return {
        receiver["name"]: webhook.pop("url")
        for receiver in config["receivers"]
        for webhook in receiver["webhook_configs"]
    }


def test_alertmanager_finds_its_file_where_it_is_mounted() -> None:
    (bind,) = binds(SERVICES["alertmanager"])
    (file,) = (a for a in SERVICES["alertmanager"]["command"] if a.startswith("--config.file="))
    path = Path(file.removeprefix("--config.file="))

    assert str(path.parent) == bind["target"]
    assert (ROOT / bind["source"] / path.name).is_file()


def test_each_alert_goes_to_the_log_until_somebody_names_a_better_place() -> None:
    composed, local = alertmanager("alertmanager.yml"), alertmanager("alertmanager-local.yml")
    port = listens("alerts", "--listen")
    everybody = ("page", "ticket", "info")

    assert webhooks(composed) == dict.fromkeys(everybody, f"http://alerts:{port}")
    assert webhooks(local) == dict.fromkeys(everybody, f"http://{alert_log.DEFAULT}")
    assert alert_log.DEFAULT.port == port
    assert local == composed  # but for the addresses


@pytest.mark.parametrize("name", ["alertmanager.yml", "alertmanager-local.yml"])
def test_alertmanager_accepts_its_configuration(name: str) -> None:
    checked = amtool("check-config", str(ALERTMANAGER / name))

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("page", "page"), ("ticket", "ticket"), ("info", "info"), ("unheard-of", "ticket")],
)
def test_an_alert_goes_where_its_severity_says(severity: str, receiver: str) -> None:
    file = f"--config.file={ALERTMANAGER / 'alertmanager.yml'}"
    labels = ("alertname=CanaryRolledBack", "route=iris", f"severity={severity}")
    routed = amtool("config", "routes", "test", file, *labels)

    assert routed.stdout.strip() == receiver, routed.stderr


def test_what_silences_and_what_is_silenced_are_alerts_that_exist() -> None:
    written = (PROMETHEUS / "alerts.yml").read_text()
    alerts = set(re.findall(r"- alert: (\w+)", written))
    rules = (ALERTMANAGER / "alertmanager.yml").read_text().partition("inhibit_rules:")[2]
    named = set(re.findall(r"\bCanary\w+", rules))

    assert len(named) > 5
    assert named <= alerts


def test_every_alert_has_a_severity_that_has_a_receiver() -> None:
    written = (PROMETHEUS / "alerts.yml").read_text()
    severities = set(re.findall(r"severity: (\w+)", written))
    matched = re.findall(r'severity="(\w+)"', (ALERTMANAGER / "alertmanager.yml").read_text())

    assert {"page", "ticket", "info"} >= severities
    assert severities <= set(matched)


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Without Debian's package `prometheus-alertmanager` (tests/packages.txt) this fails, on
    purpose.
    """
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)


# --- Grafana


def test_grafana_asks_the_prometheus_of_the_file_as_often_as_that_scrapes() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    listens = next(a for a in SERVICES["prometheus"]["command"] if "listen-address" in a)

    assert source["url"] == f"http://prometheus:{listens.rpartition(':')[2]}"
    assert source["isDefault"]
    assert source["editable"] is False
    interval = scrape_config("prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval


def test_grafana_finds_the_dashboard_where_it_is_mounted() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/dashboards/canary.yml").read_text())
    (provider,) = provisioned["providers"]
    mounted = {bind["target"]: ROOT / bind["source"] for bind in binds(SERVICES["grafana"])}
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    assert mounted[provider["options"]["path"]] == GRAFANA / "dashboards"
    assert (mounted[str(home.parent)] / home.name).is_file()
    assert provider["allowUiUpdates"] is False
    assert mounted["/etc/grafana/provisioning/datasources"] == GRAFANA / "provisioning/datasources"
    assert mounted["/etc/grafana/provisioning/dashboards"] == GRAFANA / "provisioning/dashboards"
