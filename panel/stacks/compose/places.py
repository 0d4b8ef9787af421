"""Keys of a service about where it is reached and what it has at hand: ports, volumes, networks, files."""

import re
from ipaddress import ip_address
from typing import Any

from panel.stacks.compose import sentences, values
from panel.stacks.compose.problems import Place, Reading, plain
from panel.stacks.compose.reader import Given, key
from panel.stacks.compose.service import Mount, PublishedPort, Service
from runtime.contract import Device

_PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:]+\]|[0-9]+(?:\.[0-9]+){3}):)?(?:(?P<node>[0-9-]*):)?(?P<port>[0-9-]+)(?:/(?P<protocol>[a-z]+))?"
)
_EVERYWHERE, _LOOPBACK = frozenset({"", "0.0.0.0", "::"}), frozenset({"127.0.0.1", "::1"})
_MOST_PORTS = 64
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
            reading.refuse(here, sentences.odd_protocol(plain(protocol)))
        elif host in _LOOPBACK:
            reading.note(here, sentences.loopback())
        elif host not in _EVERYWHERE:
            reading.refuse(here, sentences.address_not_chosen(), sentences.leave_the_address_out())
        else:
            service.ports += _published(reading, here, node, port, protocol)
    if len(service.ports) > _MOST_PORTS:
        reading.refuse(place, sentences.too_many_ports(_MOST_PORTS))
        del service.ports[_MOST_PORTS:]


def _short_port(reading: Reading, place: Place, value: Any) -> tuple[str, str, str, str] | None:
    found = _PORT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        reading.refuse(place, sentences.odd_port())
        return None
    host = (found["host"] or "").strip("[]")
    return host, found["node"] or "", found["port"], found["protocol"] or "tcp"


def _long_port(reading: Reading, place: Place, value: dict[str, Any]) -> tuple[str, str, str, str] | None:
    values.refuse_others(
        reading, place, value, ("target", "published", "protocol", "host_ip", "mode", "name", "app_protocol")
    )
    target = value.get("target")
    if not isinstance(target, str):
        reading.refuse(place, sentences.no_target())
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
        reading.refuse(place, sentences.odd_range())
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
        reading.note(place, sentences.in_its_root(plain(text)))
        return
    path, _, modes = rest.partition(":")
    unknown = set(filter(None, modes.split(","))) - _MODES
    if unknown:
        reading.refuse(place, sentences.odd_volume_mode(plain(min(unknown))))
    _mount(reading, place, (source, path), service, given, read_only="ro" in modes.split(","))


def _long_volume(reading: Reading, place: Place, value: dict[str, Any], service: Service, given: Given) -> None:
    known = ("type", "source", "target", "read_only", "volume", "bind", "tmpfs", "consistency")
    values.refuse_others(reading, place, value, known)
    kind = value.get("type", "volume")
    path = values.text(reading, (*place, "target"), value.get("target"))
    source = value.get("source") or ""
    of_volume = values.mapping(reading, (*place, "volume"), value.get("volume"))
    if of_volume.get("subpath"):
        reading.refuse((*place, "volume", "subpath"), sentences.no_subpath(), sentences.own_volume())
    if kind == "tmpfs":
        service.app.setdefault("tmpfs", []).append(_with_options(reading, place, path, value))
    elif kind == "bind" or (kind == "volume" and source):
        is_read_only = values.boolean(reading, (*place, "read_only"), value.get("read_only", "false"))
        name = source if kind == "volume" else f"./{source}".replace(".//", "/")
        _mount(reading, place, (name, path), service, given, read_only=is_read_only)
    elif kind == "volume":
        reading.note(place, sentences.in_its_root(plain(path)))
    else:
        reading.refuse((*place, "type"), sentences.odd_type(plain(str(kind))))


def _mount(
    reading: Reading, place: Place, where: tuple[str, str], service: Service, given: Given, *, read_only: bool
) -> None:
    source, path = where
    if source.endswith("docker.sock"):
        reading.refuse(
            place,
            sentences.no_docker_socket(),
            sentences.nest_one(),
        )
    elif source[:1] in ("/", ".", "~", "$") or "/" in source or "\\" in source:
        _file_from_host(reading, place, (source, path), service, given)
    elif source not in given.volumes:
        reading.refuse(
            place,
            sentences.volume_undeclared(plain(source)),
            sentences.declare_volume(plain(source)),
        )
    elif not path.startswith("/"):
        reading.refuse(place, sentences.volume_path())
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
            sentences.no_host_path(plain(source)),
            sentences.name_a_volume(),
        )
    else:
        _put(reading, place, service, path, text)


def _put(reading: Reading, place: Place, service: Service, path: str, text: str) -> None:
    if not path.startswith("/"):
        reading.refuse(place, sentences.file_path())
        return
    service.app.setdefault("files", {})[path] = text


def _with_options(reading: Reading, place: Place, path: str, value: dict[str, Any]) -> str:
    given = values.mapping(reading, (*place, "tmpfs"), value.get("tmpfs"))
    values.refuse_others(reading, (*place, "tmpfs"), given, ("size", "mode"))
    found = []
    if "size" in given:
        found.append(f"size={values.mebibytes(reading, (*place, 'tmpfs', 'size'), given['size'])}m")
    if "mode" in given:
        found.append(f"mode={values.text(reading, (*place, 'tmpfs', 'mode'), given['mode'])}")
    return ":".join(filter(None, (path, ",".join(found))))


@key("tmpfs")
def _tmpfs(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    for one in values.texts(reading, place, value):
        service.app.setdefault("tmpfs", []).append(one)


@key("configs")
def _configs(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    for here, name, target in _referred(reading, place, value):
        if name not in given.configs:
            reading.refuse(here, sentences.config_undeclared(plain(name)), sentences.declare_config())
        elif (text := given.configs[name]) is not None:
            _put(reading, here, service, target or f"/{name}", text)


@key("secrets")
def _secrets(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    for here, name, target in _referred(reading, place, value):
        file = (target or name).removeprefix("/run/secrets/")
        if name not in given.secrets:
            reading.refuse(here, sentences.secret_undeclared(plain(name)), sentences.declare_secret())
        elif "/" in file:
            reading.refuse(here, sentences.secret_elsewhere(), sentences.name_alone())
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
                    sentences.owner_aside(),
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
            reading.note((*place, name), sentences.addresses_leased())


@key("network_mode")
def _network_mode(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    mode = values.text(reading, place, value)
    if mode == "none":
        service.has_network = False
    elif mode not in ("bridge", "default"):
        reading.refuse(place, sentences.network_is_its_own(plain(mode)), sentences.publish_ports())


@key("pid", "ipc")
def _namespace(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    if value not in ("private", "shareable", "", None):
        said = sentences.has_its_own(str(place[-1]), plain(str(value)))
        reading.refuse(place, said, sentences.leave_it_out())


@key("privileged")
def _privileged(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    if values.boolean(reading, place, value):
        reading.refuse(place, sentences.no_privileged(), sentences.take_a_system())


@key("security_opt")
def _security(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    for number, one in enumerate(values.texts(reading, place, value)):
        if one.replace("=", ":") not in ("no-new-privileges", "no-new-privileges:true"):
            reading.refuse(
                (*place, number),
                sentences.same_confinement(plain(one)),
                sentences.leave_it_out(),
            )


@key("devices")
def _devices(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    for number, one in enumerate(values.texts(reading, place, value)):
        name = one.partition(":")[0]
        if name in set(Device):
            service.devices = (*service.devices, name)
        else:
            reading.refuse(
                (*place, number), sentences.device_not_given(plain(name)), sentences.one_can_give(tuple(Device))
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
                sentences.host_has_address(plain(name)),
                sentences.node_not_reached(),
            )


@key("dns")
def _dns(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    found = values.texts(reading, place, value)
    for one in found:
        try:
            ip_address(one)
        except ValueError:
            reading.refuse(place, sentences.odd_dns())
            return
    service.nameservers = tuple(found[:3])


@key("platform")
def _platform(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    name = values.text(reading, place, value)
    if not name.startswith("linux"):
        reading.refuse(place, sentences.other_system(plain(name)))
    else:
        reading.note(place, sentences.other_processor())
