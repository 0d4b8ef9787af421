"""A registry beside the node, in the network that the node of a test calls the host's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime.contract import APP_IMAGE, AppOptions, Kind, RegistryAccess
from runtime.node import Node
from tests.host.support.liar import Liar, liar_of
from tests.host.support.node import Specs
from tests.support.registry import Hub, busybox, file, folder, registry

AppOf = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def hub(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    place = tmp_path_factory.mktemp("hub")
    with registry(place, ["nsenter", f"--net={node.host_network}"]) as one:
        yield one


@pytest.fixture
def liar(node: Node) -> Iterator[Liar]:
    with liar_of(node) as one:
        yield one


NAMED = RegistryAccess(insecure=True, inward=True)
"""As an administrator names a registry of the provider's own."""


@pytest.fixture
def app_of(specs: Specs) -> AppOf:
    """Fields of a spec of an app of this image."""

    def fields(image: str, *, registry: RegistryAccess = NAMED, **options: Any) -> dict[str, Any]:
        app = AppOptions(image=image, registry=registry, **options)
        return {"kind": Kind.APP, "image": APP_IMAGE, "app": app}

    return fields


@pytest.fixture(scope="session")
def shell_image(hub: Hub, node: Node) -> str:
    """busybox that writes a line to each of its streams, and sleeps."""
    words = ["/bin/sh", "-c", 'echo out $0; echo err >&2; trap "exit 7" TERM; sleep 3600 & wait', "there"]
    return hub.push(
        "lib/shell:1",
        [*busybox(), file("gone"), folder("data", uid=1234, gid=5678)],
        [file(".wh.gone"), file("new", b"new\n", uid=1234)],
        config={
            "Entrypoint": words[:3],
            "Cmd": words[3:],
            "User": "app",
            "WorkingDir": "/data",
            "Env": ["PATH=/bin", "FROM=image"],
            "StopSignal": "SIGTERM",
        },
    )
