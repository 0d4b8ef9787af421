"""An environment's disk as an image in a registry, and an app made from that."""

import json
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.contract import (
    AppOptions,
    EnvironmentSpec,
    JobOutcome,
    JobReport,
    JobSpec,
    PublishImage,
    Subject,
    SubjectType,
)
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from tests.host.apps.conftest import NAMED, AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.support.registry import Hub


def published(node: Node, spec: EnvironmentSpec, image: str) -> JobReport:
    about = Subject(type=SubjectType.ENVIRONMENT, id=str(spec.id))
    work = PublishImage(environment_id=spec.id, app=AppOptions(image=image, registry=NAMED))
    report = Jobs(node, KINDS).do(JobSpec(node=node.name, id=uuid4(), about=about, work=work, deadline_s=300))
    assert isinstance(report, JobReport)
    left = [one.name for one in (node.store / "apps").iterdir() if "publish" in one.name]
    assert not left
    return report


def _config(hub: Hub, image: str) -> dict[str, object]:
    words = ["skopeo", "inspect", "--config", "--tls-verify=false", f"docker://{image}"]
    done = subprocess.run([*hub.enter, *words], capture_output=True, check=True, timeout=60)
    found: dict[str, object] = json.loads(done.stdout)["config"]
    return found


def test_a_system_becomes_an_image_that_runs(make: Make, node: Node, hub: Hub, app_of: AppOf) -> None:
    spec, image = make(), f"{hub.host}/mine/system:1"
    root = node.root_volume(spec.id)
    (root / "root" / "kept").write_text("of the system")
    os.chown(root / "root" / "kept", 1000, 1001)
    (root / "root" / "kept").chmod(0o640)
    os.link(root / "root" / "kept", root / "root" / "second")
    (root / "etc" / "ssh").mkdir(exist_ok=True)
    (root / "etc" / "ssh" / "ssh_host_ed25519_key").write_text("of this one alone")
    report = published(node, spec, image)
    assert report.outcome is JobOutcome.SUCCEEDED, report
    config = _config(hub, image)
    assert (config["Cmd"], config["StopSignal"]) == (["/sbin/init"], "SIGRTMIN+3")
    made = make(**app_of(image, command=("/bin/sh", "-c", "sleep 1000"), args=()))
    seen = sh(node, made, "cat /root/second; stat -c '%u:%g %a %h' /root/kept; ls /etc/ssh /root/.ssh")
    assert seen.split("\n")[0] == "of the system1000:1001 640 2", seen
    assert "ssh_host" not in seen
    assert "authorized_keys" not in seen


def test_an_app_keeps_what_its_image_says(
    make: Make, node: Node, hub: Hub, app_of: AppOf, shell_image: str
) -> None:
    spec = make(**app_of(shell_image, env={"PASSWORD": "of this stage"}))
    image = f"{hub.host}/mine/app:2"
    sh(node, spec, "echo changed > /data/new-one")
    report = published(node, spec, image)
    assert report.outcome is JobOutcome.SUCCEEDED, report
    config = _config(hub, image)
    assert config["User"] == "app"
    assert config["WorkingDir"] == "/data"
    assert "FROM=image" in config["Env"]  # type: ignore[operator]
    assert "PASSWORD" not in json.dumps(config)
    again = make(**app_of(image))
    assert sh(node, again, "cat /data/new-one").strip() == "changed"


@pytest.mark.parametrize("name", ["nowhere/x:1"])
def test_a_registry_that_refuses_leaves_nothing(make: Make, node: Node, name: str) -> None:
    report = published(node, make(), f"127.0.0.1:1/{name}")
    assert report.outcome is JobOutcome.FAILED
    assert report.code
    assert not list(Path(node.store / "apps").glob(".*publish*"))
