"""docker-compose.dev.yml: valid for Compose, and true to the code that it starts."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from panel.config.env import PanelEnv
from runtime.install.front import Front
from runtime.install.layout import CHECKOUT, Layout
from runtime.install.roles import roles

FILE = CHECKOUT / "docker-compose.dev.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
ONCE = {"setup", "demo"}
#: Its `web` is a development server with a thread for each request: archives need no process of their own.
ROLES = {role.name for role in roles(Layout(Path("/var/lib/wadah")), Front("http://127.0.0.1:8080"))}
#: And it has no registry of its own.
ROLES -= {"uploads", "registry", "registry-gate"}


def test_compose_takes_it() -> None:
    client = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    done = subprocess.run(
        [*client, "-f", str(FILE), "config", "--quiet"], capture_output=True, text=True, timeout=60, check=False
    )
    if "unknown command" in done.stderr:
        pytest.skip("no Compose here: apt-get install docker-compose")
    assert done.returncode == 0, done.stderr


def test_it_has_every_part_of_an_installation() -> None:
    assert set(SERVICES) == {
        "postgres", "redis", "setup", "web", "ws", "panel-worker", "beat", "front", "node", "demo",
    }  # fmt: skip
    named = {word for one in SERVICES.values() for word in one["command"]}
    in_node = (CHECKOUT / "docker" / "node").read_text().split("role --home $home ")[1].split()
    assert set(in_node) <= ROLES
    assert named | set(SERVICES) | set(in_node) >= ROLES


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_starts_is_there(name: str) -> None:
    words = SERVICES[name]["command"]
    if "role" in words:
        assert words[words.index("role") + 1] in ROLES
    for word in words:
        if word.startswith("docker/"):
            assert (CHECKOUT / word).is_file()
    if words[0].startswith("docker/"):
        assert (CHECKOUT / words[0]).stat().st_mode & 0o111


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_the_checkout_and_waits_for_others_that_exist(name: str) -> None:
    service = SERVICES[name]
    assert any(volume.split(":")[:2] == [".", "/src"] for volume in service["volumes"])
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert source in DOCUMENT["volumes"] or source in (".", "/dev")
    for other, how in service.get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        if how["condition"] == "service_completed_successfully":
            assert other in ONCE


@pytest.mark.parametrize("name", SERVICES)
def test_settings_are_ones_that_the_panel_reads(name: str) -> None:
    known = {f"WADAH_{field}".upper() for field in PanelEnv.model_fields}
    for setting in SERVICES[name].get("environment", {}):
        if setting.startswith("WADAH_"):
            assert setting in known


def test_only_the_node_is_privileged_and_only_the_front_has_a_port() -> None:
    assert [name for name, one in SERVICES.items() if one.get("privileged")] == ["node"]
    published = {name: one["ports"] for name, one in SERVICES.items() if one.get("ports")}
    assert published == {"front": ["127.0.0.1:8080:8080"]}
    assert not set(SERVICES["node"]["networks"]) & set(SERVICES["web"]["networks"])
