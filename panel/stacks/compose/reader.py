"""A service of a Compose file, key by key: one function for each key that is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from panel.stacks.compose import values
from panel.stacks.compose.health import read_health
from panel.stacks.compose.interpolate import read_env
from panel.stacks.compose.keys import DEPLOY_ASIDE, DEPLOY_REFUSED, LEFT_ASIDE, REFUSED
from panel.stacks.compose.problems import Place, Reading, plain
from panel.stacks.compose.service import Condition, Service, Wait

MOST_REPLICAS = 20
_RESTARTS = {"no": "never", "always": "always", "unless-stopped": "always", "on-failure": "on-failure"}
_OF_DEPLOY = {"none": "never", "on-failure": "on-failure", "any": "always"}


@dataclass(frozen=True)
class Given:
    """What a file refers to beside itself."""

    variables: Mapping[str, str]
    files: Mapping[str, str]
    """By path as the file names them."""
    configs: Mapping[str, str | None] = field(default_factory=dict)
    """By name under `configs` at the top; None: it was refused."""
    secrets: Mapping[str, str | None] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()

    def file(self, path: str) -> str | None:
        return self.files.get(path, self.files.get(path.removeprefix("./")))


#: Reads one key into the service.
Key = Callable[[Reading, Place, Any, Service, Given], None]
KEYS: dict[str, Key] = {}


def key(*names: str) -> Callable[[Key], Key]:
    """Registers the function that reads these keys."""

    def register(function: Key) -> Key:
        KEYS.update(dict.fromkeys(names, function))
        return function

    return register


def read_service(reading: Reading, place: Place, name: str, value: Any, given: Given) -> Service:
    """Everything that is wrong with it goes into `reading`."""
    service = Service(name)
    if not isinstance(value, dict):
        reading.refuse(place, "a service is a mapping: its image, and more")
        return service
    for one, asked in value.items():
        here = (*place, one)
        if one in KEYS:
            KEYS[one](reading, here, asked, service, given)
        elif one in REFUSED:
            why, way_round = REFUSED[one]
            reading.refuse(here, f"{one} can't be had: {why}", way_round)
        elif one in LEFT_ASIDE:
            reading.note(here, f"{one} is left aside: {LEFT_ASIDE[one]}")
        elif not one.startswith("x-"):
            near = get_close_matches(one, [*KEYS, *REFUSED, *LEFT_ASIDE], 1)
            way_round = f"did you mean {near[0]}?" if near else ""
            reading.refuse(here, f"{plain(one)} is no key of a service", way_round)
    if not service.image and "build" not in value:
        reading.refuse(place, "it names no image", "set image")
    return service


@key("image")
def _image(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.image = values.text(reading, place, value).strip()


@key("command")
def _command(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    found = values.words(reading, place, value)
    if found is not None:
        service.app["args"] = list(found)


@key("entrypoint")
def _entrypoint(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    found = values.words(reading, place, value)
    if found:
        service.app["command"] = list(found)


@key("environment")
def _environment(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    """One without a value has that of the stack's variable; without that it isn't set."""
    own = values.pairs(reading, place, value)
    found = {name: given.variables.get(name) if one is None else one for name, one in own.items()}
    known = service.app.get("env", {})
    service.app["env"] = {**known, **{name: one for name, one in found.items() if one is not None}}


@key("env_file")
def _env_file(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    found: dict[str, str] = {}
    for number, one in enumerate(value if isinstance(value, list) else [value]):
        here = (*place, number)
        path = one.get("path") if isinstance(one, dict) else one
        text = given.file(values.text(reading, here, path))
        if text is None:
            if not (isinstance(one, dict) and one.get("required") == "false"):
                reading.refuse(
                    here, f"the file {plain(str(path))} wasn't given", "send it with the stack, as files"
                )
            continue
        more, wrong = read_env(text, {}, reading.room, name=plain(str(path)))
        found |= more
        for problem in wrong:
            reading.refuse(here, f"line {problem.line} of {problem.place}: {problem.text}")
    service.app["env"] = {**found, **service.app.get("env", {})}


@key("depends_on")
def _depends_on(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    if not isinstance(value, dict):
        for name in values.texts(reading, place, value):
            service.waits[name] = Wait()
        return
    for name, how in value.items():
        here = (*place, name)
        one = values.mapping(reading, here, how)
        values.refuse_others(reading, here, one, ("condition", "required", "restart"))
        word = one.get("condition") or Condition.STARTED
        if word not in set(Condition):
            reading.refuse((*here, "condition"), f"a condition is one of {', '.join(Condition)}")
            continue
        is_required = values.boolean(reading, (*here, "required"), one.get("required", "true"))
        service.waits[name] = Wait(Condition(word), is_required)


@key("restart")
def _restart(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    word, _, most = values.text(reading, place, value).partition(":")
    if word not in _RESTARTS:
        reading.refuse(place, "restart is no, always, unless-stopped or on-failure")
        return
    if most:
        reading.note(place, "it is started again and again, each time later, and not only so many times")
    service.restart = _RESTARTS[word]


@key("healthcheck")
def _healthcheck(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["health"] = read_health(reading, place, value)


@key("container_name", "hostname")
def _name(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    name = values.text(reading, place, value)
    if name and name != service.name:
        service.aliases.append(name)
        reading.note(place, "its own host name is its environment's name; the others find it by this one too")


@key("links")
def _links(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    for one in values.texts(reading, place, value):
        other, _, alias = one.partition(":")
        service.links[alias or other] = other
        service.waits.setdefault(other, Wait())


@key("user")
def _user(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["user"] = values.text(reading, place, value)


@key("working_dir")
def _workdir(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["workdir"] = values.text(reading, place, value)


@key("stop_signal")
def _stop_signal(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["stop_signal"] = values.text(reading, place, value)


@key("stop_grace_period")
def _stop_within(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    found = values.seconds(reading, place, value)
    if found > 600:
        reading.refuse(place, "a stop takes 10 minutes at most")
    service.stop_timeout_s = min(found, 600.0)


@key("init", "tty", "read_only")
def _switch(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app[str(place[-1])] = values.boolean(reading, place, value)


@key("stdin_open")
def _stdin(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    if values.boolean(reading, place, value):
        reading.note(place, "with tty the console types into it; without, its input is empty")


@key("shm_size")
def _shm(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["shm_mb"] = values.mebibytes(reading, place, value)


@key("mem_limit")
def _memory(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.limits["memory_mb"] = max(16, values.mebibytes(reading, place, value))


@key("cpus")
def _cpus(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    found = values.number(reading, place, value)
    if found > 0:
        service.limits["cpu"] = max(0.05, found)


@key("pids_limit")
def _pids(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    if value != "-1":
        service.limits["processes"] = max(16, values.integer(reading, place, value, 1, 4_000_000))


@key("profiles")
def _profiles(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.profiles = tuple(values.texts(reading, place, value))


@key("expose")
def _expose(reading: Reading, place: Place, value: Any, _service: Service, _given: Given) -> None:
    """Whoever is in the stack reaches every port anyway."""
    values.texts(reading, place, value)


@key("scale")
def _scale(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.replicas = values.integer(reading, place, value, 0, MOST_REPLICAS)


@key("deploy")
def _deploy(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    for name, one in values.mapping(reading, place, value).items():
        here = (*place, name)
        if name == "replicas":
            _scale(reading, here, one, service, given)
        elif name == "mode":
            if one != "replicated":
                reading.refuse(here, "a service has so many copies: mode is replicated", "set replicas")
        elif name == "resources":
            _resources(reading, here, one, service, given)
        elif name == "restart_policy":
            _restart_policy(reading, here, one, service)
        elif name in DEPLOY_REFUSED:
            reading.refuse(here, f"{name} can't be had: {DEPLOY_REFUSED[name][0]}", DEPLOY_REFUSED[name][1])
        elif name in DEPLOY_ASIDE:
            reading.note(here, f"{name} is left aside: {DEPLOY_ASIDE[name]}")
        elif not name.startswith("x-"):
            reading.refuse(here, f"{plain(name)} is no key of deploy")


def _resources(reading: Reading, place: Place, value: Any, service: Service, given: Given) -> None:
    found = values.mapping(reading, place, value)
    values.refuse_others(reading, place, found, ("limits", "reservations"))
    limits = values.mapping(reading, (*place, "limits"), found.get("limits"))
    names: dict[str, Key] = {"cpus": _cpus, "memory": _memory, "pids": _pids}
    values.refuse_others(reading, (*place, "limits"), limits, tuple(names))
    for name, read in names.items():
        if name in limits:
            read(reading, (*place, "limits", name), limits[name], service, given)
    reserved = values.mapping(reading, (*place, "reservations"), found.get("reservations"))
    if "devices" in reserved:
        reading.refuse(
            (*place, "reservations", "devices"), "a node gives no graphics processor away", "leave it out"
        )
    elif reserved:
        reading.note((*place, "reservations"), "reservations are left aside: what its limits say is reserved")


def _restart_policy(reading: Reading, place: Place, value: Any, service: Service) -> None:
    found = values.mapping(reading, place, value)
    values.refuse_others(reading, place, found, ("condition", "delay", "max_attempts", "window"))
    word = found.get("condition", "any")
    if word not in _OF_DEPLOY:
        reading.refuse((*place, "condition"), "condition is none, on-failure or any")
        return
    service.restart = _OF_DEPLOY[word]
    if set(found) - {"condition"}:
        reading.note(
            place, "it is started again and again, each time later; delay, window and number are the node's"
        )
