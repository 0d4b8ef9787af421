"""The whole file: its services in the order they wait for each other, and what they share."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from panel.stacks.compose import places, sentences, tree, values  # noqa: F401 (places fills the reader's keys)
from panel.stacks.compose.check import check_service
from panel.stacks.compose.interpolate import fill_in, read_env
from panel.stacks.compose.keys import TOP_KNOWN, TOP_REFUSED
from panel.stacks.compose.problems import ComposeRefused, Note, Place, Reading, plain
from panel.stacks.compose.reader import Given, read_service
from panel.stacks.compose.service import Condition, Service
from runtime.contract.said import NOTHING

MOST_SERVICES = 50
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")


@dataclass(frozen=True)
class Source:
    """What somebody sent."""

    compose: str
    env: str = ""
    """A file of variables."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Stand over those of `env`."""
    profiles: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """By the path that the Compose file names them by."""
    scale: Mapping[str, int] = field(default_factory=dict)
    """Copies by service, in place of what the file says."""


@dataclass(frozen=True)
class Volume:
    key: str
    """Under `volumes` at the top of the file."""
    external: str = ""
    """Name of one that is there already; empty: the stack makes it."""
    size_mb: int | None = None
    is_shared: bool = False
    """Several of the stack's environments write to it."""


@dataclass(frozen=True)
class Project:
    services: tuple[Service, ...]
    """Each behind those that it waits for."""
    volumes: tuple[Volume, ...]
    notes: tuple[Note, ...]


def read(source: Source) -> Project:
    """Raises `ComposeRefused` with everything that can't be had."""
    document = tree.parse(source.compose)
    reading = Reading(document.lines)
    variables, wrong = read_env(source.env, source.variables, reading.room)
    if wrong:
        raise ComposeRefused(wrong)
    variables = {**variables, **source.variables}
    top = fill_in(document.value, variables, reading)
    if not isinstance(top, dict) or not isinstance(top.get("services"), dict) or not top["services"]:
        reading.refuse((), sentences.has_services())
        reading.end()
    _refuse_unknown(reading, top)
    given = Given(
        variables=variables,
        files=source.files,
        configs=_contents(reading, top, "configs", variables, source.files),
        secrets=_contents(reading, top, "secrets", variables, source.files),
        volumes=frozenset(values.mapping(reading, ("volumes",), top.get("volumes"))),
    )
    _check_networks(reading, top.get("networks"))
    services = _services(reading, top["services"], given, source)
    volumes = _volumes(reading, top.get("volumes") or {}, services)
    ordered = _in_order(reading, services)
    reading.end()
    return Project(tuple(ordered), volumes, tuple(reading.notes))


def _refuse_unknown(reading: Reading, top: Mapping[str, Any]) -> None:
    for key in top:
        if key in TOP_REFUSED:
            why, way_round = TOP_REFUSED[key]
            reading.refuse((key,), sentences.not_to_be_had(key, why), way_round)
        elif key not in TOP_KNOWN and not key.startswith("x-"):
            near = get_close_matches(key, TOP_KNOWN, 1)
            way_round = sentences.did_you_mean(near[0]) if near else NOTHING
            reading.refuse((key,), sentences.no_key_of_a_file(plain(key)), way_round)


def _contents(
    reading: Reading, top: Mapping[str, Any], kind: str, variables: Mapping[str, str], files: Mapping[str, str]
) -> dict[str, str | None]:
    """Of configs or secrets, by name; None: it was refused here."""
    found: dict[str, str | None] = {}
    for name, how in values.mapping(reading, (kind,), top.get(kind)).items():
        place: Place = (kind, name)
        one = values.mapping(reading, place, how)
        values.refuse_others(reading, place, one, ("content", "environment", "file", "external", "name"))
        text: str | None = None
        if "content" in one:
            text = values.text(reading, place, one["content"])
        elif "environment" in one:
            text = variables.get(str(one["environment"]))
            if text is None:
                reading.refuse(
                    place,
                    sentences.variable_not_given(plain(str(one["environment"]))),
                    sentences.give_it(),
                )
        elif "file" in one:
            path = str(one["file"])
            text = files.get(path, files.get(path.removeprefix("./")))
            if text is None:
                reading.refuse(place, sentences.file_not_given(plain(path)), sentences.send_the_file())
        else:
            reading.refuse(place, sentences.no_content(), sentences.set_content())
        if text == "" and kind == "secrets":
            reading.refuse(place, sentences.secret_empty())
        found[name] = text
    return found


def _check_networks(reading: Reading, value: Any) -> None:
    """All services of a stack reach each other: what would part them, or shut them in, isn't there."""
    found = values.mapping(reading, ("networks",), value)
    for name, how in found.items():
        place: Place = ("networks", name)
        one = values.mapping(reading, place, how)
        if one.get("internal") == "true":
            reading.refuse(
                (*place, "internal"),
                sentences.no_inner_network(),
                sentences.or_no_network(),
            )
        if one.get("driver") not in (None, "bridge", "overlay", "default"):
            reading.refuse(
                (*place, "driver"), sentences.no_driver(plain(str(one["driver"]))), sentences.leave_it_out()
            )
        if one.get("external") not in (None, "false"):
            reading.note(place, sentences.other_stacks_unfound())
    if len(found) > 1:
        reading.note(("networks",), sentences.networks_part_nobody())


def _services(reading: Reading, value: Mapping[str, Any], given: Given, source: Source) -> list[Service]:
    if len(value) > MOST_SERVICES:
        reading.refuse(("services",), sentences.too_many_services(MOST_SERVICES))
        return []
    found = []
    for name, how in value.items():
        place = ("services", name)
        if not _NAME.fullmatch(name):
            reading.refuse(place, sentences.odd_name())
        service = read_service(reading, place, name, how, given)
        service.replicas = source.scale.get(name, service.replicas)
        check_service(reading, place, service)
        if not service.profiles or {"*", *service.profiles} & set(source.profiles):
            found.append(service)
    if not found and not reading.problems:
        reading.refuse(("services",), sentences.no_profile(), sentences.name_a_profile())
    _refuse_same_names(reading, found)
    return found


def _refuse_same_names(reading: Reading, services: Sequence[Service]) -> None:
    """Environments are called STACK-SERVICE-NUMBER, in lower case: two services that come to the same."""
    seen: dict[str, str] = {}
    for service in services:
        short = label(service.name)
        if short in seen:
            reading.refuse(
                ("services", service.name),
                sentences.same_name(plain(seen[short])),
                sentences.rename_one(),
            )
        seen[short] = service.name


def label(name: str) -> str:
    """As names of environments are written."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"


def _volumes(reading: Reading, value: Mapping[str, Any], services: Sequence[Service]) -> tuple[Volume, ...]:
    found = []
    for key, how in value.items():
        place: Place = ("volumes", key)
        one = values.mapping(reading, place, how)
        values.refuse_others(reading, place, one, ("name", "external", "driver", "driver_opts", "labels"))
        options = values.mapping(reading, (*place, "driver_opts"), one.get("driver_opts"))
        if one.get("driver") not in (None, "local") or set(options) - {"size"}:
            reading.refuse(
                place,
                sentences.no_volume_driver(),
                sentences.leave_them_out(),
            )
        size = (
            values.mebibytes(reading, (*place, "driver_opts", "size"), options["size"])
            if "size" in options
            else None
        )
        users = [(service, mount) for service in services for mount in service.mounts if mount.volume == key]
        writers = sum(service.replicas for service, mount in users if not mount.read_only)
        is_external = one.get("external") not in (None, "false")
        if "name" in one and not is_external:
            reading.note((*place, "name"), sentences.volume_name_aside())
        if users:
            external = str(one.get("name") or key) if is_external else ""
            count = sum(service.replicas for service, _mount in users)
            found.append(Volume(key, external, size, is_shared=count > 1 and writers > 0))
    return tuple(found)


def _in_order(reading: Reading, services: Sequence[Service]) -> list[Service]:
    """Those that wait behind those they wait for; in the order of the file among equals."""
    by_name = {service.name: service for service in services}
    for service in services:
        _check_waits(reading, service, by_name)
    ordered: list[Service] = []
    waiting = list(services)
    while waiting:
        ready = [one for one in waiting if all(other not in {w.name for w in waiting} for other in one.waits)]
        if not ready:
            names = " → ".join(plain(one) for one in _circle(waiting))
            reading.refuse(
                ("services", waiting[0].name, "depends_on"),
                sentences.circle(names),
            )
            return ordered
        ordered += ready
        waiting = [one for one in waiting if one not in ready]
    return ordered


def _check_waits(reading: Reading, service: Service, by_name: Mapping[str, Service]) -> None:
    for name, wait in list(service.waits.items()):
        place: Place = ("services", service.name, "depends_on", name)
        other = by_name.get(name)
        if other is None:
            if wait.required:
                reading.refuse(
                    place,
                    sentences.waits_for_nobody(plain(name)),
                    sentences.name_its_profile(),
                )
            del service.waits[name]
        elif wait.condition is Condition.COMPLETED and other.restart == "always":
            reading.refuse(
                place,
                sentences.never_through(plain(name)),
                sentences.set_its_restart(),
            )


def _circle(waiting: Sequence[Service]) -> list[str]:
    by_name = {one.name: one for one in waiting}
    path = [waiting[0].name]
    while True:
        following = next(name for name in by_name[path[-1]].waits if name in by_name)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)
