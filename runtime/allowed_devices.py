"""The list of this node's devices that may be given to environments, and what each of them is now."""

from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from runtime.contract.devices import (
    MOST_SEEN,
    AllowedDevice,
    AllowedDevices,
    DeviceState,
    HeldDevices,
    SeenDevice,
)
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import devices as words
from runtime.files import exclusive, replace_file
from runtime.host import devtree
from runtime.node import Node


def _file(node: Node) -> Path:
    return node.root / "host-devices.json"


def known(node: Node) -> AllowedDevices:
    """None at all where nobody has said, or what was said is damaged: it is said again then."""
    try:
        return _read(_file(node).read_bytes())
    except OSError:
        return AllowedDevices()


@lru_cache(maxsize=4)
def _read(text: bytes) -> AllowedDevices:
    with suppress(ValidationError):
        return AllowedDevices.model_validate_json(text)
    return AllowedDevices()


def note(node: Node, listed: AllowedDevices) -> bool:
    """Keeps it as what holds from now on; False when this or a newer one is known. `OSError` on a full disk."""
    with exclusive(node, "host-devices"):
        before = known(node)
        if before == listed or before.revision > listed.revision:
            return False
        replace_file(_file(node), listed.model_dump_json())
    return True


def look(one: AllowedDevice) -> devtree.Judged:
    """What it is now. Raises `devtree.NoDevice` while it isn't plugged in."""
    return devtree.at(one.path) if one.path else devtree.with_properties(one.udev)


def held(node: Node) -> HeldDevices:
    """Looked at anew at each call."""
    listed = known(node)
    return HeldDevices(revision=listed.revision, devices=tuple(_state(one) for one in listed.devices))


def _state(one: AllowedDevice) -> DeviceState:
    try:
        judged = look(one)
    except devtree.NoDevice as gone:
        return DeviceState(name=one.name, why_not=gone.why)
    if judged.sort is None:
        return DeviceState(name=one.name, why_not=judged.why_not, refused=True)
    return DeviceState(name=one.name, sort=judged.sort, number=str(judged.number))


def seen() -> tuple[SeenDevice, ...]:
    """Those of the host that might be allowed."""
    found = (
        SeenDevice(path=f"/dev/{judged.name}", sort=judged.sort, number=str(judged.number), udev=told)
        for judged, told in devtree.every()
        if judged.sort is not None
    )
    return tuple(islice(found, MOST_SEEN))


def refusal(node: Node, name: str) -> Said:
    """Why it can't be given; empty when it can, though it may not be plugged in."""
    one = known(node).named(name)
    if one is None:
        return words.not_listed(name)
    state = _state(one)
    return words.refused(name, state.why_not) if state.refused else NOTHING
