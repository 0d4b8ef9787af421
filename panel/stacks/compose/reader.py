"""A service of a Compose file, key by key: one function for each key that is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from panel.stacks.compose import sentences, values
from panel.stacks.compose.health import read_health
from panel.stacks.compose.interpolate import read_env
from panel.stacks.compose.keys import DEPLOY_ASIDE, DEPLOY_REFUSED, LEFT_ASIDE, REFUSED
from panel.stacks.compose.logging import read_logging
from panel.stacks.compose.problems import Place, Reading, plain
from panel.stacks.compose.service import Condition, Service, Wait
from panel.stacks.compose.walls import read_pairs, read_ulimits
from runtime.contract.said import NOTHING

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
        reading.refuse(place, sentences.service_is_mapping())
        return service
    for one, asked in value.items():
        here = (*place, one)
        if one in KEYS:
            KEYS[one](reading, here, asked, service, given)
        elif one in REFUSED:
            why, way_round = REFUSED[one]
            reading.refuse(here, sentences.not_to_be_had(one, why), way_round)
        elif one in LEFT_ASIDE:
            reading.note(here, sentences.left_aside(one, LEFT_ASIDE[one]))
        elif not one.startswith("x-"):
            near = get_close_matches(one, [*KEYS, *REFUSED, *LEFT_ASIDE], 1)
            way_round = sentences.did_you_mean(near[0]) if near else NOTHING
            reading.refuse(here, sentences.no_key_of_a_service(plain(one)), way_round)
    if not service.image and "build" not in value:
        reading.refuse(place, sentences.no_image(), sentences.set_image())
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
                reading.refuse(here, sentences.file_not_given(plain(str(path))), sentences.send_the_file())
            continue
        more, wrong = read_env(text, {}, reading.room, name=plain(str(path)))
        found |= more
        for problem in wrong:
            reading.refuse(here, sentences.line_of_file(problem.line, problem.place, problem.text))
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
            reading.refuse((*here, "condition"), sentences.odd_condition(tuple(Condition)))
            continue
        is_required = values.boolean(reading, (*here, "required"), one.get("required", "true"))
        service.waits[name] = Wait(Condition(word), is_required)


@key("restart")
def _restart(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    word, _, most = values.text(reading, place, value).partition(":")
    if word not in _RESTARTS:
        reading.refuse(place, sentences.odd_restart())
        return
    if most:
        reading.note(place, sentences.started_again())
    service.restart = _RESTARTS[word]


@key("healthcheck")
def _healthcheck(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["health"] = read_health(reading, place, value)


@key("logging")
def _logging(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    logs = read_logging(reading, place, value)
    if logs is not None:
        service.app["logs"] = logs


@key("hostname")
def _hostname(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    """The others find it by this one too."""
    name = values.text(reading, place, value)
    if name:
        service.app["hostname"] = name
        service.aliases += [name] if name != service.name else []


@key("labels")
def _labels(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["labels"] = read_pairs(reading, place, value)


@key("sysctls")
def _sysctls(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["sysctls"] = read_pairs(reading, place, value)


@key("ulimits")
def _ulimits(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app["ulimits"] = read_ulimits(reading, place, value)


@key("cap_add", "cap_drop")
def _capabilities(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app[str(place[-1])] = values.texts(reading, place, value)


@key("container_name")
def _name(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    name = values.text(reading, place, value)
    if name and name != service.name:
        service.aliases.append(name)
        reading.note(place, sentences.host_name_aside())


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
        reading.refuse(place, sentences.stop_too_long())
    service.stop_timeout_s = min(found, 600.0)


@key("init", "tty", "read_only")
def _switch(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    service.app[str(place[-1])] = values.boolean(reading, place, value)


@key("stdin_open")
def _stdin(reading: Reading, place: Place, value: Any, service: Service, _given: Given) -> None:
    if values.boolean(reading, place, value):
        reading.note(place, sentences.input_empty())


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
                reading.refuse(here, sentences.odd_mode(), sentences.set_replicas())
        elif name == "resources":
            _resources(reading, here, one, service, given)
        elif name == "restart_policy":
            _restart_policy(reading, here, one, service)
        elif name in DEPLOY_REFUSED:
            reading.refuse(
                here, sentences.not_to_be_had(name, DEPLOY_REFUSED[name][0]), DEPLOY_REFUSED[name][1]
            )
        elif name in DEPLOY_ASIDE:
            reading.note(here, sentences.left_aside(name, DEPLOY_ASIDE[name]))
        elif not name.startswith("x-"):
            reading.refuse(here, sentences.no_key_of_deploy(plain(name)))


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
        reading.refuse((*place, "reservations", "devices"), sentences.no_graphics(), sentences.leave_it_out())
    elif reserved:
        reading.note((*place, "reservations"), sentences.reservations_aside())


def _restart_policy(reading: Reading, place: Place, value: Any, service: Service) -> None:
    found = values.mapping(reading, place, value)
    values.refuse_others(reading, place, found, ("condition", "delay", "max_attempts", "window"))
    word = found.get("condition", "any")
    if word not in _OF_DEPLOY:
        reading.refuse((*place, "condition"), sentences.odd_policy())
        return
    service.restart = _OF_DEPLOY[word]
    if set(found) - {"condition"}:
        reading.note(place, sentences.restart_policy_aside())
