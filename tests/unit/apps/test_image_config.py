"""What is told of an app's image has neither characters nor size of its maker's choosing."""

import json
import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from runtime.contract import AppOptions, AppSeen, EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.files import replace_file
from runtime.images.oci.library import Chosen
from runtime.images.oci.registry import ARCHITECTURES, _resolved
from runtime.kinds.app import App
from runtime.node import Node, default_settings

DIGEST = "sha256:" + "0" * 64


def _seen(home: Path, app: AppOptions | None = None, **config: Any) -> AppSeen:
    """What each report of an environment has of its image, after its registry answered so."""
    own = ARCHITECTURES.get(platform.machine(), platform.machine())
    document = {
        **{"os": "linux", "architecture": own, "rootfs": {"diff_ids": [DIGEST]}},
        "config": {"Entrypoint": ["/a"], **config},
    }
    found = _resolved({"digest": DIGEST, "manifest": DIGEST, "layers": [[DIGEST, 1]], "config": document})
    node, app, environment = Node(home, default_settings(home)), app or AppOptions(image="a/b:1"), uuid4()
    chosen = Chosen(image=app.image, installs=0, digest=DIGEST, key="k", config=found.config)
    node.environment(environment).mkdir(parents=True)
    replace_file(node.environment(environment) / "app.json", chosen.model_dump_json())
    spec = cast("EnvironmentSpec", SimpleNamespace(id=environment, app=app))
    seen = App.seen(cast("App", None), node, spec)
    assert seen is not None
    return seen


@pytest.mark.parametrize(
    "config",
    [
        {"User": "a\0b"},
        {"User": "a b"},
        {"User": "\ud800"},
        {"WorkingDir": "/a\0"},
        {"WorkingDir": "/a\n/b"},
        {"StopSignal": "SIG\0X"},
        {"Volumes": {"/\0": {}}},
        {"Entrypoint": ["\0"]},
        {"Cmd": [None]},
        {"Env": {"a": "b"}},
        {"Env": ["A=" + "x" * 30_000] * 40},
        {"Cmd": ["x"] * 5000},
        {"ExposedPorts": [1, 2]},
        {"ExposedPorts": 5},
    ],
    ids=lambda config: next(iter(config)),
)
def test_what_no_database_and_no_kernel_takes_is_no_image(config: dict[str, Any], tmp_path: Path) -> None:
    """With NUL in it a report was never stored on PostgreSQL: its environment stayed at work for ever."""
    with pytest.raises(RuntimeFault) as refused:
        _seen(tmp_path, **config)
    assert refused.value.code == "odd_manifest"


@pytest.mark.parametrize(
    "config",
    [
        {"Entrypoint": ["x"] * 600},
        {"Entrypoint": ["ü" * 16_000] * 20},
        {"Entrypoint": ["x" * 8191, "ü", "y"]},
        {"ExposedPorts": {f"{port}/tcp": {} for port in range(1, 30_000)}},
        {"ExposedPorts": {"80/tcp" + "x" * 100_000: {}, "80\0/tcp": {}, "<b>": {}, "443/tcp": {}}},
    ],
    ids=["many words", "long words", "a little too long", "many ports", "odd ports"],
)
def test_a_report_says_no_more_of_it_than_people_read(config: dict[str, Any], tmp_path: Path) -> None:
    """600 words made each report an error, and three megabytes went with each of them."""
    told = _seen(tmp_path, **config).model_dump_json()
    assert len(told.encode()) < 12_000
    assert "\\u0000" not in told
    assert "<b>" not in told
    assert "…" in told or "443/tcp" in told or "1/tcp" in told


def test_what_is_asked_for_beside_the_image_is_cut_as_well(tmp_path: Path) -> None:
    app = AppOptions(image="a/b:1", command=("x" * 32_768,) * 256, args=("y",) * 256)
    assert len(_seen(tmp_path, app).model_dump_json()) < 12_000


def test_what_is_short_is_told_whole(tmp_path: Path) -> None:
    seen = _seen(tmp_path, Cmd=["-c", "daemon off;"], ExposedPorts={"80/tcp": {}, "53/udp": {}, "9-11": {}})
    assert seen.command == ("/a", "-c", "daemon off;")
    assert seen.ports == ("53/udp", "80/tcp", "9-11")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999"])
def test_a_check_with_a_time_that_is_none_is_no_check(number: str, tmp_path: Path) -> None:
    """The note of what was chosen had null there and couldn't be read again: the app never started."""
    interval = json.loads(number)
    seen = _seen(tmp_path, Healthcheck={"Test": ["CMD", "a"], "Interval": interval})
    assert seen.command == ("/a",)
