"""The files that run notify in containers fit the Compose Specification, the settings, the Procfile and each other."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from notify.settings import PREFIX, Settings, load

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
RABBITMQ: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.rabbitmq.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("build")}
SCHEMA = json.loads((ROOT / "tests/schemas/compose.schema.json").read_text(encoding="utf-8"))
ONE_SHOT = {"migrate"}
BROKER = "NOTIFY_BROKER_URL"
SECRETS = {
    "NOTIFY_SECRET_KEY": "k" * 40,
    "POSTGRES_PASSWORD": "p4ssw0rd",
    "NOTIFY_FLOWER_BASIC_AUTH": "operator:p4ssw0rd",
}
RABBITMQ_SECRETS = {"RABBITMQ_PASSWORD": "p4ssw0rd"}


def instructions() -> list[tuple[str, str]]:
    """Each Dockerfile instruction with its text, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def final_stage() -> dict[str, str]:
    """The last text of each instruction after the last FROM."""
    listed = instructions()
    start = max(index for index, (word, _) in enumerate(listed) if word == "FROM")
    return dict(listed[start:])


def copied_into_the_build() -> set[str]:
    """What the build stage copies from the checkout."""
    copies = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    return {source for words in copies for source in words[:-1]}


def whole_command(service: dict[str, Any]) -> str:
    """The command line that runs: the image's entry point, then the service's command."""
    return shlex.join([*json.loads(final_stage()["ENTRYPOINT"]), *service["command"]])


def complaints(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_compose_file_fits_the_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert complaints(COMPOSE) == []


def merged(below: Any, above: Any) -> Any:
    """Two files as Compose joins them: mappings by their keys, anything else by the last."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def test_with_rabbitmq_it_fits_the_schema_and_every_process_rings_there() -> None:
    whole = merged(COMPOSE, RABBITMQ)
    assert complaints(whole) == []
    assert set(whole["services"]) == set(SERVICES) | {"rabbitmq"}
    url = re.sub(
        r"\$\{(\w+):\?[^}]*\}", lambda match: RABBITMQ_SECRETS[match[1]], RABBITMQ["x-rung"]["environment"][BROKER]
    )
    assert load(None, broker_url=url).broker == "amqp://notify:p4ssw0rd@rabbitmq//"
    for name in OURS.keys() - ONE_SHOT:
        service = whole["services"][name]
        assert service["environment"].keys() > SERVICES[name]["environment"].keys()
        assert BROKER in service["environment"], name
        assert service["depends_on"]["rabbitmq"] == {"condition": "service_healthy"}
        assert service["depends_on"].keys() > SERVICES[name]["depends_on"].keys()
    broker = whole["services"]["rabbitmq"]
    assert (broker["restart"], broker["user"], "ports" in broker) == ("unless-stopped", "rabbitmq", False)
    assert set(whole["volumes"]) == set(COMPOSE["volumes"]) | {"rabbitmq"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("helthcheck", {"disable": True}),
        ("restart", False),
        ("stop_grace_period", 90),
        ("ports", ["8025"]),
        ("environment", {"POSTGRES_PORT": 5432}),
        ("depends_on", {"postgres": {"condition": "service_ready"}}),
    ],
)
def test_the_schema_refuses_a_slip(key: str, value: Any) -> None:
    slipped = copy.deepcopy(COMPOSE)
    slipped["services"]["web"][key] = value
    assert complaints(slipped)


def test_the_docker_client_accepts_the_file() -> None:
    try:
        version = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no docker client here; the schema test above is the one that always runs")
    if version.returncode != 0:
        pytest.skip("the docker client here lacks compose; the schema test above is the one that always runs")
    environment = os.environ | SECRETS | RABBITMQ_SECRETS
    for files in (["docker-compose.yml"], ["docker-compose.yml", "docker-compose.rabbitmq.yml"]):
        chosen = [option for file in files for option in ("--file", file)]
        config = ["docker", "compose", "--env-file", os.devnull, *chosen, "config", "--quiet"]
        done = subprocess.run(config, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_dependency_is_a_service_whose_condition_can_come_true() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, f"{name} depends on {needed}"
            condition = how["condition"]
            assert (condition == "service_completed_successfully") == (needed in ONE_SHOT), f"{name} → {needed}"
            if condition == "service_healthy":
                assert "test" in SERVICES[needed]["healthcheck"], f"{name} waits for the health of {needed}"


def test_what_needs_the_database_waits_for_its_migration() -> None:
    assert {name for name, service in OURS.items() if "migrate" not in service["depends_on"]} == ONE_SHOT


def test_every_named_volume_is_declared_and_every_declared_one_is_used() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith(".")} == set(COMPOSE["volumes"])


def test_every_notify_variable_is_a_setting() -> None:
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    given |= set(re.findall(r"(\w+)=", final_stage()["ENV"]))
    ours = {name for name in given if name.startswith(PREFIX)}
    assert ours
    assert ours <= {PREFIX + field.upper() for field in Settings.model_fields}


def test_production_accepts_the_settings_of_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in OURS.values():
        with monkeypatch.context() as patch:
            for name, value in service["environment"].items():
                filled = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: SECRETS[match[1]], value)
                patch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", filled))
            settings = Settings(_env_file=None)
        assert settings.env == "production"
        assert settings.web_host == "0.0.0.0"
        assert settings.database == "postgresql+psycopg://notify:p4ssw0rd@postgres:5432/notify"


def test_no_secret_has_a_default() -> None:
    without_default = set(re.findall(r"\$\{(\w+):\?[^}]+\}", COMPOSE_TEXT))
    every = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))
    assert without_default == set(SECRETS)
    more = {"NOTIFY_OLD_SECRET_KEYS", "NOTIFY_HOOK_SECRETS"}  # there may be none
    assert every - without_default - more == {name for name in every if PREFIX + name in COMPOSE["x-settings"]}
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE_TEXT))
    assert {defaults[name] for name in more} == {""}


def test_every_process_of_the_procfile_is_a_service_with_the_same_command() -> None:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    processes = dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    always = OURS.keys() - ONE_SHOT - {name for name, service in OURS.items() if "profiles" in service}
    assert {name: whole_command(OURS[name]) for name in always} == processes


def test_the_listener_starts_when_it_is_asked_for_alone() -> None:
    listener = SERVICES["listen"]
    assert whole_command(listener) == "notify bounces listen"
    assert listener["profiles"] == ["listen"]


def test_migrate_brings_the_database_to_the_newest_revision_once() -> None:
    assert whole_command(SERVICES["migrate"]) == "notify db upgrade"
    assert SERVICES["migrate"]["restart"] == "no"


def test_every_long_running_service_is_checked_and_restarted() -> None:
    checked_by_the_image = {"web"}
    assert "/health" in final_stage()["HEALTHCHECK"]
    for name in SERVICES.keys() - ONE_SHOT:
        assert SERVICES[name]["restart"] == "unless-stopped", name
        assert name in checked_by_the_image or "test" in SERVICES[name]["healthcheck"], name


def test_every_worker_has_a_bound_on_its_memory_and_is_started_again_when_it_stopped_there() -> None:
    workers = [service for service in OURS.values() if service["command"][0] == "worker"]
    assert len(workers) == 3
    for service in workers:
        assert int(service["environment"]["NOTIFY_WORKER_MEMORY_MB"]) >= 256
        assert service["restart"] == "unless-stopped"


def test_a_worker_has_ninety_seconds_to_finish_its_batch() -> None:
    assert {service["stop_grace_period"] for service in OURS.values()} == {"90s"}
    assert final_stage()["STOPSIGNAL"] == "SIGTERM"


def test_no_service_runs_as_root() -> None:
    user = final_stage()["USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a fixed number lets an engine prove that it is not root"
    for name, service in SERVICES.items():
        runs_as = service.get("user", user if name in OURS else "root")
        assert runs_as.split(":")[0] not in {"root", "0"}, name


def test_ports_are_published_on_this_machine_only_and_for_four_services_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"web", "flower", "mail", "listen"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_redis_keeps_what_it_is_given() -> None:
    command = shlex.join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_build_stage_has_every_file_that_the_wheel_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "pyproject.toml"}
    assert needed | {"constraints.txt", "LICENSE"} == copied_into_the_build()


def test_only_what_is_copied_reaches_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied_into_the_build()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_image_asks_the_web_process_for_its_health(status: int, healthy: bool) -> None:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    check = json.loads(final_stage()["HEALTHCHECK"].partition("CMD")[2])
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        environment = os.environ | {"NOTIFY_WEB_PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, *check[1:]], env=environment, capture_output=True, check=False)
    assert (done.returncode == 0) == healthy
    assert asked == ["/health"]
