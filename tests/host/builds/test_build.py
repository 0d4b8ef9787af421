"""What a Dockerfile says becomes an image in a registry."""

import json
import subprocess
from collections.abc import Callable

from runtime.contract import JobOutcome, JobReport
from runtime.node import Node
from tests.host.builds.conftest import Build
from tests.support.registry import Hub

Log = Callable[[JobReport], str]


def _config(hub: Hub, digest: str) -> dict[str, object]:
    words = [
        "skopeo",
        "inspect",
        "--config",
        "--raw",
        "--tls-verify=false",
        f"docker://{hub.host}/made/web@{digest}",
    ]
    done = subprocess.run([*hub.enter, *words], capture_output=True, check=True, timeout=60)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_two_stages_arguments_and_what_is_kept(build: Build, hub: Hub, node: Node, log_of: Log) -> None:
    text = f"""
ARG BASE={hub.host}/lib/base:1
FROM $BASE AS first
ARG WHO
RUN echo "for $WHO" > /told; id; cat /proc/self/uid_map
FROM ${{BASE}}
COPY --from=first /told /told
RUN cat /told
HEALTHCHECK CMD test -e /told
CMD ["cat", "/told"]
"""
    report = build(dockerfile_text=text, args={"WHO": "me"})
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.message.told()}\n{log_of(report)}"
    assert report.built is not None
    config = _config(hub, report.built.digest)["config"]
    assert config["Cmd"] == ["cat", "/told"]  # type: ignore[index]
    assert config["Healthcheck"]["Test"] == ["CMD-SHELL", "test -e /told"]  # type: ignore[index]
    assert "for me" in log_of(report)
    again = build(dockerfile_text=text, args={"WHO": "me"})
    assert again.built is not None
    assert again.built.digest == report.built.digest, log_of(again)
    assert "Using cache" in log_of(again)
