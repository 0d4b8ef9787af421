"""The options of an environment, one line each: who may change it, when it acts, how it is asked for.

What is stored, undone by a cancel, retried, audited, shown by the API and documented follows from this table
and from `panel.environments.document.Intent`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, get_args, get_origin

from annotated_types import MaxLen
from django.utils.translation import gettext as _
from pydantic import BaseModel, create_model

from panel.contract_input import parse
from panel.environments import app_fields
from panel.environments import option_fields as asked
from panel.environments.asked_parts import ASKED
from panel.environments.document import MOST_NOTES, Intent, NetworkOptions
from panel.environments.jail_options import lay_jail
from panel.environments.limit_rules import lay_rules
from panel.environments.option_parts import Asked, Fields, Group, When
from panel.errors import Invalid
from panel.http.inputs import CheckedAs, in_part
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.text import paragraphs
from runtime.contract import (
    AppRun,
    Device,
    DirectoryOptions,
    GivenDevice,
    Hooks,
    Kind,
    Limits,
    RestartPolicy,
    SecurityProfile,
)
from runtime.contract.base import NAME, Message
from runtime.contract.boot_words import ALLOWED, MOST_BOOT_WORDS, refused
from runtime.contract.devices import MOST_GIVEN
from runtime.contract.environment import Boot


class Acts(StrEnum):
    """When a change of it is so."""

    LIVE = "live"
    AT_START = "at_start"
    """At the next start: until then the API and the pages say what holds."""
    BY_RESTART = "by_restart"
    """One that runs is started anew for it."""
    IN_PANEL = "in_panel"
    """The node never hears of it."""


#: From what is, and what is asked for, to what is wanted, in JSON. Raises a `Refused`.
Lay = Callable[[Actor, Tenant, Any, Any], Any]


@dataclass(frozen=True)
class Option:
    permission: Permission
    acts: Acts
    lay: Lay | None
    """None: `limits`, which quota, plan and node have a word in (`services.change`)."""
    fields: Fields = field(default_factory=dict)
    """On the create page and in the settings, in their order; none: it has a form of its own."""
    is_copied: bool = False
    """A copy of the environment (a clone of its disk, a system made of its backup) has it as well."""


def lay_part(model: type[BaseModel], name: str) -> Lay:
    """What is given of a part laid over what is; the rest stays."""

    def lay(_actor: Actor, _tenant: Tenant, old: Any, given: Any) -> Any:
        return parse(model, {**old, **given}, name).model_dump(mode="json")

    return lay


def lay_value(name: str) -> Lay:
    """What is given in place of what is, where the document has room for it."""
    field_ = Intent.model_fields[name]
    alone = create_model(name, __base__=Message, **{name: (field_.annotation, field_)})  # type: ignore[call-overload]

    def lay(_actor: Actor, _tenant: Tenant, _old: Any, given: Any) -> Any:
        return parse(alone, {name: given}, name).model_dump(mode="json")[name]

    return lay


def _lay_devices(_actor: Actor, _tenant: Tenant, _old: Any, given: Sequence[str]) -> list[str]:
    """Each once, in the order of the contract."""
    unknown = sorted(set(given) - set(Device))
    if unknown:
        raise Invalid(
            _("devices: %(unknown)s can't be given; one can give %(known)s.")
            % {"unknown": unknown[0][:64], "known": ", ".join(Device)},
            field="devices",
        )
    return [one.value for one in Device if one in given]


def _lay_host_devices(_actor: Actor, _tenant: Tenant, _old: Any, given: Sequence[Any]) -> list[Any]:
    """All that it has from then on, by name. Whether its plan and its node have them, the services see."""
    found = [parse(GivenDevice, one, "host_devices").model_dump(mode="json") for one in given]
    names = [one["name"] for one in found]
    if len(set(names)) < len(names):
        raise Invalid(_("host_devices: each device once."), field="host_devices")
    if len(found) > MOST_GIVEN:
        raise Invalid(_("host_devices: %(most)s devices at most.") % {"most": MOST_GIVEN}, field="host_devices")
    return sorted(found, key=lambda one: str(one["name"]))


def _lay_boot_words(_actor: Actor, _tenant: Tenant, _old: Any, given: Sequence[str]) -> list[str]:
    """Each once. Whether it has a kernel that hears them, the services see."""
    if (odd := refused(given)) is not None:
        raise Invalid(
            _("boot_words: %(word)s can't be given; one can give %(known)s.")
            % {"word": odd[:64], "known": ", ".join(ALLOWED)},
            field="boot_words",
        )
    found = list(dict.fromkeys(given))
    if len(found) > MOST_BOOT_WORDS:
        raise Invalid(_("boot_words: %(most)s words at most.") % {"most": MOST_BOOT_WORDS}, field="boot_words")
    return found


def _lay_cpu_pool(actor: Actor, tenant: Tenant, old: Any, given: str) -> str:
    """Processors that nobody else runs on are the provider's to give. Whether its node has the pool, the
    services see."""
    if given and not NAME.fullmatch(given):
        raise Invalid(_("cpu_pool is a pool's name; empty: none."), field="cpu_pool")
    if given != old:
        actor.require(Permission.SECURITY_MANAGE, tenant)
    return given


def _lay_app(_actor: Actor, _tenant: Tenant, old: Any, given: Mapping[str, Any]) -> Any:
    """Null takes a field back to what its image says."""
    if "volumes" in given:
        raise Invalid(
            _("Volumes are named with a new app; one that is there has them attached and detached."),
            field="app.volumes",
        )
    if "ports" in given:
        raise Invalid(
            _("Ports are published with a new app; those of one that is there are its forwards."),
            field="app.ports",
            next_step=_("Add a forward, or remove one."),
        )
    laid = {name: value for name, value in {**(old or {}), **given}.items() if value is not None}
    return parse(AppRun, laid, "app").model_dump(mode="json")


def _lay_directory(_actor: Actor, _tenant: Tenant, old: Any, given: Mapping[str, Any]) -> Any:
    """Names of programs are the node's to know."""
    return parse(DirectoryOptions, {**(old or {}), **given}, "directory").model_dump(mode="json")


def _lay_notes(_actor: Actor, _tenant: Tenant, _old: Any, given: str) -> str:
    return paragraphs(given, field="notes", most=MOST_NOTES)


_CHANGE, _EXEC = Permission.ENVIRONMENT_CHANGE, Permission.ENVIRONMENT_EXEC
OPTIONS: dict[str, Option] = {
    "limits": Option(Permission.ENVIRONMENT_RESIZE, Acts.LIVE, None),
    "network": Option(Permission.NETWORK_CHANGE, Acts.LIVE, lay_part(NetworkOptions, "network")),
    "security": Option(_CHANGE, Acts.AT_START, lay_part(SecurityProfile, "security"), asked.SECURITY),
    "devices": Option(_CHANGE, Acts.BY_RESTART, _lay_devices, is_copied=True),
    "host_devices": Option(_CHANGE, Acts.LIVE, _lay_host_devices),
    "limit_rules": Option(_CHANGE, Acts.LIVE, lay_rules, asked.RULES, is_copied=True),
    "boot_words": Option(_CHANGE, Acts.AT_START, _lay_boot_words, asked.BOOT_WORDS),
    "cpu_pool": Option(_CHANGE, Acts.LIVE, _lay_cpu_pool, asked.PROCESSORS),
    "app": Option(_CHANGE, Acts.BY_RESTART, _lay_app, app_fields.APP, is_copied=True),
    "directory": Option(_CHANGE, Acts.LIVE, _lay_directory, asked.DIRECTORY),
    "jail": Option(_CHANGE, Acts.AT_START, lay_jail, asked.JAIL, is_copied=True),
    "rescue": Option(Permission.ENVIRONMENT_EXEC, Acts.BY_RESTART, lay_value("rescue")),
    "restart": Option(_CHANGE, Acts.LIVE, lay_part(RestartPolicy, "restart"), asked.RESTARTS, is_copied=True),
    "stop_timeout_s": Option(_CHANGE, Acts.LIVE, lay_value("stop_timeout_s"), asked.STOPPING, is_copied=True),
    "hooks": Option(_EXEC, Acts.LIVE, lay_part(Hooks, "hooks"), asked.HOOKS, is_copied=True),
    "boot": Option(_CHANGE, Acts.LIVE, lay_part(Boot, "boot"), asked.BOOT),
    "protected": Option(Permission.ENVIRONMENT_DELETE, Acts.IN_PANEL, lay_value("protected"), asked.PROTECTION),
    "notes": Option(_CHANGE, Acts.IN_PANEL, _lay_notes, asked.NOTES),
}


def fields_of(kind: Kind, *, is_new: bool) -> dict[str, Asked]:
    """What an environment of this kind is asked for, by place: on the create page, or in the settings."""
    other = When.LATER if is_new else When.NEW
    every = {place: one for option in OPTIONS.values() for place, one in option.fields.items()}
    return {place: one for place, one in every.items() if kind in one.kinds and one.when is not other}


def groups_of(kind: Kind, *, is_new: bool = False) -> list[Group]:
    """Of those fields, in their order."""
    return list(dict.fromkeys(one.group for one in fields_of(kind, is_new=is_new).values()))


def default_at(place: str) -> Any:
    """What an option is when nobody asks for it."""
    return at(_DEFAULTS, place)


def is_said(value: Any) -> bool:
    """Off: what a field at rest has. 0 says something."""
    return value is not None and value is not False and value not in ("", [], {}, "none")


def at(document: Mapping[str, Any], place: str) -> Any:
    """None for what isn't there."""
    found: Any = document
    names = place.split(".")
    for number, name in enumerate(names):
        if isinstance(found, list):  # of words: whether one of them is this
            return ".".join(names[number:]) in found
        found = found.get(name) if found else None
    return found


def wholes(values: Mapping[str, Any], offered: Mapping[str, Asked], known: Mapping[str, Any]) -> dict[str, Any]:
    """Values by place, with those of a part that goes whole laid over what is known of it; null: nothing is
    left of it."""
    found: dict[str, Any] = {}
    for place, value in values.items():
        if not (whole := offered[place].whole):
            found[place] = value
            continue
        part = found.setdefault(whole, dict(at(known, whole) or {}))
        part[place.removeprefix(f"{whole}.")] = value
    return {place: _something(v) if place not in values else v for place, v in found.items()}


def _something(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is said of a part, without what is as nobody asked for it."""
    return {name: value for name, value in part.items() if is_said(value)} or None


def laid_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """The document's form of values by place."""
    found: dict[str, Any] = {}
    for place, value in values.items():
        name, _dot, inner = place.partition(".")
        if inner:
            found.setdefault(name, {})[inner] = value
        else:
            found[name] = value
    return found


_DEFAULTS = {
    name: value
    for name, value in Intent(limits=Limits(cpu=1, memory_mb=64, disk_mb=64)).model_dump(mode="json").items()
    if name != "limits"
}


def laid_over(
    actor: Actor, tenant: Tenant, known: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The document with what is given (null: left as it is) laid over it; `limits` stay. Raises a `Refused`."""
    found = whole(known)
    for name, option in OPTIONS.items():
        if option.lay is not None and given.get(name) is not None:
            found[name] = option.lay(actor, tenant, found[name], given[name])
    return found


def whole(document: Mapping[str, Any]) -> dict[str, Any]:
    """With options that came after it was written, as nobody asked for them."""
    return {**_DEFAULTS, **document}


def fresh(limits: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a new environment of this size, everything else as nobody asked for it."""
    return Intent.model_validate({"limits": limits}).model_dump(mode="json")


def of_the_node(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a document what the node hears of."""
    known = whole(document)
    return {name: known.get(name) for name, option in OPTIONS.items() if option.acts is not Acts.IN_PANEL}


def of_a_copy(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a document what a copy of the environment has as well."""
    known = whole(document)
    return {name: known.get(name) for name, option in OPTIONS.items() if option.is_copied}


def labels() -> dict[str, Any]:
    """What the fields are called, by the last part of their place."""
    every = {place: one for option in OPTIONS.values() for place, one in option.fields.items()}
    return {place.rpartition(".")[2]: one.make().label for place, one in every.items()}


def at_start(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a document what acts at the next start."""
    known = whole(document)
    return {name: known.get(name) for name, option in OPTIONS.items() if option.acts is Acts.AT_START}


#: Of an app what needs no restart.
_AT_ONCE_OF_APP = ("health", "logs", "labels")


def by_restart(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a document what one that runs is started anew for. How an app is asked how it is and where its log is
    sent act at once, and so do secrets where there are some."""
    known = whole(document)
    if known.get("app"):
        app = {name: value for name, value in known["app"].items() if name not in _AT_ONCE_OF_APP}
        known["app"] = {**app, "secrets": bool(app.get("secrets"))}
    return {name: known.get(name) for name, option in OPTIONS.items() if option.acts is Acts.BY_RESTART}


def asked_types() -> dict[str, Any]:
    """Fields of a request's model for the options but `limits`. `lay` checks parts, and the words of enums."""
    fields = Intent.model_fields.items()
    return {name: (_asked(name, field_.annotation) | None, None) for name, field_ in fields if name != "limits"}


def _asked(name: str, annotation: Any) -> Any:
    if name in ASKED:
        return Annotated[dict[str, Any], CheckedAs(ASKED[name])]
    if get_origin(annotation) is tuple:
        of = get_args(annotation)[0]
        if isinstance(of, type) and issubclass(of, BaseModel):
            return Annotated[list[Annotated[dict[str, Any], CheckedAs(of)]], MaxLen(20)]
        return Annotated[list[Annotated[str, CheckedAs(of)]], MaxLen(20)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Annotated[dict[str, Any], CheckedAs(in_part(annotation))]
    return annotation
