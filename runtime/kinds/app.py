"""One application from an image of a registry, as Docker runs it: no init and no system but what it brings."""

from typing import Any

from runtime.contract import AppSeen, EnvironmentSpec, HealthCheck, ImageConfig, check_of
from runtime.contract import Kind as KindName
from runtime.contract.said import Said
from runtime.contract.words import apps
from runtime.errors import RuntimeFault
from runtime.images.oci import fetching
from runtime.images.oci.library import Library
from runtime.images.waiter import Waiter
from runtime.kinds.base import FirstCommand, Kind
from runtime.node import Node
from runtime.oci.app import app_config, stop_signal_of, words_of
from runtime.resources.addresses import Addresses
from runtime.resources.app_files import AppFiles
from runtime.resources.app_image import AppImage
from runtime.resources.app_secrets import AppSecrets
from runtime.resources.attached import AttachedVolumes
from runtime.resources.firewall import Firewall
from runtime.resources.given_devices import GivenDevices
from runtime.resources.ids import IdRange
from runtime.resources.link import Link
from runtime.resources.namespaces import Namespaces
from runtime.resources.root_mount import RootMount
from runtime.resources.shaping import Shaping
from runtime.resources.volume import RootVolume
from runtime.sandboxes import Part
from runtime.sandboxes.steps import Finish, LetGo, Make, Prepare


class App(Kind):
    name = KindName.APP
    resources = (
        IdRange,
        AppImage,
        Prepare,
        Part.LIMITS,
        RootVolume,
        Namespaces,
        RootMount,
        AppSecrets,
        Part.DESCRIPTION,
        Make,
        # while the container is being made:
        AppFiles,
        Firewall,
        Link,
        Addresses,
        Shaping,
        # made by now:
        Finish,
        AttachedVolumes,
        GivenDevices,
        LetGo,
    )

    def unavailable(self) -> Said | None:
        lacking = fetching.lacking_programs()
        return apps.lacks(", ".join(lacking)) if lacking else None

    def is_ready(self, node: Node, spec: EnvironmentSpec) -> bool:
        return fetching.is_there(node, spec) and super().is_ready(node, spec)

    def get_ready(self, node: Node, spec: EnvironmentSpec, waiter: Waiter) -> Said | None:
        said = None if fetching.is_there(node, spec) else fetching.fetch(node, spec, waiter)
        return super().get_ready(node, spec, waiter) or said

    def seen(self, node: Node, spec: EnvironmentSpec) -> AppSeen | None:
        library = Library(node)
        chosen = library.chosen(spec.id)
        if chosen is None or spec.app is None:
            return None
        try:
            words = words_of(spec.app, chosen.config)
        except RuntimeFault:
            words = []
        return library.seen(spec.id, tuple(words))

    def health(self, node: Node, spec: EnvironmentSpec) -> HealthCheck | None:
        chosen = Library(node).chosen(spec.id)
        if chosen is None or spec.app is None:
            return None
        return check_of(spec.app.health, chosen.config.health)

    def command(self, node: Node, spec: EnvironmentSpec) -> FirstCommand:
        """Its image's own, but for what was asked for in place of it."""
        assert spec.app is not None
        image = _image_of(node, spec)
        return FirstCommand(words_of(spec.app, image), stop_signal_of(spec.app, image))

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        return app_config(node, spec, _image_of(node, spec), self.command(node, spec))


def _image_of(node: Node, spec: EnvironmentSpec) -> ImageConfig:
    chosen = Library(node).chosen(spec.id)
    if chosen is None:
        raise RuntimeFault(apps.image_gone(), code="image_missing")
    return chosen.config
