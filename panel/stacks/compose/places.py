"""Keys of a service about where it is reached and what it has at hand: ports, volumes, networks, files."""

import re
from ipaddress import ip_address
from typing import Any

from panel.stacks.compose import values
from panel.stacks.compose.problems import Place, Reading, plain
from panel.stacks.compose.reader import Given, key
from panel.stacks.compose.service import Mount, PublishedPort, Service
from runtime.contract import Device

_PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:]+\]|[0-9]+(?:\.[0-9]+){3}):)?(?:(?P<node>[0-9-]*):)?(?P<port>[0-9-]+)(?:/(?P<protocol>[a-z]+))?"
)
_EVERYWHERE, _LOOPBACK = frozenset({"", "0.0.0.0", "::"}), frozenset({"127.0.0.1", "::1"})
_MOST_PORTS = 64
_NO_HOST_PATH = "a path of the node isn't seen by any environment"
_MODES = frozenset({"rw", "ro", "z", "Z", "cached", "delegated", "consistent", "nocopy", "rprivate", "private"})


@key("ports")
def _ports(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    for number, one in enumerate(values.listing(reading, place, value)):
        here = (*place, number)
        asked = _long_port(reading, here, one) if isinstance(one, dict) else _short_port(reading, here, one)
        if asked is None:
            continue
        host, node, port, protocol = asked
        if protocol not in ("tcp", "udp"):
            reading.refuse(here, f"{plain(protocol)} isn't published: tcp and udp are")
        elif host in _LOOPBACK:
            reading.note(here, "it isn't published: on the node's loopback nobody would reach it")
        elif host not in _EVERYWHERE:
            reading.refuse(here, "which address of the node it is can't be chosen", "leave the address out")
        else:
            service.ports += _published(reading, here, node, port, protocol)
    if len(service.ports) > _MOST_PORTS:
        reading.refuse(place, f"a service publishes {_MOST_PORTS} ports at most")
        del service.ports[_MOST_PORTS:]


def _short_port(reading: Reading, place: Place, value: Any) -> tuple[str, str, str, str] | None:
    found = _PORT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        reading.refuse(place, "a port is 80, 8080:80 or 8080:80/udp")
        return None
    host = (found["host"] or "").strip("[]")
    return host, found["node"] or "", found["port"], found["protocol"] or "tcp"


def _long_port(reading: Reading, place: Place, value: dict[str, Any]) -> tuple[str, str, str, str] | None:
    values.refuse_others(
        reading, place, value, ("target", "published", "protocol", "host_ip", "mode", "name", "app_protocol")
    )
    target = value.get("target")
    if not isinstance(target, str):
        reading.refuse(place, "a port has a target: its number inside")
        return None
    return (
        str(value.get("host_ip") or ""),
        str(value.get("published") or ""),
        target,
        str(value.get("protocol") or "tcp"),
    )


def _published(reading: Reading, place: Place, node: str, port: str, protocol: str) -> list[PublishedPort]:
    inside, outside = _range(port), _range(node) if node else None
    is_odd = inside is None or (node and (outside is None or len(outside) != len(inside)))
    if is_odd or inside is None:
        reading.refuse(place, "a port is 1 to 65535, and a range of them as long inside as outside")
        return []
    drawn: list[int] | list[None] = outside or [None] * len(inside)
    return [PublishedPort(one, other, protocol) for one, other in zip(inside, drawn, strict=True)]


def _range(text: str) -> list[int] | None:
    first, _, last = text.partition("-")
    if not re.fullmatch("[0-9]{1,5}", first) or not re.fullmatch("[0-9]{1,5}", last or first):
        return None
    found = range(int(first), int(last or first) + 1)
    return list(found) if 1 <= len(found) <= _MOST_PORTS + 1 and found[0] >= 1 and found[-1] <= 65_535 else None


@key("volumes")
def _volumes(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    for number, one in enumerate(values.listing(reading, place, value)):
        here = (*place, number)
        if isinstance(one, dict):
            _long_volume(reading, here, one, service, given)
        else:
            _short_volume(reading, here, values.text(reading, here, one), service, given)


def _short_volume(reading: Reading, place: Place, text: str, service: Service, given: Given) -> None:
    source, colon, rest = text.partition(":")
    if not colon:
        reading.note(place, f"{plain(text)} lies in its root, and goes when the service is made anew")
        return
    path, _, modes = rest.partition(":")
    unknown = set(filter(None, modes.split(","))) - _MODES
    if unknown:
        reading.refuse(place, f"{plain(min(unknown))} isn't known here: a volume is rw or ro")
    _mount(reading, place, (source, path), service, given, read_only="ro" in modes.split(","))


def _long_volume(reading: Reading, place: Place, value: dict[str, Any], service: Service, given: Given) -> None:
    known = ("type", "source", "target", "read_only", "volume", "bind", "tmpfs", "consistency")
    values.refuse_others(reading, place, value, known)
    kind = value.get("type", "volume")
    path = values.text(reading, (*place, "target"), value.get("target"))
    source = value.get("source") or ""
    of_volume = values.mapping(reading, (*place, "volume"), value.get("volume"))
    if of_volume.get("subpath"):
        reading.refuse(
            (*place, "volume", "subpath"), "a volume is attached as a whole", "make a volume of its own"
        )
    if kind == "tmpfs":
        service.app.setdefault("tmpfs", []).append(path)
    elif kind == "bind" or (kind == "volume" and source):
        is_read_only = values.boolean(reading, (*place, "read_only"), value.get("read_only", "false"))
        name = source if kind == "volume" else f"./{source}".replace(".//", "/")
        _mount(reading, place, (name, path), service, given, read_only=is_read_only)
    elif kind == "volume":
        reading.note(place, f"{plain(path)} lies in its root, and goes when the service is made anew")
    else:
        reading.refuse((*place, "type"), f"{plain(str(kind))} can't be had: a type is volume or tmpfs")


def _mount(
    reading: Reading, place: Place, where: tuple[str, str], service: Service, given: Given, *, read_only: bool
) -> None:
    source, path = where
    if source.endswith("docker.sock"):
        reading.refuse(
            place,
            "docker.sock can't be had: there is no Docker behind it",
            "leave it out, or nest one in a system",
        )
    elif source[:1] in ("/", ".", "~", "$") or "/" in source or "\\" in source:
        _file_from_host(reading, place, (source, path), service, given)
    elif source not in given.volumes:
        reading.refuse(
            place,
            f"the volume {plain(source)} isn't declared",
            f"write {plain(source)}: below volumes at the end",
        )
    elif not path.startswith("/"):
        reading.refuse(place, "a volume is seen at a path like /var/lib/data")
    else:
        service.mounts.append(Mount(source, path.rstrip("/") or "/", read_only))


def _file_from_host(
    reading: Reading, place: Place, where: tuple[str, str], service: Service, given: Given
) -> None:
    """A file that was sent with the stack is put there; anything else is the node's."""
    source, path = where
    text = given.file(source)
    if text is None:
        reading.refuse(
            place,
            f"{plain(source)} can't be had: {_NO_HOST_PATH}",
            "name a volume; a file is sent with the stack, as files, or written as a config with content",
        )
    else:
        _put(reading, place, service, path, text)


def _put(reading: Reading, place: Place, service: Service, path: str, text: str) -> None:
    if not path.startswith("/"):
        reading.refuse(place, "a file is seen at a path like /etc/app.conf")
        return
    service.app.setdefault("files", {})[path] = text


@key("tmpfs")
def _tmpfs(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    for one in values.texts(reading, place, value):
        path, _, options = one.partition(":")
        if options:
            reading.note(place, "options of a tmpfs are left aside: it counts as memory")
        service.app.setdefault("tmpfs", []).append(path)


@key("configs")
def _configs(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    for here, name, target in _referred(reading, place, value):
        if name not in given.configs:
            reading.refuse(here, f"the config {plain(name)} isn't declared", "declare it below configs")
        elif (text := given.configs[name]) is not None:
            _put(reading, here, service, target or f"/{name}", text)


@key("secrets")
def _secrets(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    for here, name, target in _referred(reading, place, value):
        file = (target or name).removeprefix("/run/secrets/")
        if name not in given.secrets:
            reading.refuse(here, f"the secret {plain(name)} isn't declared", "declare it below secrets")
        elif "/" in file:
            reading.refuse(here, "a secret is a file below /run/secrets", "give its name there alone as target")
        elif (text := given.secrets[name]) is not None:
            service.secrets[file] = text


def _referred(reading: Reading, place: Place, value: Any) -> list[tuple[Place, str, str]]:
    found: list[tuple[Place, str, str]] = []
    for number, one in enumerate(values.listing(reading, place, value)):
        here = (*place, number)
        if isinstance(one, dict):
            values.refuse_others(reading, here, one, ("source", "target", "uid", "gid", "mode"))
            if {"uid", "gid", "mode"} & set(one):
                reading.note(
                    here,
                    "uid, gid and mode are left aside: a secret is the app's user's alone, a config root's",
                )
            found.append((here, values.text(reading, here, one.get("source")), str(one.get("target") or "")))
        else:
            found.append((here, values.text(reading, here, one), ""))
    return found


@key("networks")
def _networks(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    if not isinstance(value, dict):
        values.texts(reading, place, value)
        return
    for name, how in value.items():
        one = values.mapping(reading, (*place, name), how)
        service.aliases += values.texts(reading, (*place, name, "aliases"), one.get("aliases", []))
        if set(one) - {"aliases"}:
            reading.note((*place, name), "addresses are leased: of a service's networks only aliases are read")


@key("network_mode")
def _network_mode(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    mode = values.text(reading, place, value)
    if mode == "none":
        service.has_network = False
    elif mode not in ("bridge", "default"):
        what = "the host's network" if mode == "host" else "another's network"
        reading.refuse(
            place,
            f"network_mode {plain(mode)} can't be had: {what} is its own",
            "leave it out, and publish ports",
        )


@key("pid", "ipc")
def _namespace(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    if value not in ("private", "shareable", "", None):
        reading.refuse(
            place, f"{place[-1]} {plain(str(value))} can't be had: an environment has its own", "leave it out"
        )


@key("privileged")
def _privileged(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    if values.boolean(reading, place, value):
        reading.refuse(
            place, "privileged can't be had: root inside is nobody outside", "leave it out, or take a system"
        )


@key("security_opt")
def _security(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    for number, one in enumerate(values.texts(reading, place, value)):
        if one.replace("=", ":") not in ("no-new-privileges", "no-new-privileges:true"):
            reading.refuse(
                (*place, number),
                f"{plain(one)} can't be had: the confinement is the same for everybody",
                "leave it out",
            )


@key("devices")
def _devices(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    for number, one in enumerate(values.texts(reading, place, value)):
        name = one.partition(":")[0]
        if name in set(Device):
            service.devices = (*service.devices, name)
        else:
            reading.refuse(
                (*place, number), f"{plain(name)} can't be given", f"one can give {', '.join(Device)}"
            )


@key("extra_hosts")
def _hosts(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    lines = (
        [one.replace("=", ":", 1) for one in value if isinstance(one, str)] if isinstance(value, list) else None
    )
    pairs = (
        [one.partition(":")[::2] for one in lines]
        if lines is not None
        else list(values.pairs(reading, place, value).items())
    )
    for name, address in pairs:
        try:
            service.app.setdefault("hosts", {})[name] = str(ip_address((address or "").strip("[]")))
        except ValueError:
            reading.refuse(
                place,
                f"{plain(name)}: a further host has an IP address",
                "the node's own addresses aren't reached from inside",
            )


@key("dns")
def _dns(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    found = values.texts(reading, place, value)
    for one in found:
        try:
            ip_address(one)
        except ValueError:
            reading.refuse(place, "dns is one address or more")
            return
    service.nameservers = tuple(found[:3])


@key("platform")
def _platform(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    name = values.text(reading, place, value)
    if not name.startswith("linux"):
        reading.refuse(place, f"{plain(name)} doesn't run here: linux does")
    else:
        reading.note(place, "an image for another processor than the node's is refused when it is fetched")
